# Everything a newcomer needs: `make run` and `make test` do all the set-up themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
PORT ?= 8000
TORCH := torch==2.13.0
TORCH_TESTS := $(addprefix tests/,test_cli_learning.py test_nlp_baselines.py test_nlp_huggingface.py test_nlp_training.py)

.PHONY: help install run demo test test-slow test-torch check audit format lock notebooks clean

help:  ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 18

install: .venv/.installed  ## create .venv with storyshift in it
	@echo "storyshift is installed: $(BIN)/storyshift --help"

run: .venv/.installed  ## collect, tag and serve the page at http://127.0.0.1:$(PORT)/
	@$(BIN)/storyshift run --port $(PORT)

demo: .venv/.installed  ## play the bundled replay, offline, and serve it at http://127.0.0.1:$(PORT)/
	@$(BIN)/storyshift demo --port $(PORT)

test: .venv/.installed-dev  ## run the tests that are quick, on SQLite and on PostgreSQL where one answers
	@$(BIN)/pytest -n auto -m "not slow and not browser"

test-slow: .venv/.installed-dev  ## run all others: pages in Chromium, services that are killed, moves, simulations
	@$(BIN)/pytest -n auto -m "slow or browser"

test-torch: .venv/.installed-torch  ## run the tests that need torch: training and other models
	@STORYSHIFT_TEST_REQUIRE=torch $(BIN)/pytest -n auto $(TORCH_TESTS)

check: .venv/.installed-dev  ## style, types, import rules, the quality of the tags
	@echo "ruff …" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "mypy …" && $(BIN)/mypy
	@echo "import-linter …" && $(BIN)/lint-imports
	@echo "quality gate …" && $(BIN)/python tests/quality/gate.py

audit: .venv/.installed-dev  ## ask whether a vulnerability is known in a package that is pinned (needs a network)
	@$(BIN)/python .ci/audit

format: .venv/.installed-dev  ## put the code into house style
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

notebooks: .venv/.installed-dev  ## execute the notebooks anew, against a demo of their own
	@$(BIN)/python notebooks/execute.py

lock: .venv/bin/python  ## resolve the lock files anew (needs a package index)
	@$(BIN)/python -m pip install --quiet uv
	@for pair in "requirements.lock:postgres" "requirements-dev.lock:dev"; do \
		$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
			--no-emit-package storyshift --no-emit-index-url --no-emit-find-links \
			--extra $${pair#*:} --quiet -o $${pair%%:*} pyproject.toml; done
	@echo "wrote requirements.lock and requirements-dev.lock"

clean:  ## remove the environment and caches (never a database)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info build

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Storyshift needs Python 3.11 or newer; none was found. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@echo "creating .venv with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python cannot create virtual environments here. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }

.venv/.installed: requirements.lock pyproject.toml | .venv/bin/python
	@echo "installing the pinned packages of requirements.lock (a minute or two the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "installing the pinned development packages of requirements-dev.lock …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.installed-torch: pyproject.toml | .venv/.installed-dev
	@echo "installing $(TORCH) and what training needs …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[hf,train]' $(TORCH)
	@touch $@
