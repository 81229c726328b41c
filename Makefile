# Everything that people and CI run. `make` lists the targets; `make demo` and `make test` set themselves up.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/sterna-installed

# An index of torch without CUDA (several GB less). pip goes on without it where it cannot be reached.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# Test processes at once.
JOBS ?= 2

# Which of the mutants: part K of N, written K/N.
PART ?= 1/1

# What verilog, cosim, synth, report and bitstream work on.
MODEL ?= models/digits-mlp.safetensors
OUT ?= build/$(basename $(notdir $(MODEL)))
DEVICE ?= up5k
BOARD ?= icebreaker
DATASET ?= digits
SEEDS ?= 5

STERNA := $(BIN)/sterna
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help

.PHONY: help
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(INSTALLED)  ## Make the virtual environment, with pinned versions (any other target does it too)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Sterna needs Python 3.11 or later; set PYTHON to one, as in: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@for tool in g++ make perl; do command -v $$tool > /dev/null || \
	  { echo "$$tool is missing, and Verilator needs it; install it (Debian: apt-get install $$tool)"; exit 1; }; done
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python -m venv failed; on Debian, install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --retries 1 --timeout 10 --extra-index-url "$(TORCH_INDEX)" \
	  --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

.PHONY: demo
demo: $(INSTALLED)  ## From real data to a routed design, in minutes: train, export, Verilog, simulate, synthesize
	$(STERNA) demo

.PHONY: test
test: lint types pytest  ## Everything that must hold: lint, types, tests without the long regressions

.PHONY: pytest
pytest: $(INSTALLED)
	$(PYTEST) -m "not slow" -n $(JOBS) --dist loadscope --durations 25

.PHONY: test-long
test-long: $(INSTALLED)  ## The long regressions
	$(PYTEST) -m slow -n $(JOBS) --dist loadscope --durations 25

.PHONY: mutants
mutants: $(INSTALLED)  ## Break the sources one line at a time: tests must notice each; PART=2/6 tries a sixth
	$(BIN)/python tools/mutants.py --jobs $(JOBS) --part $(PART)

.PHONY: examples
examples: $(INSTALLED)  ## Run the examples
	$(BIN)/python examples/own_network.py build/own_network
	$(BIN)/python examples/embed/embed.py
	$(BIN)/python examples/brevitas_import.py build/brevitas_import
	$(BIN)/python examples/boards/digits_icebreaker.py

.PHONY: verilog
verilog: $(INSTALLED)  ## Verilog of MODEL (default: the digits network)
	$(STERNA) generate $(MODEL) --output $(OUT)

.PHONY: cosim
cosim: verilog  ## The emitted Verilog of MODEL against the golden model, on the test images of DATASET
	$(STERNA) simulate $(OUT) --dataset $(DATASET)

.PHONY: synth
synth: verilog  ## Place and route MODEL for DEVICE with SEEDS seeds
	$(STERNA) synth $(OUT) --device $(DEVICE) --seeds $(SEEDS)

.PHONY: bitstream
bitstream: $(INSTALLED)  ## A bitstream of MODEL for BOARD (sterna boards lists them), in build/NAME/
	$(STERNA) bitstream $(MODEL) --board $(BOARD)

.PHONY: report
report: $(INSTALLED)  ## What verilog, cosim and synth found out about MODEL
	$(STERNA) report $(OUT)

.PHONY: bench
bench: $(INSTALLED)  ## Measure every figure of docs/results.md
	$(BIN)/python benchmarks/run.py

.PHONY: lint
lint: $(INSTALLED)  ## Style: ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(INSTALLED)  ## Types: mypy
	$(BIN)/mypy

.PHONY: clean
clean:  ## Remove what the targets made, but not the virtual environment
	rm -rf build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
