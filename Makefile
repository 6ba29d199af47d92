# Everything a developer or CI runs. `make help` lists it.

PYTHON ?= python3
SCENARIO ?=
SETTINGS ?=
ROOMS ?=
MINUTES ?= 1
SEED ?= 1
DEVICE ?= simulated
PY := .venv/bin/python
# of programs that find the tests, the collection and the functions that run in AWS
TESTS_PY = PYTHONPATH=$(CURDIR):$(CURDIR)/.ansible/collections:$(CURDIR)/roles/control_plane/files $(PY)
LINK := .ansible/collections/ansible_collections/tracklib/vpn

export PYTHON
# tools find the collection under its name whatever directory they are started from
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections
export ANSIBLE_HOME := $(CURDIR)/.ansible
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# a developer's own AWS account is none of the tests' business
unexport AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN
# what a shell has there may be another checkout's
unexport PYTHONPATH
# set in many container images: each start of Ansible would compile all of it anew, which takes longer than its work
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup venv demo test test-fast ci molecule matrix model lab-up lab-down bench cost mutants build bundle enroll-script api-description lock docs picture reference format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: venv ## show the whole thing on this machine: IAM, a gateway, two people, one who leaves
	@$(TESTS_PY) -m tests.lab.demo

test: venv ## every gate: lint, types, sanity, unit, integration, real hosts, packaging
	@$(PY) tools/gates.py all

test-fast: venv ## lint and unit tests (under a minute)
	@$(PY) tools/gates.py fast

matrix: venv ## modules, site, reconcile and revoke on every supported ansible-core, with a table
	@$(PY) tools/matrix.py

ci: venv ## what CI runs: test and matrix at once
	@$(PY) tools/gates.py ci

molecule: venv ## one molecule scenario: make molecule SCENARIO=name (all of them without it)
	@SCENARIO=$(SCENARIO) $(PY) tools/gates.py molecule

lab-up: venv ## leave a running lab: .lab/env, .lab/ssh_config, inventories/lab
	@$(TESTS_PY) -m tests.lab up

lab-down: venv ## remove everything that the lab made
	@$(TESTS_PY) -m tests.lab down

bench: venv ## measure against the usual ways: bench/results.json and a table
	@$(TESTS_PY) -m tests.bench

cost: venv ## count what the AWS side costs in a month, by days in fast motion: the table of docs/cost.md
	@$(TESTS_PY) -m tests.bench.cost

mutants: venv ## break the pure rooms on purpose and count what their tests notice: hours, or make mutants ROOMS="roster keys"
	@tools/venv .cache/mutants/venv tools/locks/mutants.txt
	@.cache/mutants/venv/bin/python tools/mutants.py $(ROOMS)

model: venv ## compare decisions and a gateway with the rules' model: make model MINUTES=30 SEED=1 DEVICE=real
	@$(TESTS_PY) -m tests.model --minutes $(MINUTES) --seed $(SEED) --device $(DEVICE)

build: venv ## the collection's tarball and the script for users, in .cache/build
	@$(PY) tools/gates.py build
	@echo "The collection: $$(ls $(CURDIR)/.cache/build/tracklib-vpn-*.tar.gz)"

bundle: venv ## what runs in AWS, for `deploy`: .cache/bundle/bundle.tar and functions.zip
	@$(TESTS_PY) tools/bundle.py

enroll-script: venv ## the script for users without Ansible, in .cache/build: make enroll-script SETTINGS=vpn.json
	@$(TESTS_PY) tools/enroll_script.py $(if $(SETTINGS),--settings $(SETTINGS))

api-description: venv ## write docs/self-service.openapi.json from the routes that are served
	@$(TESTS_PY) -m tests.support.describe_function

lock: ## compile the locks of the development environments anew
	@tools/lock

docs: venv ## the documentation as HTML: .cache/docsite/html/index.html
	@$(PY) tools/gates.py docsite

picture: venv ## record the demo anew: docs/images/demo.svg
	@$(PY) tools/picture.py

reference: venv ## write docs/reference anew
	@$(PY) tools/reference.py

format: venv ## format the Python files
	@.venv/bin/ruff check -q --fix-only .
	@.venv/bin/ruff format -q .

venv: .venv/.lock $(LINK) ## make .venv from tools/locks/dev.txt, when that changed

setup: ## install the system packages (tools/system-packages.txt) that are missing
	@tools/setup

.venv/.lock: tools/locks/dev.txt | setup
	@tools/venv .venv tools/locks/dev.txt
	@touch $@

$(LINK):
	@mkdir -p $(@D)
	@ln -sfn ../../../.. $@

clean: ## remove environments, caches and built files (not the lab: make lab-down)
	rm -rf .venv .ansible .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
