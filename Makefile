# Everything runs from .venv. `make PYTHON=python3.13 …` chooses the interpreter that it is made from.
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCKS := requirements.txt requirements-dev.txt
UV_PINNED := $$(sed -n 's/^\(uv==[^ ;]*\).*/\1/p' requirements-dev.txt)

# `airflow` has to be found by Airflow itself, which starts its parts by that name.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

# Tests wait for sleeps, servers and Airflow more than they compute: more processes than cores run them.
WORKERS ?= 6
PYTEST := $(RUN) $(BIN)/python -m pytest -n $(WORKERS)

# The plugins folder is on the path, as Airflow puts it there; the package is never installed here.
export PYTHONPATH := $(CURDIR)/plugins:$(CURDIR)
# Without .pyc files Airflow takes twice as long to start.
unexport PYTHONDONTWRITEBYTECODE
# uv would install into an environment that happens to be active.
unexport VIRTUAL_ENV
# The machine's own list of authorities, as pip and git use it: behind a proxy that opens TLS only that one works.
export UV_SYSTEM_CERTS ?= 1
# The cache and .venv may be on different disks, where uv would warn of every hard link that fails.
export UV_LINK_MODE ?= copy
# A mirror that was set for pip is meant for uv, too.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo ui unit test test-long torture mutants bench simulate house check format lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv ready (every other target does it, too)

demo: $(READY) ## run the daily report end to end: a service, a MongoDB, an Airflow
	@$(RUN) $(BIN)/python -m demo $(ARGS)

ui: $(READY) ## the same with Airflow's UI on 127.0.0.1, until Ctrl-C
	@$(RUN) $(BIN)/python -m demo --ui $(ARGS)

unit: $(READY) ## run the quick tests: values, control, staging
	@$(PYTEST) -m "not long" tests/values tests/control tests/staging $(ARGS)

test: $(READY) ## run the tests, all but the long ones (make test ARGS="-k codec -x")
	@$(PYTEST) -m "not long" $(ARGS)

test-long: $(READY) torture ## run the long tests, and those of chance with many more tries
	@FANOUT_KILLS=20 $(PYTEST) -m "long or slow and not airflow" $(ARGS)

torture: $(READY) ## the long torture tests (make torture SEED=7 repeats one that has failed)
	@$(RUN) TORTURE=long TORTURE_SEED=$(SEED) $(BIN)/python -m pytest -s tests/torture $(ARGS)

mutants: $(READY) ## change the deciding code on purpose; do its tests notice? (a part: make mutants ARGS="control.retry")
	@$(RUN) $(BIN)/python -m tests.mutants $(ARGS)

bench: $(READY) ## compare clients and the engine (a part: make bench ARGS="--rounds 1 --only plain")
	@$(RUN) $(BIN)/python -m bench $(ARGS)

simulate: $(READY) ## the control loop in virtual time, up to 100 million parameters (a part: make simulate ARGS="--only nodes")
	@$(RUN) $(BIN)/python -m simulation $(ARGS)

house: $(READY) ## count the rooms, the imports between them and the lengths (another checkout: make house ARGS=path)
	@$(RUN) $(BIN)/python -m tests.house $(ARGS)

check: $(READY) ## lint, format, types, import rules, the files for Kubernetes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.kubernetes

format: $(READY) ## put the code into its form, and repair what can be repaired
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The deployment has the most to agree on, so it is resolved first and the other two follow it.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command 'make lock' $(ARGS) pyproject.toml

lock: $(BIN)/uv ## pin the requirements from pyproject.toml (newest: make lock ARGS=--upgrade)
	$(COMPILE) --extra deploy --output-file requirements-deploy.txt
	$(COMPILE) --constraints requirements-deploy.txt --output-file requirements.txt
	$(COMPILE) --constraints requirements-deploy.txt --group dev --output-file requirements-dev.txt

clean: ## remove everything that make made, .venv included
	rm -rf $(VENV) .demo .airflow .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): $(LOCKS) | $(BIN)/uv
	@echo 'Installing requirements-dev.txt into $(VENV) …'
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirements requirements-dev.txt
	@touch $@

$(BIN)/uv:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "make: there is no $(PYTHON) on the PATH. Name a Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is $$("$(PYTHON)" --version 2>&1), but Python 3.11 or newer is needed:" \
	    "make PYTHON=python3.12 …" >&2; exit 1; }
	@echo 'Making $(VENV) with '"$$("$(PYTHON)" --version)"' …'
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "$(UV_PINNED)"
