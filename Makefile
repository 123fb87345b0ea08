# `make demo` and `make test` do all set-up themselves, in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint format bench constraints clean

demo: $(READY)
	$(BIN)/hyla demo

test: lint
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python benchmarks/overhead/run.py

# The type stubs of numpy 2.5 refuse plain calls such as array.min().
constraints: $(READY)
	printf './core\n./plugins/driving[onnx,openvino]\nnumpy<2.5\n' > .requirements.in
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile .requirements.in --group test --universal --python-version 3.11 --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links | grep -v '^\./' > .constraints.new
	{ head -n 1 constraints.txt; cat .constraints.new; } > .constraints.out && mv .constraints.out constraints.txt
	rm .requirements.in .constraints.new

$(READY): pyproject.toml constraints.txt core/pyproject.toml $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt --group test -e core -e 'plugins/driving[onnx,openvino]'
	touch $@

clean:
	rm -rf $(VENV) hyla-out dist
