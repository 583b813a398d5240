# Building for Lambda. `sam build` calls `build-<LogicalId>` for every layer and function of
# template.yaml and packs what it finds in $(ARTIFACTS_DIR). Needs uv alone: no Docker, and no
# interpreter of Lambda's version. Tests build for the machine they run on with the same rules:
#   make -f build.mk build-ChatFunction ARTIFACTS_DIR=out LAMBDA_PLATFORM=x86_64-manylinux_2_28

# Amazon Linux 2023, under Lambda's Python 3.12 and later, has glibc 2.34.
LAMBDA_PLATFORM ?= aarch64-manylinux_2_28
LAMBDA_PYTHON ?= 3.13

lambda-target = --python-platform $(LAMBDA_PLATFORM) --python-version $(LAMBDA_PYTHON) --only-binary :all:
lambda-install = uv pip install --quiet --no-deps $(lambda-target) --target
# Pinned by the lock file: everything that the core layer needs, and an extra named behind it.
lambda-resolve = uv pip compile --quiet --no-header --no-annotate $(lambda-target) \
	--constraints requirements.lock pyproject.toml

.PHONY: build-RuntimeLayer build-CoreLayer build-ChatFunction build-ApiFunction \
	build-IngestFunction build-MaintainFunction build-MigrateFunction

build-RuntimeLayer:
	mkdir -p $(ARTIFACTS_DIR)/python
	cp layers/runtime/tailrace-runtime $(ARTIFACTS_DIR)
	cp -R layers/runtime/python/tailrace_runtime $(ARTIFACTS_DIR)/python
	$(call lambda-finish,runtime layer)

build-CoreLayer:
	mkdir -p $(ARTIFACTS_DIR)/python
	$(lambda-resolve) > $(ARTIFACTS_DIR)/.packages
	$(lambda-install) $(ARTIFACTS_DIR)/python -r $(ARTIFACTS_DIR)/.packages
	cp -R layers/core/python/tailrace $(ARTIFACTS_DIR)/python
	$(call lambda-finish,core layer)

build-ChatFunction:
	$(call lambda-function,chat)

build-ApiFunction:
	$(call lambda-extra,api)
	$(call lambda-function,api)

build-IngestFunction:
	$(call lambda-extra,pricing)
	$(call lambda-function,ingest)

build-MaintainFunction:
	$(call lambda-extra,pricing)
	$(call lambda-function,maintain)

build-MigrateFunction:
	$(call lambda-function,migrate)

# Install what an extra adds to the core layer, and nothing that the layer has already.
define lambda-extra
	mkdir -p $(ARTIFACTS_DIR)
	$(lambda-resolve) > $(ARTIFACTS_DIR)/.core
	$(lambda-resolve) --extra $(1) > $(ARTIFACTS_DIR)/.all
	grep -vxF -f $(ARTIFACTS_DIR)/.core $(ARTIFACTS_DIR)/.all > $(ARTIFACTS_DIR)/.packages
	$(lambda-install) $(ARTIFACTS_DIR) -r $(ARTIFACTS_DIR)/.packages
endef

define lambda-function
	mkdir -p $(ARTIFACTS_DIR)
	cp functions/$(1)/handler.py $(ARTIFACTS_DIR)
	$(call lambda-finish,$(1) function)
endef

# Drop what no function runs. Lambda's file system is read-only, so bytecode that is not packed is
# compiled again at every cold start: pack it where an interpreter of that version is at hand.
define lambda-finish
	@rm -rf $(ARTIFACTS_DIR)/bin $(ARTIFACTS_DIR)/python/bin
	@find $(ARTIFACTS_DIR) \( -name tests -o -name __pycache__ \) -type d -prune -exec rm -r {} +
	@find $(ARTIFACTS_DIR) \( -name '*.py[ix]' -o -name '*.pxd' -o -name '*.[ch]' -o -name '.*' \) \
		-type f -delete
	@if python=$$(uv python find --no-python-downloads $(LAMBDA_PYTHON) 2>/dev/null); then \
		$$python -m compileall -q --invalidation-mode unchecked-hash -s $(ARTIFACTS_DIR) $(ARTIFACTS_DIR); \
	else \
		echo "$(1): no Python $(LAMBDA_PYTHON) at hand, packed without bytecode: cold starts take longer"; \
	fi
	@echo "$(1): $$(du -sh $(ARTIFACTS_DIR) | cut -f1)"
endef
