# Two commands on a fresh machine: `make demo` and `make test`. Both do their own set-up.
PYTHON ?= python3
BIN := .venv/bin
# Python compiles a module when it is first imported; to compile all of them takes half of the time.
# So it has to keep what it compiles, also where the environment says that it should not: every
# process would compile everything again.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --constraint constraints.txt

# Which tests run in the same process says tests/support/distribution.py.
IN_PARALLEL := --numprocesses auto --no-loadscope-reorder

# Pyright reads the folders under their import name, by the links of build/view.
_TYPED := 'engine/*.py' 'serving/*.py' 'training/*.py' ':!serving/client'
_CHANGED = { git diff --name-only --diff-filter=d HEAD -- $(_TYPED); git ls-files --others --exclude-standard -- $(_TYPED); } | sed 's,^,build/view/mersalg/,'

.PHONY: help demo test fast lint types contracts native client docs pages benchmarks soak release-check clean

help:
	@echo "make demo        train, serve, replay simulated shoppers, print both rates (ONCE=1 exits after,"
	@echo "                 FULL=1 trains on all households, not on a sample)"
	@echo "make test        everything: lint, types, import contracts, all tests"
	@echo "make fast        for the minute between two edits: lint, types of what changed, and the tests"
	@echo "                 that start no process and train no model"
	@echo "make client      write the Python client's types again from the OpenAPI document"
	@echo "make native      compile the extension module after an edit of engine/native"
	@echo "make docs        build the documentation site in build/docs, without a network; a broken link fails"
	@echo "make pages       write the pages of the reference again from the code"
	@echo "make benchmarks  speed against the peer or the floor, in the same run"
	@echo "make release-check  build wheel and sdist of both distributions, check and install them"
	@echo "make soak        the service under steady load for half an hour (MINUTES=5 for less), items"
	@echo "                 that sell out, then kills and random repetitions in their large numbers"

demo: .venv/demo.stamp
	$(BIN)/mersalg demo $(if $(filter 1,$(FULL)),--full) $(if $(filter 1,$(ONCE)),--once) $(DEMO_FLAGS)

# There is a test process for every core: threads of the linear algebra library would only wait.
test fast: export OMP_NUM_THREADS = 1
test fast: export OPENBLAS_NUM_THREADS = 1

test: .venv/dev.stamp lint
	@sh tests/support/system_packages.sh
	$(BIN)/pytest $(IN_PARALLEL) $(PYTEST_FLAGS)

fast: export MERSALG_TEST_EFFORT = fast
fast: .venv/dev.stamp lint
	@changed="$$($(_CHANGED))"; [ -z "$$changed" ] || $(BIN)/pyright $$changed
	$(BIN)/pytest --fast $(IN_PARALLEL) -p no:schemathesis -r fE $(PYTEST_FLAGS)

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: .venv/dev.stamp
	$(BIN)/pyright

contracts: .venv/dev.stamp
	$(BIN)/lint-imports

native: .venv/dev.stamp
	$(BIN)/python engine/native/build.py

client: .venv/dev.stamp
	$(BIN)/python -m tests.support.client_models

pages: .venv/dev.stamp
	$(BIN)/python -m tests.support.shop_page
	$(BIN)/python -m tests.support.number_pages
	$(BIN)/python -m tests.support.reference_pages

docs: .venv/dev.stamp
	$(BIN)/zensical build --strict --clean

benchmarks: export PYTHONPATH = serving/client
benchmarks: .venv/dev.stamp
	@for benchmark in mining reading importing cross_sell rolled_up slate collector serving model_swaps steadiness; do $(BIN)/python -m tests.benchmarks.$$benchmark || exit 1; done

soak: .venv/dev.stamp
	$(BIN)/python -m tests.benchmarks.soak $(MINUTES)
	$(BIN)/python -m tests.benchmarks.sold_out
	MERSALG_TEST_EFFORT=thorough $(BIN)/pytest -m thorough $(PYTEST_FLAGS)

release-check: .venv/dev.stamp
	rm -rf dist
	$(PIP) build twine
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --outdir dist serving/client
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/pytest -n0 tests/end_to_end/test_package.py

clean:
	rm -rf .venv .demo engine/native/kernels*.so .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache dist

.venv/bin/python:
	@echo "making a virtual environment in .venv: some seconds ..."
	@sh tests/support/virtual_environment.sh $(PYTHON) .venv

.venv/demo.stamp: .venv/bin/python pyproject.toml constraints.txt
	@sh tests/support/python_headers.sh $(BIN)/python
	@echo "installing mersalg[demo] into .venv, this time only: a minute or two, downloads included ..."
	@$(PIP) --editable '.[demo]'
	@touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml constraints.txt
	@sh tests/support/python_headers.sh $(BIN)/python
	@echo "installing mersalg[dev] ..."
	@$(PIP) --editable '.[dev]'
	@touch $@ .venv/demo.stamp
