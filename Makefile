# The verbs of this project. Each makes what it needs: `make chat` and `make test` work in a fresh clone.

PYTHON ?= python3
PORT ?= 8080
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(wildcard examples/*/package.json examples/*/*/package.json tests/clients/package.json)
NODE_MODULES := $(PACKAGES:package.json=node_modules/.installed)
PYENV_BINS := $(wildcard $(HOME)/.pyenv/versions/3.1*/bin)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help chat test lint typecheck coverage docs tox clean

help:  ## List the verbs
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

chat: $(VENV)/examples.installed  ## Serve the chat example (PORT=8080)
	@echo "Open http://localhost:$(PORT)/ in a browser, or in two. Ctrl-C ends the server."
	@exec $(BIN)/python examples/chat/server.py --port $(PORT)

test: $(VENV)/dev.installed $(NODE_MODULES)  ## Run the tests with branch coverage (ARGS="-k close" runs some, without)
	$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),--cov)

coverage: $(VENV)/dev.installed $(NODE_MODULES)  ## Run the tests and write htmlcov/index.html
	$(BIN)/python -m pytest --cov --cov-report=html --cov-report=term $(ARGS)

lint: $(VENV)/dev.installed  ## Check style, format and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

typecheck: $(VENV)/dev.installed  ## Check types (mypy --strict)
	$(BIN)/mypy
	$(foreach example,$(wildcard examples/*/),$(BIN)/mypy $(example) &&) true

docs: $(VENV)/docs.installed  ## Build docs/_build/html/index.html; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html

tox: $(VENV)/dev.installed $(NODE_MODULES)  ## Run everything on every Python at hand
	PATH="$(subst $() ,:,$(addsuffix :,$(PYENV_BINS)))$$PATH" $(BIN)/tox run $(ARGS)

clean:  ## Remove all that these verbs made
	rm -rf $(VENV) .tox build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf .coverage .coverage.* htmlcov docs/_build $(dir $(NODE_MODULES))
	find geventkws tests examples -name __pycache__ -prune -exec rm -rf {} +

# One environment for all verbs; each extra of pyproject.toml is installed when a verb first needs it.
$(VENV)/%.installed: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "geventkws needs Python 3.10 or later; say which by make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# The clients for Node. Without npm their tests are skipped (in CI: fail), and pytest says so.
%/node_modules/.installed: %/package.json
	@if command -v npm >/dev/null; then \
		cd $* && npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error && \
		touch node_modules/.installed; \
	else echo "npm is not installed: the tests of $* that need it will be skipped" >&2; fi
