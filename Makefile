# make demo: a first dataset and its picture.   make test: the checks and the tests.   make docs: the site.   Everything stays
# in this folder.
#
# The interpreter, the build of torch and the folders can be chosen:
#   make demo PYTHON=python3.12
#   make demo TORCH='torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu'    (on Linux: 0.2 GB instead of 3)

PYTHON ?= python3
TORCH  ?= torch==2.13.0
ESCNN  ?= escnn==1.0.11
VENV   ?= .venv
JOBS   ?= 2
DEMO   ?= demo
# What reads files beside the code, starts commands, or runs without escnn: where a wheel can differ from a checkout.
WHEEL_TESTS ?= tests/cli tests/hostile tests/repository tests/symdata/hub tests/symdata/installation \
  tests/symdata/store tests/zoo/checkpoint tests/zoo/hub tests/zoo/models tests/zoo/references

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The threads of libgomp spin while they wait, which on a busy machine costs more than they bring.
export OMP_WAIT_POLICY ?= PASSIVE
# Real images for the tests that want them; those tests say why they skip where there are none.
export SYMDATA_TEST_DATA ?= $(wildcard $(abspath ../shared/data))

# What depends most on the version of torch: compiling, exporting, models of transformers, training. The fast ones.
TORCH_TESTS ?= tests/symdata/transforms/test_compile.py tests/zoo/deployment/test_formats.py \
  tests/zoo/models/test_exported.py tests/zoo/references/test_adapters.py tests/zoo/training/test_loop.py
OLDEST ?= torch==2.6.0
NEWEST ?= torch==2.14.1

.PHONY: help demo test lint docs oldest newest torch-test wheel-test clean
help:
	@echo 'make demo        a first dataset and its picture, in $(DEMO)/'
	@echo 'make test        lint, types and tests'
	@echo 'make lint        lint and types'
	@echo 'make docs        the site of the README and docs/, in build/docs/'
	@echo 'make oldest      the tests of what depends on torch, with the oldest version of it, in $(VENV)-oldest'
	@echo 'make newest      the same with the newest one'
	@echo 'make wheel-test  the built wheel on its own, outside this folder, without escnn'
	@echo 'make clean       remove what the other targets made'

# The same seed gives the same bytes, so building it again is harmless.
demo: $(VENV)/.base
	$(BIN)/symdata make --symmetry d4-partial --out $(DEMO) --overwrite
	@echo 'The picture: $(abspath $(DEMO))/preview.png'

# Where Python is told to write no bytecode, every process that a test starts would compile the whole project.
test: lint
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# CI has one version of torch; these two are run by hand, before a release and when a new torch is out: each installs 3 GB.
oldest:
	$(MAKE) torch-test VENV=$(VENV)-oldest TORCH='$(OLDEST)'

newest:
	$(MAKE) torch-test VENV=$(VENV)-newest TORCH='$(NEWEST)'

torch-test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not slow and not exhaustive' $(TORCH_TESTS)

# Offline, and a warning is an error. build/notebooks keeps what the notebooks have printed.
docs: $(VENV)/.docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --quiet --fail-on-warning -d build/doctrees docs build/docs
	@echo 'The site: $(abspath build/docs)/index.html'

# A stamp is younger than what it was made from, or it is made again; a stopped installation leaves none.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 14) and \
	  "symdata needs Python 3.11 to 3.13, $(PYTHON) is %d.%d. For example: make PYTHON=python3.12 demo" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch first and by itself: it is the one package whose build is worth choosing.
$(VENV)/.base: $(VENV)/.python pyproject.toml
	$(PIP) $(TORCH)
	$(PIP) --editable .
	touch $@

# escnn without its dependencies: of those, py3nj wants Fortran and lie-learn wants numpy 1, and nothing planar uses them.
$(VENV)/.dev: $(VENV)/.base
	$(PIP) --editable '.[dev,planar]'
	$(PIP) --no-deps $(ESCNN)
	touch $@

$(VENV)/.docs: $(VENV)/.base
	$(PIP) --editable '.[docs]'
	touch $@

# Away from the checkout nothing can be found in it by accident: what the wheel does not carry is missing here.
# `make wheel-test WHEEL_TESTS=tests` runs all tests.
wheel-test:
	@set -e; room=$$(mktemp -d); trap 'rm -rf "$$room"' EXIT; set -x; \
	$(PYTHON) -m venv "$$room/venv"; \
	pip="$$room/venv/bin/python -m pip --quiet --disable-pip-version-check"; \
	$$pip wheel --no-deps --wheel-dir "$$room" .; \
	$$pip install $(TORCH); \
	$$pip install "$$(ls "$$room"/symdata-*.whl)[test]"; \
	cp -R tests pyproject.toml "$$room"; \
	cd "$$room"; unset PYTHONPATH; \
	venv/bin/symdata doctor; \
	venv/bin/symdata make --symmetry d4-partial --out demo; \
	SYMDATA_WITHOUT_ESCNN=1 OMP_NUM_THREADS=1 venv/bin/python -m pytest -n $(JOBS) --dist worksteal -m 'not checkout and not slow and not exhaustive' $(WHEEL_TESTS)

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest $(DEMO) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
