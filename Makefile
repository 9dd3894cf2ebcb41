# Quiver's commands for people. `make help` lists them.
# Everything is installed into .venv from locks with hashes; nothing is fetched at run time.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
LOCKED := install --only-binary :all: --require-hashes --no-deps
PYTEST := $(BIN)/python -m pytest

.PHONY: help install plots demo demo-encrypt demo-encrypt-long test test-system system-packages lint types bench docs chaos scale sim-long lock clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 18

$(VENV)/.run: requirements/run.txt pyproject.toml
	@$(PYTHON) scripts/check_machine.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages into $(VENV) ..." >&2
	@$(PIP) $(LOCKED) -r requirements/run.txt
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@$(PIP) $(LOCKED) -r requirements/dev.txt
	@touch $@

install: $(VENV)/.run  ## create .venv with .venv/bin/quiver

plots: $(VENV)/.run requirements/plots.txt  ## install what `quiver simulate --plots` needs beside
	@$(PIP) $(LOCKED) -r requirements/plots.txt

demo: $(VENV)/.run  ## start a QKD network on loopback, relay keys through it, print what happened
	@$(BIN)/quiver demo

demo-encrypt: $(VENV)/.run  ## traffic of two sites under relayed keys (WireGuard as root), while the network breaks; some 5 minutes
	@$(BIN)/quiver demo-encrypt

demo-encrypt-long: $(VENV)/.run  ## the same for 25 minutes: at least 10 changes of keys, no connection lost
	@$(BIN)/quiver demo-encrypt --rollovers 12

test: $(VENV)/.dev lint types  ## tests that need neither root nor Debian packages (at most 10 minutes)
	@$(PYTEST) -m alone
	@$(PYTEST) -m "not system and not processes and not alone" -n 2 --dist loadgroup

sim-long: $(VENV)/.dev  ## 20,000 seeds of the simulation in one run
	@$(BIN)/python -m tests.simulation.long_run --seeds 20000

chaos: $(VENV)/.dev  ## 200 random steps of kills, stops, restarts and cuts on real processes, some 5 minutes; SEED=N repeats one
	@$(BIN)/python -m tests.chaos.long_run --steps 200 $(if $(SEED),--seed $(SEED))

scale: $(VENV)/.run  ## 145 emulated nodes under one controller: times of reroutes, some 3 minutes
	@$(BIN)/quiver bench reroute

system-packages:  ## install what test-system needs (root, Debian)
	@scripts/system-packages.sh

test-system: $(VENV)/.dev  ## what `test` leaves out: foreign programs, namespaces, and long runs of real processes
	@$(PYTEST) -m "system or processes"

lint: $(VENV)/.dev  ## style and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache >/dev/null \
	  || { $(BIN)/lint-imports --no-cache; exit 1; }

types: $(VENV)/.dev  ## mypy --strict
	@$(BIN)/mypy

bench: $(VENV)/.run  ## the benchmarks, each beside its ceiling
	@$(BIN)/quiver bench all

lock:  ## resolve the locks anew (needs uv on the path)
	@scripts/lock.sh

clean:  ## remove .venv and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build src/*.egg-info
