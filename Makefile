# `make` alone lists the targets: the text after `##`.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := $(wildcard cmbagent_otel collector tests examples benchmarks docs)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(READY) ## make .venv with all that the other targets need (PYTHON=python3.12 chooses another Python)

# Installed anew only when what is to be installed has changed.
$(READY): pyproject.toml constraints/autogen-0.14.1.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || { \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) can't make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }; \
	  $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints/autogen-0.14.1.txt --editable '.[dev]'
	@touch $@

.PHONY: demo
demo: $(READY) ## run a real multi-agent workflow offline and show its graph (ARGS=--live uses OpenAI)
	@$(BIN)/python examples/demo.py $(ARGS)

.PHONY: test
test: $(READY) ## run the tests, on SQLite and on a real PostgreSQL (PYTEST_ARGS='-k redo -x'; '-n 0' for one at a time)
	$(BIN)/python -m pytest -p no:inline_snapshot -n 2 --dist loadscope $(PYTEST_ARGS)

.PHONY: fmt
fmt: $(READY) ## format the code and mend what the linter can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

.PHONY: lint
lint: $(READY) ## check style and format
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

.PHONY: types
types: $(READY) ## check types, strictly
	$(BIN)/mypy $(CODE)

.PHONY: arch
arch: $(READY) ## check who imports whom
	$(BIN)/lint-imports

.PHONY: check
check: lint types arch test ## lint, types, arch and test

# What .ci/run runs. A file in mk/ adds what needs long builds: `CI += test-stack`.
CI := check

.PHONY: ci-targets
ci-targets:
	@echo $(CI)

.PHONY: docs
docs: $(READY) ## write the reference pages that come from code
	$(BIN)/python docs/generate.py

.PHONY: clean
clean: ## remove .venv and everything made by these targets
	rm -rf .venv* .bin build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis artefacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

-include mk/*.mk
