# `make demo` and `make test` do all set-up themselves, in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UI := core/review-ui
MODULES := $(UI)/node_modules/.package-lock.json
NPM := PATH=$(abspath $(BIN)):$$PATH npm --prefix $(UI)
PAGE := core/src/hyla/review/static

.PHONY: demo test lint format bench bench-decide bench-review constraints clean ui ui-check wire

demo: $(READY)
	$(BIN)/hyla demo

test: lint ui-check
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(NPM) run format

# The review page is built into the package, so that who installs Hyla needs no Node.
ui: $(MODULES)
	$(NPM) run build

ui-check: $(MODULES)
	$(BIN)/python $(UI)/scripts/openapi.py | diff $(UI)/openapi.json -
	$(NPM) run check
	$(NPM) test
	$(NPM) run build -- --outDir $(abspath $(VENV))/page --emptyOutDir --logLevel warn
	diff -r $(VENV)/page $(PAGE) || { echo 'the built page is older than its source: make ui'; exit 1; }

# The types of what travels between page and server.
wire: $(MODULES)
	$(BIN)/python $(UI)/scripts/openapi.py > $(UI)/openapi.json
	$(NPM) run types

$(MODULES): $(UI)/package-lock.json $(READY)
	$(NPM) ci --silent
	touch $@

bench: $(READY)
	$(BIN)/python benchmarks/overhead/run.py

bench-decide: $(READY)
	$(BIN)/python benchmarks/decide/labels.py $(HYLA_BENCH_LABELS)
	$(BIN)/python benchmarks/decide/coco.py --write
	$(BIN)/python benchmarks/decide/scale.py

bench-review: $(READY)
	$(BIN)/python benchmarks/review/run.py

# The type stubs of numpy 2.5 refuse plain calls such as array.min().
constraints: $(READY)
	printf './core[decide,maps]\n./plugins/driving[onnx,openvino]\n./plugins/healthcare[ocr]\n./plugins/agriculture\n./plugins/retail[ann,recommend]\n./plugins/surveillance\nnumpy<2.5\n' > .requirements.in
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile .requirements.in --group test --universal --python-version 3.11 --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links | grep -v '^\./' > .constraints.new
	{ head -n 1 constraints.txt; cat .constraints.new; } > .constraints.out && mv .constraints.out constraints.txt
	rm .requirements.in .constraints.new

$(READY): pyproject.toml constraints.txt core/pyproject.toml $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt --group test -e 'core[decide,maps]' -e 'plugins/driving[onnx,openvino]' -e 'plugins/healthcare[ocr]' -e plugins/agriculture -e 'plugins/retail[ann,recommend]' -e plugins/surveillance
	touch $@

clean:
	rm -rf $(VENV) hyla-out dist $(UI)/node_modules
