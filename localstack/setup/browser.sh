#!/bin/sh
# Makes sure that there is a Chromium for the browser tests. Called by the Makefile.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tailrace: the browser tests need Chromium: sudo apt-get install chromium" >&2
    exit 2
fi
echo "Installing Chromium (about 100 MB)…"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -qq --no-install-recommends chromium; } >/dev/null; then
    echo "tailrace: Chromium could not be installed" >&2
    exit 2
fi
