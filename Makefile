# Uni4all Chat. `make` alone lists what can be done; every target works on a fresh clone.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# Images of containers forbid it: each start of a service compiles our modules anew then, and so does each worker
# of the tests, with all of theirs.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

# A step is done again when what it was made from is newer than its stamp.
PACKAGES := $(VENV)/.packages-installed
KAFKA_LIBS := .backing/kafka-libs
JARS := .backing/.kafka-jars-copied
CLASSES := .backing/.kafka-classes-kept
JS_CLIENT := tests/integration/socketio_js
JS_CLIENT_PACKAGES := $(JS_CLIENT)/node_modules/.installed

CODE := schemas runtime dispatcher edge_server persister api_gateway deploy loadtest tests

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Run
.PHONY: demo
demo: setup ## Start the whole system here. REPLAY=folder SPEED=x replay real chat; args=... for more
	@$(PY) -m deploy.demo $(if $(REPLAY),--replay "$(REPLAY)") $(if $(SPEED),--speed "$(SPEED)") $(args)

.PHONY: backing
backing: setup ## Start only Kafka and the store, and print the variables that lead to them
	@$(PY) -m deploy.local $(args)

##@ Check
.PHONY: test
test: setup ## Run all tests; args="-k edge" for some, BACKING=native|pip|docker to force the services
	@# Folder by folder, so that each worker ends the systems of one before it begins the next.
	@$(PY) -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder $(args)

.PHONY: faults
faults: setup ## Try every fault for half an hour and more, kills and bad networks by MINUTES=10; writes reports/faults-*.md
	@$(PY) -m tests.simulation --minutes 1
	@FAULTS_MINUTES=$(or $(MINUTES),10) $(PY) -m pytest tests/faults tests/integration/dispatch_live -s $(args)

.PHONY: simulate
simulate: $(PACKAGES) ## Break the whole system in a simulation; SEEDS=n or MINUTES=n from FIRST=n on; SEED=n again
	@$(PY) -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(if $(FIRST),--first $(FIRST))

.PHONY: audit
audit: $(PACKAGES) ## Look the pinned packages up among known vulnerabilities, where the network allows it
	@$(PY) -m deploy.audit

.PHONY: lint
lint: $(PACKAGES) ## Check rules, format and types
	@$(PY) -m ruff check $(CODE)
	@$(PY) -m ruff format --check $(CODE)
	@$(PY) -m mypy $(CODE)

.PHONY: format
format: $(PACKAGES) ## Rewrite the code in the project's format and sort its imports
	@$(PY) -m ruff check --fix-only $(CODE)
	@$(PY) -m ruff format $(CODE)

##@ Measure
.PHONY: bench
bench: setup ## Run the side-by-side benchmarks
	@$(PY) -m tests.bench $(args)

.PHONY: simulate-dispatch
simulate-dispatch: $(PACKAGES) ## Simulate dispatching among 10 000 edges (7 min); args="--edges 100" for fewer, --help for more
	@$(PY) -m tests.dispatch_simulation --out reports/dispatch-simulation.svg $(args)

.PHONY: loadtest
loadtest: setup ## Load-test a system started here: SCENARIO=steady STUDENTS=1000; any URL: python -m loadtest
	@$(PY) -m deploy.fitness --scenario "$(or $(SCENARIO),steady)" $(if $(STUDENTS),--students $(STUDENTS)) $(args)

.PHONY: fitness
fitness: setup ## Measure the documented fitness functions on a system started here; MINUTES=6 is about how long
	@$(PY) -m deploy.fitness $(if $(MINUTES),--minutes $(MINUTES)) $(args)

##@ Prepare
.PHONY: setup
setup: $(PACKAGES) $(CLASSES) $(JS_CLIENT_PACKAGES) ## Install packages and the broker's jars (the others do it first)
	@:

.PHONY: requirements
requirements: $(PACKAGES) ## Compile requirements*.txt anew from requirements*.in
	@$(call compile,requirements)
	@$(call compile,requirements-dev)

compile = $(VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
  --output-file=$(1).txt $(1).in

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment (package python3-venv?)" >&2; exit 1; }

$(PACKAGES): requirements-dev.txt | $(PY)
	@echo "installing the Python packages into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

# Without Java or Maven the tests and the demo use Docker or the broker in memory; nothing is wrong.
$(JARS): deploy/kafka/pom.xml
	@if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then \
	  echo "no Java or no Maven here: native Kafka is left out (it needs java 17+ and mvn)"; exit 0; fi; \
	echo "copying the broker's jars into $(KAFKA_LIBS)"; \
	rm -rf $(KAFKA_LIBS); \
	mvn --quiet --batch-mode --no-transfer-progress --file $< dependency:copy-dependencies \
	  -DincludeScope=runtime -DoutputDirectory="$(CURDIR)/$(KAFKA_LIBS)" 2>&1 | sed $$'s/\x1b\\[[0-9;]*m//g'; \
	touch $@

$(CLASSES): $(JARS) | $(PACKAGES)
	@if [ -f $(JARS) ]; then $(PY) -m deploy.local.kafka_classes; touch $@; fi

$(JS_CLIENT_PACKAGES): $(JS_CLIENT)/package-lock.json
	@if ! command -v npm >/dev/null; then \
	  echo "no npm here: tests with the JavaScript client will be skipped"; exit 0; fi; \
	echo "installing the JavaScript client of the tests"; \
	npm ci --prefix $(JS_CLIENT) --no-audit --no-fund --loglevel=error; \
	touch $@
