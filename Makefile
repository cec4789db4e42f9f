# Two commands do everything on a machine with only Python >= 3.11, pip and make:
#   make demo    simulate a stack, find its particles, score them, show them in napari
#   make test    the tests
# Both install what they need into .venv first, and have nothing to do when nothing has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTED := $(VENV)/.tested
CONFIG ?= src/napari_colloids/training/bundled.toml
ARGS ?=
# Tests take one core each, but wait for files, processes and windows a fifth of the time: one more at a time than there
# are cores, up to four, for the sake of memory. What a file of tests sets up is made once, as one worker takes the whole
# file.
WORKERS = $(shell $(BIN)/python -c "import os; print(min((os.cpu_count() or 1) + 1, 4))")
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

SOURCES := $(shell find src -type f -not -path '*/__pycache__/*')
TESTS := $(shell find tests -type f -not -path '*/__pycache__/*')
DEMO := demo/stack.h5 demo/points.csv demo/scores.json demo/screenshot.png
SCREEN := $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname -s))

.PHONY: help demo test retest lint format typecheck train clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       simulate, detect, score; open napari, or take its picture where there is no display"
	@echo "make test       run the tests (make retest: even when nothing has changed; ARGS='-k io' chooses)"
	@echo "make lint       ruff"
	@echo "make format     let ruff lay out the code"
	@echo "make typecheck  mypy"
	@echo "make train      train the detector (CONFIG=$(CONFIG))"
	@echo "make clean      remove everything that was made here"

$(INSTALLED): pyproject.toml scripts/install.sh scripts/as_root.sh scripts/system_libraries.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/install.sh
	@touch $@

ifeq ($(strip $(SCREEN)),)
demo: $(DEMO)
	@echo "The demo's results are in demo/: $(notdir $(DEMO))"

# Without xvfb-run the demo says itself that it has no display, and does the rest.
$(DEMO) &: $(INSTALLED) $(SOURCES)
	@run=""; if command -v xvfb-run >/dev/null 2>&1; then run="xvfb-run -a -s '-screen 0 1920x1200x24'"; fi; \
	eval "$$run $(BIN)/napari-colloids demo --output demo --no-gui"
	@touch -c $(DEMO)
else
demo: $(INSTALLED)
	$(BIN)/napari-colloids demo --output demo
endif

test: $(if $(CI)$(ARGS),retest,$(TESTED))
	@echo "The tests have passed."

$(TESTED): $(INSTALLED) $(SOURCES) $(TESTS)
	$(PYTEST)
	@touch $@

retest: $(INSTALLED)
	$(PYTEST) $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

typecheck: $(INSTALLED)
	$(BIN)/mypy

train: $(INSTALLED)
	$(BIN)/napari-colloids train $(CONFIG)

clean:
	rm -rf $(VENV) build demo dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
