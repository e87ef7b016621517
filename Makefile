# `make demo` and `make test` are all that a fresh clone needs: each sets up what it uses (scripts/setup).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast test-live lint format golden bench clean

BIN := .venv/bin

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install: ## .venv with sidestep in it, and the Debian packages that it needs
	@scripts/setup all run test
	@echo "sidestep is installed: $(BIN)/sidestep --help"

demo: ## a shop of five services on two nodes, its traffic encrypted and shown (needs root)
	@scripts/setup all run
	@$(BIN)/sidestep demo

test: ## every test: fast ones, then live ones (needs root)
	@scripts/setup all run test
	$(BIN)/pytest -m "not live"
	$(BIN)/pytest -m live

test-fast: ## tests that need neither root nor a network
	@scripts/setup python
	$(BIN)/pytest -m "not live"

test-live: ## tests with real Envoys in real network namespaces (needs root)
	@scripts/setup all run test
	$(BIN)/pytest -m live

lint: ## ruff, mypy, import-linter
	@scripts/setup python
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: ## rewrite the code as ruff likes it
	@scripts/setup python
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

golden: ## rewrite the expected files of the golden tests, and the sample's manifests; look at the diff before you commit it
	@scripts/setup python
	$(BIN)/python samples/shop/generate.py
	SIDESTEP_GOLDEN=update $(BIN)/pytest -m "not live" -k golden

bench: ## the L4 benchmark: direct, same node, across nodes (needs root; a few minutes)
	@scripts/setup all run bench
	$(BIN)/python bench/l4.py

clean: ## remove .venv and everything generated
	rm -rf .venv dist build src/sidestep/wire/_pb .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
