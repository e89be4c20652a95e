# Everything a developer runs. Needs Python 3.10 or newer and make; Go comes as a Python package where there is none.
# The environment lives in .venv; binaries that take long to build live in the user's cache, keyed by version.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help up down status logs console test test-unit test-pipeline test-browser test-kubernetes chromium test-oldest check format bench rule-costs metrics kubernetes matrix simulate simulate-drift clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

.venv/stack: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "infermeter needs Python 3.10 or newer, this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what the local stack needs into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[stack]' --constraint constraints.txt
	@touch $@

.venv/dev: .venv/stack
	@echo "installing what checks and tests need into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
	@touch $@

up: .venv/stack ## Start the whole local stack with a demonstration; prints where everything is.
	@$(BIN)/infermeter up $(ARGS)

down: .venv/stack ## Stop everything that up started.
	@$(BIN)/infermeter down $(ARGS)

status: .venv/stack ## Show what runs.
	@$(BIN)/infermeter status $(ARGS)

logs: .venv/stack ## Show what the parts wrote.
	@$(BIN)/infermeter logs $(ARGS)

console: .venv/stack ## Build the console's page, if its sources have changed.
	@$(BIN)/infermeter console --build

test: check chromium test-oldest ## Run all checks and all tests, with the real stack.
	$(PYTEST) --ignore=tests/contract --ignore=tests/browser # which check has run, and what needs a process of its own:
	$(PYTEST) tests/browser # Playwright's event loop runs in the main thread until the end

test-unit: .venv/dev ## Run the tests that start no stack.
	$(PYTEST) -m "not pipeline and not browser and not hardware and not kubernetes"

test-pipeline: .venv/dev ## Run the tests on the real collector, Prometheus and Alertmanager.
	$(PYTEST) -m pipeline

test-browser: chromium ## Run the tests of the console's page in Chromium.
	$(PYTEST) tests/browser

test-kubernetes: .venv/dev ## Run the tests of the chart on a real API server; the first time builds one (12 minutes on 2 cores).
	$(PYTEST) -m kubernetes tests/kubernetes

test-hardware: .venv/dev ## Run the tests that need an NVIDIA GPU, and keep what they print.
	@$(PYTEST) -m hardware tests/hardware -rA > tests/hardware/last_run.txt 2>&1; \
	status=$$?; cat tests/hardware/last_run.txt; exit $$status

chromium: .venv/dev ## Install the browser for those tests, where it is missing and that is allowed.
	@$(BIN)/python -m tests.browser.chromium

test-oldest: .venv/dev ## Run what touches OpenTelemetry with the oldest supported version.
	$(BIN)/python tests/oldest.py

check: .venv/dev ## Lint, types, import contract; every contract of rules, dashboards, runbooks, with their tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(PYTEST) -q tests/contract

format: .venv/dev ## Format and fix what can be fixed.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev ## Compare costs with plain OpenTelemetry, prometheus_client and others, in one run.
	$(BIN)/python -m tests.benchmarks

rule-costs: .venv/dev ## Measure what the rules cost on a large fleet and write deploy/prometheus/RULE_COSTS.md (12 minutes).
	$(BIN)/python -m tests.benchmarks.rule_cost

metrics: .venv/dev ## Write sdk/METRICS.md and the dashboards anew from their sources.
	$(BIN)/python sdk/write_metrics_md.py
	$(BIN)/python -m deploy.grafana.source.build

kubernetes: .venv/dev ## Write deploy/kubernetes/manifests anew from the chart.
	$(BIN)/python -m tests.kubernetes.render

matrix: .venv/dev ## Write deploy/prometheus/MATRIX.md: which alert fires in which scenario.
	$(BIN)/python -m tests.contract.alert_matrix

simulate: .venv/dev ## Write deploy/prometheus/SIMULATION.md: false alarms in thirty ordinary days (half an hour).
	$(BIN)/python -m tests.simulation

.venv/simulate-drift: pyproject.toml
	@$(PYTHON) -m venv .venv/others
	@.venv/others/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[drift]' 'click>=8.1' 'evidently==0.7.23' 'nannyml==0.13.1' 'pandas<3' scipy
	@touch $@

simulate-drift: .venv/simulate-drift ## Write deploy/prometheus/DRIFT_SIMULATION.md: false and true drift alerts, next to two other tools (minutes).
	.venv/others/bin/python -m tests.drift_simulation

clean: ## Remove the environment and caches of this checkout; binaries in the user's cache stay.
	rm -rf .venv .simulation .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
