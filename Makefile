# Two commands on a fresh machine with Python 3.11+ and make:
#   make quickstart   the whole experiment on a tiny model: evaluate, finetune, evaluate, report
#   make test         the tests
PYTHON ?= python3
VENV ?= .venv
UV ?= uv
RUN = $(VENV)/bin/python
INSTALLED = $(VENV)/.installed

.PHONY: quickstart controls test test-slow test-real lint format lock base clean

quickstart: $(INSTALLED)
	$(RUN) scripts/quickstart.py --workdir=runs/quickstart

# What else could have moved the quickstart's figure: training on statements, the separator,
# words that the base never read.
controls: $(INSTALLED)
	$(RUN) scripts/quickstart.py --workdir=runs/quickstart --controls

# Tests mostly compile, one after another: several processes keep the cores busy.
test: $(INSTALLED)
	$(RUN) -m pytest -n auto --maxprocesses=4 --dist=worksteal

test-slow: $(INSTALLED)
	$(RUN) -m pytest -m slow

# Needs IFT_JAX_DATA=DIR, the folder with the datasets and weights of docs/real-run.md.
test-real: $(INSTALLED)
	$(RUN) -m pytest -m real_data

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(INSTALLED)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# Makes the bundled tiny base model again (see docs/tiny-base.md).
base: $(INSTALLED)
	$(RUN) scripts/make_base.py --workdir=runs/tiny_base

# Pins every dependency for Python 3.11 and 3.12 at once; needs uv.
lock:
	$(UV) pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ift-jax needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version)." \
	    "Name another: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv .venv-3.12 runs/quickstart runs/data
