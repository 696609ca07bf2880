# unipam: every task a contributor needs. `make help` lists them.
# The distribution's Python, where it can make a .venv: built with the compiler's profile feedback, which one that was
# built by hand often is not, and that costs a fifth. Otherwise the first in PATH; PYTHON=... decides.
PYTHON ?= $(or $(shell for python in /usr/bin/python3.11 python3.11; do \
	$$python -c 'import venv, ensurepip, sqlite3' 2>/dev/null && { echo $$python; break; }; done),python3.11)
VENV := .venv
BIN := $(VENV)/bin
RELEASE := build/release/bin
STAMP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup run test test-quick check screenshots bench docs docs-outputs man first-hour lock dist deb images clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv, with unipam and its native launcher in it

$(STAMP): requirements.lock pyproject.toml hatch_build.py src/unipam/cni/launcher.c
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON) (set PYTHON=... to a Python 3.11 or newer)" >&2; exit 1; }
	@command -v $${CC:-cc} >/dev/null || { echo "missing: a C compiler (cc; set CC=... to another)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "missing: the venv module of $(PYTHON) (Debian: python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q src
	@touch $@

run: setup ## start the register and a node agent, prove them with one real ADD, CHECK and DEL (SAMPLE=1: with a plan; ARGS='--register 8090')
	@exec $(BIN)/unipam run $(if $(SAMPLE),--sample) $(ARGS)

test: setup ## run every test that this machine allows; names what it left out and why, and what took longest
	$(BIN)/python -m pytest -q -rs --durations=25 --durations-min=1

test-quick: setup ## what a contributor runs before each commit, in less than two minutes
	$(BIN)/python -m pytest -q -m "not real and not brought" -k "not postgres" --durations=5 --durations-min=1 \
		tests/addr tests/model tests/golang tests/ledger tests/plan tests/sizing tests/store/test_contract.py tests/cli/test_help.py \
		tests/test_architecture.py

check: setup ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

screenshots: setup ## take the pictures of the documentation anew, from the sample plan (needs Debian's chromium)
	$(BIN)/python -m tests.server.pages.screenshots docs/images

bench: setup ## measure against the real peers, in one run, as ratios
	$(BIN)/python -m bench

docs: setup ## build/site: the documentation, with reference pages made from the code; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

man: setup ## build/man/: a manual page of each command
	rm -rf build/man
	$(BIN)/python deploy/man.py build/man

docs-outputs: setup ## write what the commands of README, tutorials and how-to pages really print into these pages
	UNIPAM_DOCS_OUTPUTS=1 $(BIN)/python -m pytest -q tests/docs/test_blocks.py -k test_a_page

BEFORE ?= $(or $(shell git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null),57b331e)

first-hour: setup ## play a new user's first hour in a Debian made for it, and upgrade from BEFORE (root, debootstrap; minutes)
	tests/first_hour/run.sh $(BEFORE)

COMPILE = $(RELEASE)/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: $(RELEASE)/twine ## pin every dependency anew, for development and for each image, with hashes and without an index's name
	$(COMPILE) pyproject.toml --all-extras --group dev -o requirements.lock
	$(COMPILE) --group sbom -c requirements.lock -o deploy/requirements/sbom.lock
	$(COMPILE) --group build --group release -c requirements.lock -o deploy/requirements/release.lock
	$(COMPILE) pyproject.toml --all-extras -c requirements.lock -o deploy/requirements/machine.lock
	$(COMPILE) pyproject.toml --extra cri -c requirements.lock -o deploy/requirements/agent.lock
	$(COMPILE) pyproject.toml --extra server --extra azure -c requirements.lock -o deploy/requirements/register.lock

$(RELEASE)/twine: deploy/requirements/release.lock
	$(PYTHON) -m venv --clear build/release
	$(RELEASE)/python -m pip install -q --require-hashes -r deploy/requirements/release.lock
	@touch $@

dist: $(RELEASE)/twine ## dist/: the source and a wheel for each processor, checked as an index does (Debian: gcc-aarch64-linux-gnu)
	rm -rf dist
	$(RELEASE)/python -m hatchling build -t sdist
	CC=x86_64-linux-gnu-gcc $(RELEASE)/python -m hatchling build -t wheel
	CC=aarch64-linux-gnu-gcc $(RELEASE)/python -m hatchling build -t wheel
	$(RELEASE)/twine check --strict dist/*
	$(RELEASE)/check-wheel-contents dist/*.whl
	for wheel in dist/*.whl; do $(RELEASE)/auditwheel show $$wheel || exit; done

deb: $(RELEASE)/twine ## dist/unipam_*.deb, for this processor and this Debian's Python
	rm -rf build/deb
	$(RELEASE)/python -m hatchling build -t wheel -d build/deb/wheel
	$(RELEASE)/python deploy/debian/build.py build/deb/wheel build/deb/root dist

ENGINE ?= docker
VERSION = $(or $(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null | sed s/^v//),dev)

images: dist ## the agent's and the register's image, of the wheels in dist/ (ENGINE=docker or podman)
	for image in agent register; do \
		$(ENGINE) build -f deploy/Dockerfile --target $$image -t unipam-$$image:$(VERSION) \
			--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) . || exit; done

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist src/unipam/cni/launcher src/unipam/server/pages/assets/htmx.*
