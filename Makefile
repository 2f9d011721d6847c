# Everything a newcomer needs: `make demo`, `make test`. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test check format fuzz conformance-neon conformance-mcp bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## create .venv from requirements.lock (uv when on the PATH, venv and pip otherwise)

$(READY): requirements.lock pyproject.toml Makefile
	@set -eu; \
	python=""; \
	for name in $${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python="$$name"; break; fi; \
	done; \
	if command -v uv >/dev/null 2>&1; then \
	  echo "setting up $(VENV) with uv"; \
	  uv venv --quiet --allow-existing $${python:+--python "$$python"} $(VENV); \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock; \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	elif [ -z "$$python" ]; then \
	  echo "agentdb-mcp needs Python 3.11 or newer, and found none: install it, or set PYTHON=/path/to/python3" >&2; exit 1; \
	elif ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$python has neither venv nor pip: install them (Debian and Ubuntu: apt install python3-venv) or install uv" >&2; exit 1; \
	else \
	  echo "setting up $(VENV) with $$($$python --version), venv and pip (about a minute)"; \
	  "$$python" -m venv $(VENV); \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi; \
	touch $(READY)

demo: $(READY) ## the whole story on one machine: two users, three agents, isolation, a refused attack
	@$(BIN)/agentdb demo

test: $(READY) ## run the tests: real Postgres, real subprocesses
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not fuzz"

check: $(READY) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache

format: $(READY) ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: $(READY) ## the long randomised runs of the guard
	$(BIN)/python -m pytest -m fuzz

conformance-neon: $(READY) ## hold the stand-in for Neon to Neon's own OpenAPI file, command line and SDKs (needs Node)
	@NEON_TOOLS=.conformance PYTHON=$(BIN)/python sh tests/conformance/neon.sh

conformance-mcp: $(READY) ## have MCP's official suite, its other referees and independent clients judge the servers
	@MCP_TOOLS=.conformance PYTHON=$(BIN)/python sh tests/conformance/mcp.sh

bench: $(READY) ## measure, beside a bare asyncpg loop and a minimal server of the same SDK
	$(BIN)/python -m bench

lock: ## write requirements.lock anew (needs uv)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra dev \
	  --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock

clean: ## remove what the targets above made
	rm -rf $(VENV) .conformance dist build .pytest_cache .ruff_cache .hypothesis .bench
