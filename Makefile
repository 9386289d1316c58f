# Every target sets up what it needs in .venv, pinned with hashes; nothing else on the machine is touched, except that
# the demo and the tests start (or, as root, install) RabbitMQ and PostgreSQL when none is there, and say so.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PYTEST := $(BIN)/pytest

# Byte code is kept, also where the surroundings say otherwise: every start of a node and of a test run is quicker.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check static importable programs bench vectors lock clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(READY): requirements/dev.lock pyproject.toml
	@echo "Setting up .venv (once) …" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv .venv >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
	@$(BIN)/python -m compileall -q broker adapters  # as an installed package is: a node starts without compiling
	@touch $@

demo: $(READY)  ## Three countries exchange a tracing request (TRANSPORT=spool: without RabbitMQ; JSON=1: one document)
	@$(BIN)/trm demo $(if $(TRANSPORT),--transport $(TRANSPORT)) $(if $(JSON),--json)

check: $(READY)  ## Lint, strict types, import contracts, unit tests, and that every other test can be imported: for every day
	@$(MAKE) --no-print-directory -j2 static importable
	@$(PYTEST) -q -n auto tests/unit

static: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

importable: $(READY)  # a test that cannot even be imported is found here, not after ten minutes
	@$(PYTEST) -qq --collect-only --ignore=tests/unit

programs: $(READY)  # said at once what is missing, not by a hundred tests after ten minutes
	@$(BIN)/python -m broker.testing.programs

test: programs check  ## Everything: also contracts, vectors, scenarios, simulation, faults, acceptance
	@$(PYTEST) -n auto --dist loadgroup --ignore=tests/unit --ignore=tests/bench

bench: $(READY)  ## Measure throughput, latency, cost and memory, against an AS2 pair in the same run
	@$(BIN)/python -m tests.bench

vectors: $(READY)  ## Run the stored test vectors
	@$(BIN)/trm vectors

lock: $(READY)  ## Pin the dependencies again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements/runtime.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra dev --extra hsm -c requirements/runtime.lock pyproject.toml -o requirements/dev.lock

clean:  ## Remove what the targets made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
