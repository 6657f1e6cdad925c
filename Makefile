# Two commands: `make run` runs the node, `make test` passes the tests. Everything they need is installed by them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run demo test check faults benchmarks containers reference clean

run: $(VENV)/.installed
	@$(BIN)/python manage.py node

demo: $(VENV)/.installed
	@$(BIN)/python manage.py demo

test: $(VENV)/.installed-dev
	@sh tests/install_peers.sh
	@sh tests/run.sh

# One room or test: make check T=tests/watcher
check: $(VENV)/.installed-dev
	@sh tests/run.sh $(T)

SEED ?= 1
MINUTES ?= 3
faults: $(VENV)/.installed-dev
	@sh tests/install_peers.sh
	@sh tests/in_own_network.sh $(BIN)/python -m tests.faults --seed $(SEED) --minutes $(MINUTES)

benchmarks: $(VENV)/.installed-dev
	@sh tests/install_peers.sh
	@sh tests/in_own_network.sh $(BIN)/python -m tests.benchmarks

# Builds the image and tries it, alone and as docker-compose.yml runs it, where a container engine answers.
containers: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.containers

reference: $(VENV)/.installed
	@$(BIN)/python manage.py write_reference

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sendit needs Python 3.11 or later; set PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
