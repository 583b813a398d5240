# What a developer types. Needs Python 3.11+, Node 20+ and make; everything else is installed into
# the checkout: .tools (uv), .venv (Python packages), web/node_modules, .tailrace (data).

UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# What is set for another project must not bend this one's environment.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export UV_PYTHON_DOWNLOADS := never
export npm_config_update_notifier := false
export npm_config_audit := false
export npm_config_fund := false
# A company's own certificates are in the system's store, where there is one.
certificates := $(wildcard /etc/ssl/certs/ca-certificates.crt)
ifneq ($(certificates),)
export UV_SYSTEM_CERTS := true
export NODE_EXTRA_CA_CERTS ?= $(certificates)
endif

tools := .tools/uv-$(UV_VERSION)
venv := .venv/.installed
peers := .venv-bench/litellm/.installed .venv-bench/openai/.installed
page := web/dist/index.html
page-sources := $(shell find web/src web/public 2>/dev/null) $(wildcard web/*.json web/*.ts web/*.html)

# uv draws its progress on a terminal; elsewhere its lists are only noise.
quiet = $$([ -t 2 ] || echo --quiet)

.PHONY: help up test lint lint-python lint-web test-python test-web browser chaos bench format lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

up: $(venv) $(page) ## Run everything at http://localhost:8787 until Ctrl-C
	@exec .venv/bin/python -m localstack.embedded --end-with-parent

test: lint test-web test-python ## Check and test everything

lint: lint-python lint-web ## Check style and types

lint-python: $(venv)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright

lint-web: web/node_modules/.installed
	npm --prefix web run --silent lint

test-web: web/node_modules/.installed
	npm --prefix web run --silent test

test-python: $(venv) $(page) browser
	.venv/bin/python -m pytest --numprocesses 2

browser:
	@localstack/setup/browser.sh

chaos: $(venv) ## Break servers and processes in many ways, for minutes (CHAOS_SCHEDULES, CHAOS_SEED)
	CHAOS_SCHEDULES=$${CHAOS_SCHEDULES:-200} CHAOS_SEED=$${CHAOS_SEED:-$$(date +%s)} \
		.venv/bin/python -m pytest -s tests/acceptance/chaos

bench: $(venv) $(peers) ## Measure the paths that matter; figures are kept in bench/RESULTS.md
	.venv/bin/python -m bench.relay
	.venv/bin/python -m bench.providers
	.venv/bin/python -m bench.ingest
	.venv/bin/python -m bench.dashboard
	.venv/bin/python -m bench.search
	.venv/bin/python -m bench.coldstart

format: $(venv) web/node_modules/.installed ## Rewrite the code in its style
	.venv/bin/ruff check --fix
	.venv/bin/ruff format
	npm --prefix web exec -- biome check --write web

lock: $(tools) ## Renew requirements.lock after a change of dependencies
	uv pip compile --quiet --no-header --universal --all-extras --group dev --group embedded \
		--generate-hashes --output-file requirements.lock pyproject.toml

clean: ## Remove what was installed and built; the data in .tailrace stays
	rm -rf .tools .venv .venv-bench .venv-sam .venv-checkov .venv-ministack .aws-sam .pytest_cache .ruff_cache .hypothesis web/node_modules web/dist

$(tools):
	@localstack/setup/tools.sh $(UV_VERSION)
	@touch $@

$(venv): requirements.lock pyproject.toml | $(tools)
	@echo "Installing the Python packages…"
	@[ -x .venv/bin/python ] || uv venv --quiet --python .tools/bin/python .venv
	@uv pip sync $(quiet) --python .venv requirements.lock
	@uv pip install $(quiet) --python .venv --no-deps --editable .
	@touch $@

# What we are measured against; its pins clash with ours.
$(peers): .venv-bench/%/.installed: bench/%.lock | $(tools)
	@echo "Installing $*, to be measured against…"
	@uv venv --quiet --clear --python .tools/bin/python .venv-bench/$*
	@uv pip sync $(quiet) --python .venv-bench/$* $<
	@touch $@

# Not npm ci: npm 11 takes it for an error when a registry's mirror, and so the lock file, lacks
# another system's binaries. With --no-save the versions are the lock file's as well.
web/node_modules/.installed: web/package.json web/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || \
		{ echo "tailrace: Node 20 or later is needed and not found" >&2; exit 2; }
	@echo "Installing the page's packages…"
	@npm --prefix web install --no-save --prefer-offline --loglevel error
	@touch $@

$(page): web/node_modules/.installed $(page-sources)
	@echo "Building the page…"
	@npm --prefix web run --silent build -- --logLevel warn
	@touch $@

-include build.mk
