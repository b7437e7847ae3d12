# The door to everything. `make run` and `make test` need Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test unit integration e2e cluster cluster-down kind lint format types bench bench-operator bench-tuning generate manifests clean

help:  ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' --constraint constraints.txt
	@$(BIN)/python -m pip install --quiet --editable '.[operator,supabase,tracing]' --group dev --constraint constraints.txt
	@touch $@

setup: $(STAMP)  ## Create the environment

run: $(STAMP)  ## Run a gateway with two simulated providers: no keys, no cluster
	@$(BIN)/mcp-gateway run manifests/samples/quickstart.yaml

test: $(STAMP)  ## Run every test
	@$(BIN)/python -m pytest

unit: $(STAMP)  ## Run the tests that need no sockets
	@$(BIN)/python -m pytest -m 'not integration'

integration: $(STAMP)  ## Run the tests that need sockets
	@$(BIN)/python -m pytest -m integration

e2e: $(STAMP)  ## Run the tests that need containers: a full node, as root
	@$(BIN)/python -m pytest --e2e -m e2e

cluster: $(STAMP)  ## Start a Kubernetes of this machine's own, with the operator in it
	@$(BIN)/python -m tests.cluster up
	@eval "$$($(BIN)/python -m tests.cluster env)" && \
	helm upgrade --install --hide-notes mcp-gateway-crds charts/mcp-gateway-crds && \
	helm upgrade --install --hide-notes --wait --namespace mcp-gateway-system --create-namespace \
		mcp-gateway charts/mcp-gateway

cluster-down: $(STAMP)  ## End it
	@$(BIN)/python -m tests.cluster down

kind:  ## Start a cluster with kind, and load the images
	@mkdir -p .cache
	kind create cluster --config tests/kind.yaml --kubeconfig .cache/kind.kubeconfig
	docker build -f gateway/Dockerfile -t localhost/mcp-gateway:e2e .
	docker build -f operator/Dockerfile -t localhost/mcp-gateway-operator:e2e .
	kind load docker-image --name mcp-gateway localhost/mcp-gateway:e2e localhost/mcp-gateway-operator:e2e
	@echo 'TEST_KUBECONFIG=.cache/kind.kubeconfig make e2e'

lint: $(STAMP)  ## Check style, and that imports go down the floors
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo

format: $(STAMP)  ## Rewrite in the project's style
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

types: $(STAMP)  ## Check types
	@$(BIN)/mypy

bench: $(STAMP)  ## Measure CPU per request beside nginx
	@$(BIN)/python -m tests.perf

bench-operator: $(STAMP)  ## Measure the operator: a change on ten pods, a new gateway, a thousand
	@$(BIN)/python -m tests.perf.fleet

bench-tuning: $(STAMP)  ## Measure how full the closed loop keeps an account, beside static pools
	@$(BIN)/python -m tests.perf.tuning

generate: $(STAMP)  ## Rewrite the CRD, the reference pages, dashboards and alerts from the code
	@$(BIN)/python -m docs.generate

manifests: $(STAMP)  ## Rewrite manifests/install.yaml from the charts (builds helm)
	@$(BIN)/python -m tests.support.install_manifest

clean:  ## Remove the environment and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache dist build
