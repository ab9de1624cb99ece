# Respawn on one machine. Needs Debian's python3 with python3-venv, nodejs, npm and make; nothing else.
# Every step leaves a stamp named by the hash of what it depends on, so a second call does nothing.

PYTHON ?= python3
KERNEL_PYTHON ?=
PORT ?= 8000
DATA ?= .respawn/hub
ARGS ?=
JOBS ?= 2
N ?= 1000
SEED ?= 1

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
LOGS := .respawn/logs
ENVIRONMENTS := $(notdir $(patsubst %/,%,$(dir $(wildcard images/*/environment.toml))))

key = $(shell cat $(1) 2>/dev/null | sha256sum | cut -c1-16)
HERE := $(shell pwd | sha256sum | cut -c1-16)
VENV_STAMP := $(STAMPS)/venv-$(HERE)
PACKAGES_STAMP := $(STAMPS)/packages-$(call key,requirements-dev.lock)
PROJECT_STAMP := $(STAMPS)/project-$(call key,pyproject.toml $(sort $(shell find hub_ext/respawn_server/labextension hub_ext/respawn_server/*.json -type f)))
TORCH_LIST := tests/coverage/requirements.txt
TORCH_STAMP := $(STAMPS)/torch-$(call key,$(TORCH_LIST))
PEERS_LOCK := benchmarks/peers.lock
PEERS_STAMP := .respawn/peers/stamp-$(call key,$(PEERS_LOCK))
PROXY_STAMP := node_modules/.stamp-$(call key,package-lock.json)
LIBRARIES := hub_ext/respawn_hub/static/frames/vendor
LIBRARIES_STAMP := $(LIBRARIES)/.stamp-$(call key,package-lock.json requirements-dev.lock hatch_build.py)

.PHONY: help setup packages proxy libraries kernel pythons system containers up test test-long test-all truth check bench lock clean

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1 \2/' \
	  | awk '{ printf "  %s %-8s ", $$1, $$2; $$1 = $$2 = ""; sub(/^ +/, ""); print }'
	echo "  Options: PORT=$(PORT) DATA=$(DATA) (make up), ARGS='...' JOBS=$(JOBS) (make test), N=$(N) SEED=$(SEED) (make truth), PYTHON=$(PYTHON),"
	echo "  KERNEL_PYTHON=3.12 for the standardized kernel (else the newest Python here that its lock has builds for)"

# --- set-up -------------------------------------------------------------------------------------------

setup: packages proxy libraries kernel ## install everything into this directory (.venv, node_modules, .respawn)

packages: $(PROJECT_STAMP)

proxy: $(PROXY_STAMP)

libraries: $(LIBRARIES_STAMP)

define say
if [ -t 1 ]; then printf '\n\033[1m==> %s\033[0m\n' "$(1)"; else printf '\n==> %s\n' "$(1)"; fi
endef

# $(call logged,NAME,COMMAND): run COMMAND with its output in a log that is shown only when it fails.
define logged
mkdir -p $(LOGS); start=$$SECONDS
$(2) >$(LOGS)/$(1).log 2>&1 || { tail -n 30 $(LOGS)/$(1).log >&2; echo "make: $(1) failed; all of its output is in $(LOGS)/$(1).log" >&2; exit 1; }
echo "    done in $$((SECONDS - start)) s"
endef

$(VENV_STAMP):
	@$(call say,Python environment in $(VENV))
	command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing. Install it: apt-get install python3 python3-venv" >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	  echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), Respawn needs 3.11 or newer. Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || {
	  echo "make: $(PYTHON) cannot make environments. Install what it lacks: apt-get install python3-venv" >&2; exit 1; }
	$(call logged,venv,$(PYTHON) -m venv --clear $(VENV))
	mkdir -p $(STAMPS); touch $@

$(PACKAGES_STAMP): $(VENV_STAMP)
	@$(call say,Python packages of requirements-dev.lock (some minutes the first time))
	mkdir -p $(LOGS); start=$$SECONDS; tty=0; [ -t 1 ] && tty=1
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -r requirements-dev.lock 2>&1 \
	  | tee $(LOGS)/packages.log | awk -v tty=$$tty -v all="$$(grep -c == requirements-dev.lock)" '
	    /^(Collecting|Requirement already)/ { n++
	      if (tty) printf "\r\033[K    %d of about %d: %s", n, all, $$2
	      else if (n % 40 == 0) printf "    %d of about %d\n", n, all }
	    /^Installing/ { if (tty) printf "\r\033[K"; print "    installing" }
	    { fflush() }' \
	  || { tail -n 30 $(LOGS)/packages.log >&2; echo "make: packages failed; all of its output is in $(LOGS)/packages.log" >&2; exit 1; }
	# jsonschema does without it. With it, each start of JupyterHub, JupyterLab and papermill compiles grammars for a
	# second, to check the formats of IRIs, which nothing here has.
	$(BIN)/python -m pip uninstall --quiet --yes rfc3987-syntax lark 2>>$(LOGS)/packages.log
	echo "    done in $$((SECONDS - start)) s"
	rm -f $(STAMPS)/packages-*; touch $@

$(PROJECT_STAMP): $(PACKAGES_STAMP)
	@$(call say,Respawn itself)
	$(call logged,project,$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .)
	rm -f $(STAMPS)/project-*; touch $@

$(PROXY_STAMP):
	@$(call say,configurable-http-proxy and what draws outputs)
	for tool in node npm; do
	  command -v $$tool >/dev/null || { echo "make: $$tool is missing. Install it: apt-get install nodejs npm" >&2; exit 1; }
	done
	node -e 'process.exit(Number(process.versions.node.split(".")[0] < 18))' || {
	  echo "make: node is $$(node --version), the proxy needs 18 or newer: https://nodejs.org, or a newer Debian" >&2; exit 1; }
	$(call logged,proxy,npm ci --no-audit --no-fund)
	touch $@

$(LIBRARIES_STAMP): $(PACKAGES_STAMP) $(PROXY_STAMP)
	@$(call say,Libraries that draw outputs in $(LIBRARIES))
	$(call logged,libraries,$(BIN)/python hatch_build.py)
	touch $@

# The program finds by itself whether there is anything to do.
kernel: packages
	@$(call say,Standardized kernel respawn-science)
	$(BIN)/respawn kernels build science --root .respawn/environments --prefix $(VENV) \
	  $(if $(KERNEL_PYTHON),--python $(KERNEL_PYTHON))

# --- use ----------------------------------------------------------------------------------------------

up: setup ## set up, then start JupyterHub with Respawn on http://127.0.0.1:8000
	@exec $(BIN)/python -m respawn_hub.embedded --port $(PORT) --data $(DATA)

# --- development --------------------------------------------------------------------------------------

system:
	@need=()
	command -v chromium >/dev/null || need+=(chromium fonts-dejavu-core)
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || need+=(postgresql)
	[ $${#need[@]} = 0 ] && exit
	if [ "$$(id -u)" != 0 ]; then
	  echo "make: the tests need packages that only root may install: apt-get install $${need[*]}" >&2
	  echo "make: without them, run the others: $(BIN)/pytest -m 'not browser and not s3'" >&2
	  exit 1
	fi
	$(call say,System packages for the tests: $${need[*]})
	export DEBIAN_FRONTEND=noninteractive
	$(call logged,system,eval 'apt-get update && apt-get install -y --no-install-recommends $${need[*]}')

# For the tests that build images, start containers and run Spark; without them these are passed over.
CONTAINER_PACKAGES := podman buildah runc catatonit netavark aardvark-dns iptables debootstrap uidmap default-jre-headless

containers:
	@for tool in podman buildah runc catatonit debootstrap java; do command -v $$tool >/dev/null || missing=yes; done
	if [ -z "$${missing:-}" ] || [ "$$(id -u)" != 0 ]; then exit; fi
	$(call say,System packages for the tests of images: $(CONTAINER_PACKAGES))
	export DEBIAN_FRONTEND=noninteractive
	$(call logged,containers,eval 'apt-get update && apt-get install -y --no-install-recommends $(CONTAINER_PACKAGES)')

$(TORCH_STAMP): $(PACKAGES_STAMP)
	@$(call say,Torch for the coverage test)
	$(call logged,torch,$(BIN)/python -m pip install --disable-pip-version-check -r $(TORCH_LIST))
	rm -f $(STAMPS)/torch-*; touch $@

# The program finds by itself which Pythons are here, and whether there is anything to do.
pythons: packages
	@$(call say,Environments of other Pythons for the tests)
	$(BIN)/python tests/support/interpreters.py

# Failures are printed as they happen, and a run that takes more than 75 minutes ends with its summary: one that is
# cut off from outside says nothing else.
PYTEST := $(BIN)/pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --instafail

# The rules about the code itself, which `make check` runs.
RULES := tests/unit/test_layers.py tests/unit/test_words.py

# Each test of the kernel's part looks at all that its process has imported: beside the other tests, which import
# everything, they take twice as long.
APART := tests/unit/kernels
# Only to collect these takes as long as hundreds of tests; all of them are long or slow.
LONG := tests/integration/access/test_schema.py
TEST = $(PYTEST) -m 'not slow and not long' $(addprefix --ignore=,$(RULES) $(LONG)) --session-timeout 4500 --durations 25 $(ARGS)

test: setup pythons system $(TORCH_STAMP) ## set up, then run the quick tests, in about a quarter of an hour (choose some with ARGS='-k schedule')
	@failed= ran=
	some() { local status=0; "$$@" || status=$$?; case $$status in 0) ran=yes;; 5) ;; *) ran=yes failed=yes;; esac; }
	$(if $(filter tests/%,$(ARGS)),some $(TEST),some $(TEST) $(APART); some $(TEST) $(addprefix --ignore=,$(APART)))
	[ -n "$$ran" ] || { echo "make: ARGS chooses no test" >&2; exit 5; }
	[ -z "$$failed" ]

test-long: setup pythons system $(TORCH_STAMP) ## set up, then run the tests of many seconds each
	@$(PYTEST) -m 'long and not slow' --session-timeout 4500 --durations 25 $(ARGS)

# Together the parts are all tests, each once: a test looks.
SHARD_unit := tests/unit tests/property tests/contract tests/coverage tests/truth tests/integration/ledger
SHARD_jobs := $(addprefix tests/integration/,examples jobs kernels notices snapshots store support test_extras.py)
SHARD_hub := tests/browser $(addprefix tests/integration/,access chaos hub job_servers server)
SHARD ?= unit jobs hub

test-all: setup pythons system containers $(TORCH_STAMP) ## set up, then run all tests in three parts (one of them with SHARD=unit, jobs or hub)
	@$(foreach shard,$(SHARD),$(if $(SHARD_$(shard)),,$(error SHARD=$(shard) is no part of the tests: unit, jobs, hub)))failed=
	$(foreach shard,$(SHARD),echo "==> $(shard)"; $(PYTEST) $(SHARD_$(shard)) $(ARGS) || failed="$$failed $(shard)";)
	[ -z "$$failed" ] || { echo "make: failed:$$failed" >&2; exit 1; }

check: packages ## format, lint, types, which room may import which, the words, and that each test can be imported
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q $(RULES)
	collected=$$($(BIN)/pytest -qqq --collect-only --disable-warnings) || { echo "$$collected" >&2; exit 1; }

truth: packages pythons ## compare resumes with papermill from the top, on N instances of stories (N=1000 SEED=1)
	@PYTHONPATH=tests $(BIN)/python -m truth --number $(N) --seed $(SEED) --workers $(JOBS) $(ARGS)

$(PEERS_STAMP):
	@$(call say,What the benchmarks measure against in .respawn/peers)
	$(call logged,peers,$(PYTHON) -m venv --clear .respawn/peers && .respawn/peers/bin/python -m pip install --disable-pip-version-check -r $(PEERS_LOCK))
	touch $@

bench: setup system $(PEERS_STAMP) ## measure against others that do the like, here and now
	@for bench in benchmarks/bench_*.py; do
	  $(call say,$$bench)
	  $(BIN)/python $$bench
	done

lock: packages ## write all locks anew: the environment, the proxy, the standardized kernels
	@$(BIN)/uv pip compile pyproject.toml --extra all --group dev --universal --python-version 3.11 \
	  --generate-hashes --upgrade --custom-compile-command "make lock" --quiet -o requirements-dev.lock
	# Debian 12 has Python 3.11.2, and some releases of libraries ask for 3.11.5.
	$(BIN)/uv pip compile pyproject.toml images/server.in --extra server --universal --python-version 3.11.2 \
	  --generate-hashes --upgrade --custom-compile-command "make lock" --quiet -o images/server.lock
	for name in $(ENVIRONMENTS); do $(BIN)/respawn kernels lock --upgrade "$$name"; done
	$(BIN)/uv pip compile benchmarks/peers.in --constraint requirements-dev.lock --universal --python-version 3.11 \
	  --generate-hashes --upgrade --custom-compile-command "make lock" --quiet -o $(PEERS_LOCK)
	npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

clean: ## remove what setup made; the data of `make up` stays
	@rm -rf $(VENV) node_modules .respawn/environments .respawn/pythons $(LOGS) $(LIBRARIES) build dist .mypy_cache .ruff_cache .pytest_cache
	[ ! -d .respawn/hub ] || echo "The data of make up stay in .respawn/hub; remove that directory to forget them."
