# Every target sets up what it needs; the environment is .venv in this folder.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-detection test test-quick fuzz test-native test-build fidelity lint types bench docs schema clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make the environment with everything installed

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "caffeflow needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torch,plot,coco,formats,onnx,dev]"
	@touch $@

demo: $(READY)  ## prepare real images, render a net, train, test, show the result
	bash examples/digits/run.sh

demo-detection: $(READY)  ## annotate, render a small SSD, train from scratch, test, draw boxes into pictures
	bash examples/detection/run.sh

test: $(READY)  ## run all tests that need no real Caffe
	$(BIN)/python -m pytest -q -m "not native and not build and not gpu" --durations=10

test-quick: $(READY)  ## run the tests that take under ten seconds each
	$(BIN)/python -m pytest -q -m "not slow and not native and not build and not gpu"

fuzz: $(READY)  ## fuzz the readers of files and the graph builder; MINUTES=10 of all targets together
	$(BIN)/python -m tests.support.fuzz.run --minutes $(or $(MINUTES),10)

test-native: $(READY)  ## set up the real Caffe once (Debian 11's package), and compare with it
	$(BIN)/python -m tests.native.setup_caffe
	$(BIN)/python -m tests.native.setup_source
	$(BIN)/python -m pytest -q -m native tests/native

test-build: $(READY)  ## patch, build, test and train with whole Caffe trees: CAFFEFLOW_TREES, or Debian's source
	$(BIN)/python -m tests.native.setup_source
	$(BIN)/python -m pytest -q -m build tests/native

fidelity: $(READY)  ## draw layers, nets and solvers, compare them with the real Caffe, write docs/fidelity.md
	$(BIN)/python -m tests.native.setup_caffe
	$(BIN)/python -m pytest -q -m fidelity tests/native --fidelity docs/fidelity.md

lint: $(READY)  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## check types
	$(BIN)/mypy

bench: $(READY)  ## measure caffeflow beside the real Caffe, in one run
	$(BIN)/python -m benchmarks.run

docs: $(READY)  ## regenerate the pages that come from tables
	$(BIN)/python -m docs.generate

schema: $(READY)  ## rebuild the descriptor sets after a change of a .proto file
	cd caffeflow/proto && for name in caffe weights; do \
	  ../../$(BIN)/python -m grpc_tools.protoc -I. --descriptor_set_out=$$name.desc --pyi_out=. $$name.proto; \
	done

clean:  ## remove everything that the targets made
	rm -rf $(VENV) build dist demo demo-detection .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
