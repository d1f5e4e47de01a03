# The system's own Python where it will do: distributions build it with profiles, which makes it faster than one
# compiled without them.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
CODE := demo api imports client people records journeys identity storage keeper witness consent ledger crypto durable synthetic tests benchmarks examples

.PHONY: setup demo test lint unit integration deep bench compare image lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Heartwood needs Python 3.11 or later; this is $$($(PYTHON) --version). Set PYTHON=…"; exit 1; }
	@echo "creating $(VENV) and installing the locked dependencies"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	@$(BIN)/heartwood demo

test: lint unit integration

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

unit: setup
	$(BIN)/python -m pytest tests/unit -n 2

integration: setup
	TMPDIR=$$($(BIN)/python -m tests.support.temporary) $(BIN)/python -m pytest tests/integration -n 2 --dist worksteal -rs

deep: setup
	$(BIN)/python -m tests.deep

bench: setup
	$(BIN)/python -m benchmarks

compare: $(VENV)/.compare
	$(BIN)/python -m benchmarks compare

$(VENV)/.compare: $(VENV)/.ready requirements/bench.lock
	@echo "installing what Heartwood is compared with"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	@touch $@

ENGINE ?= podman

image:
	$(ENGINE) build -f deploy/container/Containerfile -t heartwood .

lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/run.in -o requirements/run.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/dev.in -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/bench.in -o requirements/bench.lock

clean:
	rm -rf $(VENV) heartwood-demo
