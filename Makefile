# Breachline's few commands, the same for people and for CI. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet --no-input
SETUP := $(VENV)/.setup-done
DEV := $(VENV)/.dev-done
BENCH := .venv-bench

# Words for the shell: the first Python of at least 3.11 that really runs. PYTHON=... chooses another.
PYTHON ?=
FIND_PYTHON = for name in $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14; do \
	    if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	        2>/dev/null; then python="$$name"; break; fi; done; \
	if [ -z "$${python:-}" ]; then \
	    echo "make: building $(VENV): no Python 3.11 or newer with venv was found on PATH." \
	        "Install python3.11 (on Debian and Ubuntu also python3.11-venv)," \
	        "or name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; fi

.PHONY: help setup dev run check test bench bench-kafka bench-evidence bench-sources chaos lock up down clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' \
	    | while IFS=$$'\t' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

setup: $(SETUP) ## build .venv from requirements.lock (needs Python 3.11 and nothing else)

# A stamp, so that nothing is repeated until a lock or the packaging changes.
$(SETUP): requirements.lock pyproject.toml
	@if ! $(PY) -c 'import pip' 2>/dev/null; then \
	    $(FIND_PYTHON); \
	    echo "building $(VENV) with $$("$$python" --version)"; \
	    "$$python" -m venv --clear $(VENV); \
	fi
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

dev: $(DEV) ## add what the tests need

$(DEV): $(SETUP) requirements-dev.lock
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# LOG reaches the program through the environment, so that a name may hold spaces.
export LOG
run: $(SETUP) ## watch a log: make run LOG=access.log [ONCE=1]; without LOG, the bundled example
	@if [ -n "$${LOG:-}" ]; then exec $(VENV)/bin/breachline run "$$LOG" $(if $(ONCE),--once); \
	else exec $(VENV)/bin/breachline run --example; fi

define STATIC
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/mypy --no-error-summary
	$(VENV)/bin/mypy --no-error-summary tests benchmarks
endef
# More workers than this start slower than they test. The tests of a file share what it starts.
PYTEST := $(VENV)/bin/pytest -q -n auto --maxprocesses 8 --dist loadfile

# Left to `test`, beside what needs a second process: whole runs, and properties over many examples.
WHOLE := contract e2e faults golden property stack

check: $(DEV) ## lint, types and unit tests
	$(STATIC)
	$(PYTEST) -m "not stack" --hypothesis-profile few $(WHOLE:%=--ignore=tests/%)

test: $(DEV) ## everything: lint, types and all tests
	$(STATIC)
	$(PYTEST)

bench: $(SETUP) ## lines/s of scan beside a reference loop on the same bytes, and of parsing by format
	@$(PY) -m benchmarks.scan
	@$(PY) -m benchmarks.formats

# Other stream processors have an environment of their own: their pins must never meet the product's.
$(BENCH)/.done: benchmarks/requirements-bench.lock
	@if ! $(BENCH)/bin/python -c 'import pip' 2>/dev/null; then \
	    $(FIND_PYTHON); "$$python" -m venv --clear $(BENCH); \
	fi
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --quiet --no-input \
	    install --require-hashes --only-binary :all: -r $< \
	    || { echo "make: $(BENCH): Quix Streams or Bytewax has no build for this machine" \
	        "($$($(BENCH)/bin/python --version), $$(uname -sm)): NOTHING WAS COMPARED." >&2; exit 1; }
	@touch $@

bench-kafka: $(DEV) $(BENCH)/.done ## a worker on a real Kafka beside bare Faust, Quix Streams and Bytewax
	@$(PY) -m benchmarks.kafka

bench-evidence: $(DEV) ## the log, its check, a real Elasticsearch and look-backs beside bare figures
	@$(PY) -m benchmarks.evidence

bench-sources: $(DEV) ## a million requests joined; a million lines of a real rsyslog over three kills
	@$(PY) -m benchmarks.join
	@$(PY) -m benchmarks.shipping

chaos: $(DEV) ## kill, freeze and cut off workers and brokers; writes docs/reliability.md (an hour)
	@$(PY) -m benchmarks.chaos

# uv only resolves; it comes into a throw-away environment. UPGRADE=1 takes newer versions.
UV_COMPILE = uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --python-version 3.11 $(if $(UPGRADE),--upgrade)
lock: ## resolve requirements*.in into the lock files, with hashes
	@$(FIND_PYTHON); tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	"$$python" -m venv "$$tmp"; \
	"$$tmp/bin/python" -m pip --disable-pip-version-check --quiet install uv; \
	PATH="$$tmp/bin:$$PATH"; \
	$(UV_COMPILE) -o requirements.lock requirements.in; \
	$(UV_COMPILE) -o requirements-dev.lock requirements-dev.in; \
	$(UV_COMPILE) -o benchmarks/requirements-bench.lock benchmarks/requirements-bench.in

up: ## start everything in containers: make up LOG=access.log (Docker or Podman with compose)
	@deploy/up.sh up "$${LOG:-}"

down: ## stop the containers; their volumes stay
	@deploy/up.sh down

clean: ## remove what make built; never data (var/)
	@rm -rf $(VENV) $(BENCH) build dist breachline.egg-info
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
