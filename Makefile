# The commands of this project. Each makes what it needs: `make chat` and `make test` work in a fresh clone.

PYTHON ?= python3
PORT ?= 8080
MODES ?=
SAMPLE ?=
CASES ?=
ARGS ?=

VENV := .venv

# Python compiles a module once, and not in each of the workers and programs that the tests start.
unexport PYTHONDONTWRITEBYTECODE

QUICK_TESTS := tests/protocol tests/http tests/loop tests/websocket $(wildcard tests/test_*.py) \
	$(patsubst %,tests/integration/test_%.py,http endings pull)
ALONE_TESTS := $(sort $(shell grep -rl "mark\.alone" tests --include="test_*.py"))
BYTES_TESTS := tests/protocol tests/centrifuge/protocol
LOOP_TESTS := $(addprefix tests/,loop net websocket server) \
	$(patsubst %,tests/integration/test_%.py,loop keepalive backpressure threads tls)
COMPILED := $(wildcard geventkws/*.pyx geventkws/*.pxd geventkws/*/*.pyx geventkws/*/*.pxd geventkws/*/*.py)
BIN := $(VENV)/bin
PACKAGES := $(wildcard examples/*/package.json examples/*/*/package.json tests/*/package.json)
NODE_MODULES := $(PACKAGES:package.json=node_modules/.installed)
PYENV_BINS := $(wildcard $(HOME)/.pyenv/versions/3.1*/bin)
PYTHON27 := $(or $(PYTHON27),$(shell for python in $(HOME)/.pyenv/versions/2.7*/bin/python2.7 python2.7; \
	do if "$$python" -c "" 2>/dev/null; then command -v "$$python"; break; fi; done))
WSTEST := $(VENV)/wstest.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help chat cluster live test quick lint typecheck coverage sanitize fuzz fuzz-compiled soak autobahn lock docs tox bench bench-scale clean

help:  ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

chat: $(VENV)/examples.installed  ## Serve the chat example (PORT=8080)
	@exec $(BIN)/python examples/chat/server.py --port $(PORT)

cluster: $(VENV)/cluster.installed  ## Serve it on three processes, with Redis (PORT=8080)
	@exec $(BIN)/python examples/cluster/cluster.py --port $(PORT)

live: $(VENV)/cluster.installed examples/live/node_modules/.installed  ## Serve the live page on two processes, with Redis (PORT=8080)
	@exec $(BIN)/python examples/cluster/cluster.py live --workers 2 --port $(PORT)

# The passes are explained in CONTRIBUTING.md. In each, the test files first share the cores; then tests that measure
# time run with the machine to themselves. Coverage need not tell greenlets apart where there are none, which takes half
# the time; programs that are measured run in the second pass.
FIRST := not once and not compiled
SECOND := not readable
THIRD := not once and not readable
FILES := --numprocesses=auto --dist=loadfile --no-loadscope-reorder
PYTEST := $(BIN)/python -m pytest -q
COVERED := --cov --cov-report= --cov-fail-under=0
# Tests of the protocol wait for nothing, so a second worker for each core would only import and collect them once more.
# Tests that start programs, browsers above all, mostly wait: three workers for each core take a sixth less time than two.
CORES := $(shell getconf _NPROCESSORS_ONLN)
ONE_A_CORE := --numprocesses=$(CORES)
THREE_A_CORE := --numprocesses=$(shell expr 3 \* $(CORES))
READABLE := GEVENTKWS_PURE=1 GEVENT_LOOP=libuv GEVENT_DEBUG=debug
LIBUV := GEVENT_LOOP=libuv GEVENT_DEBUG=debug

# With GEVENT_DEBUG, gevent warns of watchers that were not closed, whose memory libuv would go on using.
test: $(VENV)/dev.installed $(NODE_MODULES)  ## Run all tests, on both backends and event loops (ARGS="-k close" runs some, once)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	@echo "1 of 3: readable backend, libuv, with branch coverage"
	NO_GREENLETS=thread $(READABLE) $(PYTEST) -m "not alone and $(FIRST)" $(FILES) $(ONE_A_CORE) $(COVERED) $(BYTES_TESTS)
	MEASURE_PROGRAMS=no $(READABLE) $(PYTEST) -m "not alone and $(FIRST)" $(FILES) $(COVERED) --cov-append $(BYTES_TESTS:%=--ignore=%)
	$(READABLE) $(PYTEST) -m "alone and $(FIRST)" $(ALONE_TESTS)
	@$(BIN)/python -c 'import geventkws; print("2 of 3:", geventkws.BACKEND, "backend, libev, with clients of all kinds")'
	MEASURE_PROGRAMS=yes $(PYTEST) -m "not alone and $(SECOND)" $(FILES) $(THREE_A_CORE)
	$(BIN)/coverage combine --append --quiet
	$(BIN)/coverage report
	$(PYTEST) -m "alone and $(SECOND)" $(ALONE_TESTS)
	@echo "3 of 3: the same backend, libuv: what talks to the event loop"
	$(LIBUV) $(PYTEST) -m "not alone and $(THIRD)" $(FILES) $(LOOP_TESTS)
endif

quick: $(VENV)/test.installed  ## Run the fast tests, in less than a minute (ARGS="-k close" runs some)
	$(PYTEST) -m "not alone" $(FILES) --hypothesis-profile=quick $(QUICK_TESTS) $(ARGS)

coverage: $(VENV)/dev.installed $(NODE_MODULES)  ## Run the tests and write htmlcov/index.html
	GEVENTKWS_PURE=1 $(BIN)/python -m pytest --cov --cov-report=html --cov-report=term $(ARGS)

# The fast part of the Autobahn test suite is one of the tests, if it can be installed.
test coverage tox: $(if $(PYTHON27),$(WSTEST))

# The tracked sources, which are compiled in build/$@; then the settings of a program that runs them there. One that is not
# itself sanitized, such as Python, must load the libraries of the sanitizers before all others.
define copy_sources
	mkdir -p build/$@
	git ls-files -z geventkws fuzzing tests setup.py pyproject.toml README.md LICENSE | \
		xargs -0 cp --parents --preserve=timestamps -t build/$@
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'setuptools>=77' 'cython>=3.1'
endef
BUILD := BUILD_EXTENSION=yes $(CURDIR)/$(BIN)/python setup.py --quiet build_ext --inplace
SANITIZERS := ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONMALLOC=malloc PYTHONPATH=.
SANITIZED := cd build/sanitize && LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libubsan.so)" \
	$(SANITIZERS) $(CURDIR)/$(BIN)/python -m pytest --capture=sys
# Greenlets copy stacks, which looks like an error to stack guards, so the tests with sockets run without these.
sanitize: $(VENV)/dev.installed  ## Run tests on compiled modules with ASan and UBSan
	rm -rf build/$@
	$(copy_sources)
	cd build/$@ && SANITIZE=address,undefined $(BUILD)
	$(SANITIZED) tests/protocol -k "compiled or parity or twins"
	cd build/$@ && CFLAGS="--param asan-stack=0" SANITIZE=address,undefined $(BUILD) --force
	$(SANITIZED) tests/net/test_tls_records.py $(patsubst %,tests/integration/test_%.py,loop backpressure tls endings)

FUZZ := -m fuzzing --found $(CURDIR)/build/fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)
fuzz: $(VENV)/dev.installed $(VENV)/fuzz.installed  ## Fuzz the parsers (SECONDS=60 each; ARGS="--help" lists them)
	$(BIN)/python $(FUZZ)

# clang lets the fuzzer see each branch. One library, which comes with atheris, has the fuzzer and both sanitizers.
fuzz-compiled: $(VENV)/dev.installed $(VENV)/fuzz.installed  ## Fuzz their compiled form, with ASan and UBSan (needs clang)
	$(copy_sources)
	cd build/$@ && CC=clang SANITIZE=address,undefined,fuzzer-no-link $(BUILD)
	library="$$($(BIN)/python -c 'import atheris; print(atheris.path())')/asan_with_fuzzer.so" && cd build/$@ && \
		GEVENTKWS_PURE=0 LD_PRELOAD="$$library" $(SANITIZERS) $(CURDIR)/$(BIN)/python $(FUZZ)

soak: $(VENV)/dev.installed  ## Let good and bad clients use a server, and count (MINUTES=10; ARGS="--help" lists the options)
	$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

autobahn: $(VENV)/dev.installed $(WSTEST)  ## Run the Autobahn test suite (MODES="pure-wss" CASES="1.* 6.4.*" runs some)
	$(BIN)/python -m tests.compliance.autobahn $(if $(MODES),--modes $(MODES)) $(if $(SAMPLE),--sample $(SAMPLE)) \
		$(if $(CASES),--cases $(foreach case,$(CASES),'$(case)')) $(ARGS)

lint: $(VENV)/dev.installed  ## Check style, format and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

typecheck: $(VENV)/dev.installed  ## Check types (mypy --strict)
	$(BIN)/mypy
	$(foreach example,$(sort $(dir $(wildcard examples/*/*.py))),$(BIN)/mypy $(example) &&) true

lock: | $(BIN)/python  ## Write requirements.lock anew, with the latest releases
	@$(call pip_install,uv,uv)
	$(BIN)/uv pip compile --no-config --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra dev \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

docs: $(VENV)/docs.installed  ## Build docs/_build/html/index.html; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html

tox: $(VENV)/dev.installed $(NODE_MODULES)  ## Run everything on every installed Python
	PATH="$(subst $() ,:,$(addsuffix :,$(PYENV_BINS)))$$PATH" $(BIN)/tox run $(ARGS)

bench: | $(BIN)/python  ## Measure geventkws and its peers (ARGS="--help" lists the options)
	@$(BIN)/python -m benchmarks.run $(ARGS)

bench-scale: | $(BIN)/python  ## Measure a delivery as processes are added (ARGS="--help" lists the options)
	@$(BIN)/python -m benchmarks.scale $(ARGS)

clean:  ## Remove everything that these commands made
	rm -rf .venv .venv-* .tox build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf .coverage .coverage.* htmlcov docs/_build $(dir $(NODE_MODULES)) benchmarks/.venv benchmarks/.build
	find geventkws tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

# One environment for all commands. The package is compiled once; what an extra of pyproject.toml needs is added when a
# command first needs it. With LOCKED=yes, as in CI, everything in requirements.lock is installed before that: by uv, which
# takes a sixth of pip's time, or by pip, where only pip is told of a mirror.
$(VENV)/package.installed: pyproject.toml setup.py $(COMPILED) $(if $(LOCKED),$(VENV)/lock.installed) | $(BIN)/python
	@echo "Installing geventkws in $(VENV) (compiles: about a minute)"
	@$(call pip_install,$(if $(LOCKED),--no-deps --no-build-isolation) --editable .,geventkws)
	@touch $@

$(VENV)/lock.installed: requirements.lock | $(BIN)/python
	@echo "Installing what requirements.lock names"
	@$(call pip_install,uv,uv)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement $< || \
		{ echo "uv could not install it: trying pip"; $(call pip_install,--require-hashes --requirement $<,requirements.lock); }
	@touch $@

$(VENV)/%.installed: $(VENV)/package.installed
	@echo "Installing what geventkws[$*] needs"
	@$(call pip_install,"geventkws[$*]",what geventkws[$*] needs)
	@touch $@

pip_install = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1) || \
	{ echo "$(2) could not be installed: see pip's error above" >&2; exit 1; }

# Autobahn's test suite is a program for Python 2.7, for which later releases of virtualenv make no environments.
$(WSTEST): tests/compliance/requirements.txt | $(BIN)/python
	@echo "Installing the Autobahn test suite in $(VENV)/wstest"
	@test -n "$(PYTHON27)" || \
		{ echo "wstest needs Python 2.7: run make PYTHON27=/path/to/python2.7 ..." >&2; exit 1; }
	@$(BIN)/python -m venv $(VENV)/virtualenv
	@$(VENV)/virtualenv/bin/python -m pip install --quiet --disable-pip-version-check virtualenv==20.21.1
	@$(VENV)/virtualenv/bin/python -m virtualenv --quiet --clear --python "$(PYTHON27)" $(VENV)/wstest
	@$(VENV)/wstest/bin/python -m pip install --quiet --disable-pip-version-check --no-python-version-warning \
		--requirement $<
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "geventkws needs Python 3.11 or later: run make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# The clients for Node. Without npm, their tests are skipped (in CI: fail), and pytest says so.
%/node_modules/.installed: %/package.json
	@if command -v npm >/dev/null; then \
		echo "Installing the Node packages of $*" && cd $* && \
		npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error && \
		touch node_modules/.installed; \
	else echo "npm is not installed: the tests of $* that need it will be skipped" >&2; fi
