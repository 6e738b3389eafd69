# make run | test | real | ui | setup | lint; PROFILE=quick (default), gpu or cluster; PYTHON: 3.11 or later
# make test JOBS=2: in so many processes, the tests of a file in one of them
PROFILE ?= quick
JOBS ?= 1
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
LOCK := requirements/$(if $(filter gpu cluster,$(PROFILE)),gpu,cpu).lock
STAMP := .venv/.$(notdir $(LOCK)).done

.PHONY: run test real ui setup lint

run: $(STAMP)
	@.venv/bin/orchard run --profile $(PROFILE)

test: $(STAMP)
	@.venv/bin/python -m pytest $(if $(filter-out 1,$(JOBS)),-n $(JOBS) --no-loadscope-reorder)

real: $(STAMP)
	@.venv/bin/python -m pytest -m long

ui: $(STAMP)
	@.venv/bin/orchard ui --profile $(PROFILE)

lint: $(STAMP)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

setup: $(STAMP)

$(STAMP): $(LOCK) pyproject.toml
	@sh requirements/setup.sh "$(PYTHON)" "$(LOCK)"
	@touch $@
