# Building for Lambda. `sam build` calls `build-<LogicalId>` for every layer and function of
# template.yaml and packs what it finds in $(ARTIFACTS_DIR). Needs uv alone: no Docker, and no
# interpreter of Lambda's version. Tests build for the machine they run on with the same rules:
#   make -f build.mk build-ChatFunction ARTIFACTS_DIR=out LAMBDA_PLATFORM=x86_64-manylinux_2_28

# Amazon Linux 2023, under Lambda's Python 3.12 and later, has glibc 2.34.
LAMBDA_PLATFORM ?= aarch64-manylinux_2_28
LAMBDA_PYTHON ?= 3.13

# Versions and hashes are those of the lock file.
lambda-target = --quiet --only-binary :all: --constraints requirements.lock \
	--python-platform $(LAMBDA_PLATFORM) --python-version $(LAMBDA_PYTHON)
lambda-resolve = uv pip compile --no-header --no-annotate $(lambda-target) pyproject.toml
lambda-install = uv pip install --no-deps $(lambda-target)
# Which packages the core layer and each extra need; kept, since finding out takes longest.
lambda-lists = .aws-sam/packages/$(LAMBDA_PLATFORM)-$(LAMBDA_PYTHON)

.PHONY: build-RuntimeLayer build-CoreLayer build-ChatFunction build-ApiFunction \
	build-IngestFunction build-MaintainFunction build-MigrateFunction

build-RuntimeLayer:
	@mkdir -p $(ARTIFACTS_DIR)/python
	@cp layers/runtime/tailrace-runtime $(ARTIFACTS_DIR)
	@cp -R layers/runtime/python/tailrace_runtime $(ARTIFACTS_DIR)/python
	$(call lambda-finish,runtime layer)

build-CoreLayer: $(lambda-lists)/core.txt
	@$(lambda-install) --target $(ARTIFACTS_DIR)/python -r $<
	@cp -R layers/core/python/tailrace $(ARTIFACTS_DIR)/python
	$(call lambda-finish,core layer)

build-ChatFunction: $(lambda-lists)/providers.txt $(lambda-lists)/attachments.txt
	$(call lambda-function,chat)

# Its catalogue asks providers, and tells prices.
build-ApiFunction: $(lambda-lists)/api.txt $(lambda-lists)/attachments.txt \
		$(lambda-lists)/powertools.txt $(lambda-lists)/pricing.txt $(lambda-lists)/providers.txt
	$(call lambda-function,api)

build-IngestFunction: $(lambda-lists)/pricing.txt $(lambda-lists)/powertools.txt \
	$(lambda-lists)/sqs.txt
	$(call lambda-function,ingest)

build-MaintainFunction: $(lambda-lists)/archive.txt $(lambda-lists)/mail.txt \
		$(lambda-lists)/powertools.txt
	$(call lambda-function,maintain)

build-MigrateFunction: $(lambda-lists)/powertools.txt
	$(call lambda-function,migrate)

# Functions are built side by side: a list is moved into place whole.
$(lambda-lists)/core.txt: pyproject.toml requirements.lock
	@mkdir -p $(@D)
	@$(lambda-resolve) > $@.$$$$ && mv $@.$$$$ $@

# What an extra adds to the core layer, and nothing that the layer has already.
$(lambda-lists)/%.txt: $(lambda-lists)/core.txt
	@$(lambda-resolve) --extra $* > $@.all.$$$$ && grep -vxF -f $< $@.all.$$$$ > $@.$$$$ \
		&& rm $@.all.$$$$ && mv $@.$$$$ $@

# SAM's pins clash with ours, so it lives in an environment of its own.
.PHONY: build deploy destroy
build: .venv-sam/bin/sam ## Pack layers and functions for Lambda into .aws-sam/build
	@SAM_CLI_TELEMETRY=0 $< build

# Name of the stack, and a TOML file of its parameters where it is not all defaults.
STACK ?= tailrace
PARAMETERS ?= $(wildcard parameters.toml)

deploy: build $(venv) $(page) ## Deploy to the AWS account of the environment, as STACK
	@.venv/bin/python -m deploy up $(STACK) $(PARAMETERS)

destroy: $(venv) ## Delete what was deployed, after a question
	@.venv/bin/python -m deploy down $(STACK)

# For the machine that the emulator runs on; LAMBDA_PYTHON is the version that it has.
.PHONY: build-emulated localstack
build-emulated: export LAMBDA_PLATFORM = $(shell uname -m)-manylinux_2_28
build-emulated: .venv-sam/bin/sam
	@SAM_CLI_TELEMETRY=0 $< build --build-dir .aws-sam/emulated

# The emulator of the tests; its pins clash with ours.
.venv-ministack/bin/ministack: tests/acceptance/aws/ministack.lock | $(tools)
	@uv venv --quiet --clear .venv-ministack
	@uv pip sync --quiet --python .venv-ministack $<
	@touch $@

localstack: build-emulated $(venv) $(page) ## Deploy to the emulator at AWS_ENDPOINT_URL, and serve the page
	@.venv/bin/python -m localstack.emulated --stack $(STACK) deploy
	@exec .venv/bin/python -m localstack.emulated --stack $(STACK) serve

.venv-sam/bin/sam: tests/acceptance/aws/sam.lock | $(tools)
	@uv venv --quiet --clear .venv-sam
	@uv pip sync --quiet --python .venv-sam $<
	@touch $@

# What scans template.yaml in tests; its pins clash with SAM's too.
.venv-checkov/bin/checkov: tests/acceptance/aws/checkov.lock | $(tools)
	@uv venv --quiet --clear .venv-checkov
	@uv pip sync --quiet --python .venv-checkov $<
	@touch $@

define lambda-function
	@mkdir -p $(ARTIFACTS_DIR)
	$(if $^,@$(lambda-install) --target $(ARTIFACTS_DIR) $(foreach list,$^,-r $(list)))
	@cp functions/$(1)/handler.py $(ARTIFACTS_DIR)
	$(call lambda-finish,$(1) function)
endef

# The services of AWS whose descriptions are packed: botocore brings those of all, most of its size.
lambda-services = bedrock bedrock-runtime s3 secretsmanager sesv2 sns sqs ssm sts

# What of PyArrow is for other formats, stores and protocols: a third of it. The rest is linked
# together, and loads only whole.
lambda-arrow = libarrow_flight* libarrow_python_flight* libarrow_s3* _acero.* _azurefs.* _dataset* \
	_feather.* _flight.* _gcsfs.* _hdfs.* _orc.* _pyarrow_cpp_tests.* _s3fs.* _substrait.* *.pxi

# Drop what no function runs. Lambda's file system is read-only, so bytecode that is not packed is
# compiled again at every cold start: pack it where an interpreter of that version is at hand.
define lambda-finish
	@rm -rf $(ARTIFACTS_DIR)/bin $(ARTIFACTS_DIR)/python/bin
	@find $(ARTIFACTS_DIR) \( -name tests -o -name __pycache__ \) -type d -prune -exec rm -r {} +
	@find $(ARTIFACTS_DIR) -type f \( -name '*.py[ix]' -o -name '*.pxd' -o -name '*.[ch]' -o -name '.*' \) \
		-delete
	@if [ -d $(ARTIFACTS_DIR)/botocore/data ]; then \
		cd $(ARTIFACTS_DIR) && find botocore/data -mindepth 1 -maxdepth 1 -type d \
			$(foreach service,$(lambda-services),! -name $(service)) -exec rm -r {} +; \
	fi
	@if [ -d $(ARTIFACTS_DIR)/pyarrow ]; then \
		cd $(ARTIFACTS_DIR)/pyarrow && rm -rf include src $(lambda-arrow); \
	fi
	@if python=$$(uv python find --no-python-downloads $(LAMBDA_PYTHON) 2>/dev/null); then \
		$$python -m compileall -q --invalidation-mode unchecked-hash -s $(ARTIFACTS_DIR) $(ARTIFACTS_DIR); \
	else \
		echo "$(1): packed without bytecode, which makes cold starts longer:" \
			"uv python install $(LAMBDA_PYTHON)"; \
	fi
	@echo "$(1): $$(du -sh $(ARTIFACTS_DIR) | cut -f1)"
endef
