# The three doors: `make demo` shows it, `make test` checks it, `make check` is the quick loop while working.
# `make prove` takes hours. A stamp in .venv remembers what is installed, so a second call installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test check prove lint

demo: export OMP_NUM_THREADS := $(shell getconf _NPROCESSORS_ONLN)
demo: $(VENV)/.installed
	$(BIN)/luthier demo

test: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not prove"

check: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not prove and not slow" --ignore=tests/e2e

prove: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m prove

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/mypy

# torch stands on its own line and first: left to the resolver, it may bring gigabytes of CUDA that a laptop has no use for.
$(VENV)/.torch:
	$(PYTHON) -c 'import sys; sys.exit("Luthier needs Python 3.11 or newer: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q "torch>=2.9,<2.14"
	touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.torch
	$(BIN)/pip install -q -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.torch
	$(BIN)/pip install -q -e ".[dev]"
	touch $@ $(VENV)/.installed
