# What README.md names. A machine with Python 3.11 and make needs nothing else: every target sets itself up in .venv.
# pip takes its packages from wherever it is configured to.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo serve test check bench notebooks lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## simulate a market, train, serve on 127.0.0.1:8000 (ONCE=1: check itself and exit; PORT=...)
	$(BIN)/smarketing demo --dir .demo $(if $(ONCE),--once,--port $(PORT))

serve: $(STAMP) ## serve the ledger of this directory
	$(BIN)/smarketing serve --port $(PORT)

test: $(STAMP) ## run the tests
	$(BIN)/pytest

check: $(STAMP) ## format, lint, types, layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(STAMP) ## run every benchmark, one after the other
	@for script in $$(grep -l __main__ benchmarks/*.py); do \
		module=benchmarks.$$(basename $$script .py); echo "== $$module"; $(BIN)/python -m $$module || exit 1; \
	done

notebooks: $(STAMP) ## write notebooks/*.ipynb anew from the .py files beside them
	$(BIN)/jupytext --quiet --to ipynb notebooks/*.py

lock: ## resolve the requirements anew (needs uv)
	uv pip compile $(LOCK) --group build pyproject.toml -o requirements/serving.txt
	uv pip compile $(LOCK) --group dev --extra training pyproject.toml -o requirements/all.txt

LOCK := --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --annotation-style line \
	--python-version 3.11 --python-platform linux --custom-compile-command "make lock"

clean: ## remove the virtual environment, the demo and all caches
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements/all.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "Smarketing needs Python 3.11; found: $$("$(PYTHON)" --version 2>/dev/null || echo none)."; \
		echo "Next: install it (Debian: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.11"; \
		exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "This Python can not make virtual environments."; \
		echo "Next: install them (Debian: apt install python3-venv)"; \
		exit 1; }
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/all.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@$(BIN)/python -c 'import lightgbm' 2>/dev/null || { \
		echo "LightGBM can not be loaded, most often because the OpenMP library is missing:"; \
		$(BIN)/python -c 'import lightgbm' 2>&1 | tail -n 1; \
		echo "Next: install it (Debian: apt install libgomp1)"; \
		exit 1; }
	@touch $@
