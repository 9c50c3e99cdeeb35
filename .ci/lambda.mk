# The Lambda functions: build the artifact, check the template, and run both as AWS does.

# This Python compiles the bytecode, so it must be the version that Lambda runs.
PYTHON313 ?= python3.13
# Only pyenv reads this. Its `python3.13` works only if that version is selected.
build-OnUpload build-OnBatchOperation build-OnResult package reproducible bench-cold .venv-e2e/.installed .venv-ministack/.installed: export PYENV_VERSION := 3.13
NEEDS_313 = @$(PYTHON313) -c '' 2>/dev/null || { echo "This target needs Python 3.13, the version that Lambda runs. Pass its path: make PYTHON313=/path/to/python3.13 $(MAKECMDGOALS)" >&2; exit 1; }

SAM := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .venv-sam/bin/sam

.PHONY: build build-OnUpload build-OnBatchOperation build-OnResult package reproducible validate sam-local bench-cold e2e e2e-sam

build: ## Build the Lambda artifact into build/OnUpload (needs Python 3.13)
	rm -rf build/OnUpload
	@$(MAKE) --no-print-directory build-OnUpload ARTIFACTS_DIR=build/OnUpload

# `sam build` calls these targets because of `BuildMethod: makefile` in template.yaml. All functions run the
# same code.
build-OnUpload build-OnBatchOperation build-OnResult:
	$(NEEDS_313)
	$(PYTHON313) .ci/build_lambda.py "$(ARTIFACTS_DIR)"
	$(PYTHON313) .ci/sbom.py "$(ARTIFACTS_DIR)" "$(ARTIFACTS_DIR)/sbom.cdx.json"

package: build ## Build the Lambda artifact and zip it into build/reviewbox-lambda.zip (needs Python 3.13)
	$(PYTHON313) .ci/pack_lambda.py build/OnUpload build/reviewbox-lambda.zip

# The second build uses a different folder, umask, order of sets and file times.
reproducible: package ## Build the Lambda artifact a second time, and fail if the zip file differs (needs Python 3.13)
	rm -rf build/again
	umask 077 && PYTHONHASHSEED=1 $(MAKE) --no-print-directory build-OnUpload ARTIFACTS_DIR=build/again
	$(PYTHON313) .ci/pack_lambda.py build/again build/again.zip
	cmp build/reviewbox-lambda.zip build/again.zip

validate: .venv-sam/.installed ## Check template.yaml
	$(SAM) validate --lint

sam-local: $(VENV)/.installed .venv-sam/.installed .venv-e2e/.installed ## Run the function on a sample event in SAM's container (needs a container engine)
	$(SAM) build
	$(BIN)/python .ci/sam_local.py

bench-cold: $(VENV)/.installed build ## Measure each part of a cold start of the artifact (needs Python 3.13)
	$(BIN)/python -m tests.benchmarks.cold_start --python "$(PYTHON313)" --json docs/benchmarks/cold_start.json

# The pytest options in pyproject.toml exclude these tests, so they are reset.
e2e: $(VENV)/.installed .venv-sam/.installed .venv-e2e/.installed .venv-ministack/.installed build ## Run the artifact in Lambda's emulator, and deploy it to a local cloud (Linux, Python 3.13)
	$(BIN)/python -m pytest --override-ini addopts= --ignore=tests/e2e/test_sam.py tests/e2e

e2e-sam: $(VENV)/.installed .venv-sam/.installed .venv-e2e/.installed ## Run both functions in SAM's containers (needs a container engine; SKIP_SAM=1 skips this without one)
	@.ci/e2e_sam

# Each requirements file lists all dependencies, so pip has nothing to resolve.
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
