# Everything a developer or user runs, by name. `make` alone lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
UV := uv==0.13.9
STAMP := $(VENV)/.ready
PINNED := --python $(BIN)/python --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --upgrade

.DEFAULT_GOAL := help
.PHONY: help setup demo down test test-cluster check golden images bench lock new-service new-event new-kind clean

help: ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything in it (.venv/bin/millstream)

# torch first and by pip: a later install then finds its requirement met and pulls no other build. Byte code is compiled
# here once; without it every process of the platform would compile what it imports.
$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing torch (hundreds of MB: some minutes) ..." && $(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)" "$(UV)"
	@echo "installing the rest ..." && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python -m compileall -q contracts libs services sdk
	@touch $@ && echo "ready: $(BIN)/millstream --help"

demo: setup ## run the main job: train, register, serve, predict (leaves the platform running; `make down` ends it)
	@$(BIN)/millstream demo

down: setup ## stop the platform that `make demo` left running
	@$(BIN)/millstream down

test: setup ## run every test, fast ones first
	@$(BIN)/python tests/run.py

test-cluster: setup ## test the platform in a cluster: make test-cluster KUBECONFIG= IMAGE_PREFIX= [BUILD=1 BASE_IMAGE=] [IMAGE_TAG=] [OVERLAY=dev] [KEEP=1]
	@$(BIN)/python -m tests.cluster_suite

check: setup ## format, lint, import rules, types, generated files, Dockerfile
	@$(BIN)/python tests/run.py checks

golden: setup ## rewrite what is generated: golden schemas, sample letters, the AsyncAPI document, deploy/base, deploy/images, dashboards
	$(BIN)/python -m contracts.golden && $(BIN)/python -m millstream.dev.deploy && $(BIN)/python -m millstream.dev.images && $(BIN)/python -m millstream.dev.monitoring

images: setup ## build container images with docker, podman or buildah: make images [IMAGES="trainer gateway"] [IMAGE_PREFIX=] [IMAGE_TAG=] [BASE_IMAGE=] [PUSH=1]
	@$(BIN)/python -m millstream.dev.build $(IMAGES) --prefix "$(or $(IMAGE_PREFIX),millstream/)" $(if $(IMAGE_TAG),--tag "$(IMAGE_TAG)") --base "$(BASE_IMAGE)" --engine "$(ENGINE)" $(if $(PUSH),--push)

bench: setup ## measure, each figure beside its bare limit (prints tables, writes benchmarks/results.json)
	$(BIN)/python -m benchmarks

lock: ## pin what requirements.in names into requirements.lock, and requirements/*.in beside them
	$(BIN)/uv pip compile requirements.in -o requirements.lock $(PINNED)
	set -e; for each in requirements/*.in; do $(BIN)/uv pip compile $$each -o $${each%.in}.txt -c requirements.lock --override requirements/overrides.txt $(PINNED); done

new-service: setup ## write the rooms of a new service: make new-service NAME=billing
	@$(BIN)/python -m millstream.dev.scaffold service "$(NAME)"

new-event: setup ## add an event: make new-event TYPE=training.trainjob.paused.v1
	@$(BIN)/python -m millstream.dev.scaffold event "$(TYPE)"

new-kind: setup ## add a kind: make new-kind KIND=Notebook GROUP=kubeflow.org VERSION=v1 SERVICE=notebooks
	@$(BIN)/python -m millstream.dev.scaffold kind "$(KIND)" "$(GROUP)" "$(VERSION)" "$(SERVICE)"

clean: ## remove the environments and caches (not your data)
	rm -rf $(VENV) .venvs .pytest_cache .ruff_cache .mypy_cache .hypothesis
