# The Lambda functions: their artifact, their template, and both under what AWS runs them with.

# Makes the bytecode, so it must be the version that Lambda runs.
PYTHON313 ?= python3.13
# For pyenv, whose `python3.13` works only where this version is chosen; nobody else reads it.
build-OnUpload build-OnBatchOperation bench-cold .venv-e2e/.installed .venv-ministack/.installed: export PYENV_VERSION := 3.13
NEEDS_313 = @$(PYTHON313) -c '' 2>/dev/null || { echo "This needs Python 3.13, which Lambda runs; name one: make PYTHON313=/its/path $(MAKECMDGOALS)" >&2; exit 1; }

SAM := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .venv-sam/bin/sam

.PHONY: build build-OnUpload build-OnBatchOperation validate sam-local bench-cold e2e

build: ## Build what Lambda runs into build/OnUpload (needs Python 3.13)
	rm -rf build/OnUpload
	@$(MAKE) --no-print-directory build-OnUpload ARTIFACTS_DIR=build/OnUpload

# `sam build` calls these, because of `BuildMethod: makefile` in template.yaml. Both functions are the
# same code.
build-OnUpload build-OnBatchOperation:
	$(NEEDS_313)
	$(PYTHON313) .ci/build_lambda.py "$(ARTIFACTS_DIR)"

validate: .venv-sam/.installed ## Check template.yaml
	$(SAM) validate --lint

sam-local: $(VENV)/.installed .venv-sam/.installed ## Run the function on a sample event in SAM's container (needs a container engine)
	$(SAM) build
	$(BIN)/python .ci/sam_local.py

bench-cold: $(VENV)/.installed build ## Measure a cold start of the artifact, part by part (needs Python 3.13)
	$(BIN)/python -m tests.benchmarks.cold_start --python "$(PYTHON313)" --json docs/benchmarks/cold_start.json

# The options of pyproject.toml keep these tests out of `make test`.
e2e: $(VENV)/.installed .venv-sam/.installed .venv-e2e/.installed .venv-ministack/.installed build ## Run the artifact under Lambda's emulator, and deployed into a local cloud (Linux, Python 3.13)
	$(BIN)/python -m pytest --override-ini addopts= tests/e2e

# Each file of requirements is complete, extras and all: pip has nothing to resolve.
.venv-sam/.installed: requirements/sam.txt
	$(PYTHON) -m venv .venv-sam
	.venv-sam/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

.venv-e2e/.installed: requirements/e2e.txt
.venv-ministack/.installed: requirements/ministack.txt
.venv-e2e/.installed .venv-ministack/.installed:
	$(NEEDS_313)
	$(PYTHON313) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@
