#!/bin/sh
# Makes .tools, a small environment that holds uv alone, from a Python that this machine has.
# Called by the Makefile with uv's version; PYTHON names an interpreter to use instead of searching.
set -eu

fail() {
    echo "tailrace: $1" >&2
    exit 2
}

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 or later is needed and not found"

# Debian and Ubuntu keep what makes environments in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "$python cannot make virtual environments: sudo apt-get install $package"
    fi
    echo "Installing $package…"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq --no-install-recommends "$package"; } >/dev/null ||
        fail "$package could not be installed"
fi

echo "Installing uv…"
"$python" -m venv --clear .tools || fail "$python could not make a virtual environment in .tools"
.tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$1" ||
    fail "uv could not be installed"
