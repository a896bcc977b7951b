# What each target does for a user is told in README.md; how is in tools/.
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
ARGS ?=
PART ?=
# Ends what it starts when make itself is killed.
WITH_MAKE := $(if $(shell command -v setpriv),setpriv --pdeathsig TERM --)
COMPILE := $(VENV_PYTHON) -m uv pip compile --quiet --generate-hashes --universal \
	--python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links
# What is judged without any server, and by which tests.
COVERED := backups.dumpfile backups.keys backups.text backups.verdict sentinel
COVERING := tests/dumpfile tests/fuzz/test_texts.py tests/keys/test_keys.py tests/verdict/test_overall.py \
	$(addprefix tests/sentinel/test_,env_file.py environment.py gate.py heartbeat.py observe.py views.py)

.DEFAULT_GOAL := help
.PHONY: help setup run test soak catalogue test-compose coverage lint bench requirements pin-images release screenshots

help:
	@echo "make run | setup | test [ARGS=…] | soak [PART=…] [ARGS=…] | test-compose | coverage | lint | bench [ARGS=…] | requirements [ARGS=--upgrade] | pin-images | catalogue | release | screenshots"
	@echo "parts of make soak: kills logs workers swaps storage servers changes backups restores databases security hostile walk portal"

setup:
	@$(PYTHON) -m tools.setup

run: setup
	@exec $(WITH_MAKE) $(VENV_PYTHON) -m tools.run $(ARGS)

test:
	@$(PYTHON) -m tools.setup test
	@exec $(VENV_PYTHON) -m pytest $(if $(ARGS),$(ARGS),--numprocesses auto --dist loadfile --no-loadscope-reorder)

# What `make test` leaves out, in the parts of tests/soak.py, of which PART names one. VEDETTA_SEED repeats.
soak:
	@$(PYTHON) -m tools.setup test
	@exec $(VENV_PYTHON) -m tests.soak $(PART) $(ARGS)

# Builds the image and starts the Compose file; needs root, and minutes.
test-compose:
	@$(PYTHON) -m tools.setup test
	@VEDETTA_TEST_COMPOSE=yes exec $(VENV_PYTHON) -m pytest tests/compose --exitfirst -rA $(ARGS)

# Of what is judged without any server. The whole suite is not measured: it took 40 % longer on a slice, and most
# of it runs in processes of their own, which would count for nothing.
coverage:
	@$(PYTHON) -m tools.setup lint
	@exec $(VENV_PYTHON) -m pytest $(COVERING) --quiet --numprocesses auto --durations=0 --durations-min=60 \
		$(addprefix --cov=,$(COVERED)) --cov-report=term:skip-covered $(ARGS)

lint:
	@$(PYTHON) -m tools.setup lint
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	SECRET_KEY=which-the-Django-plugin-needs-to-read-the-settings $(VENV_PYTHON) -m mypy

bench:
	@$(PYTHON) -m tools.setup bench
	@exec $(VENV_PYTHON) -m bench $(ARGS)

# The larger set first, so that both hold the same versions.
requirements:
	@$(PYTHON) -m tools.setup lint
	$(COMPILE) $(ARGS) --extra dev --extra postgresql --group build pyproject.toml --output-file requirements-dev.txt
	$(COMPILE) $(ARGS) --constraint requirements-dev.txt --extra postgresql pyproject.toml --output-file requirements.txt
	$(COMPILE) $(ARGS) --constraint requirements-dev.txt --group build --output-file requirements-build.txt
	$(COMPILE) $(ARGS) --constraint requirements-dev.txt --group candidates pyproject.toml --output-file requirements-candidates.txt

# Into .env, of the images that this machine's Docker has; ARGS=--print writes nothing.
pin-images:
	@$(PYTHON) -m tools.images $(ARGS)

# Into dist/: wheel, source archive, notes, the list of what they are made of; and whether holes are known in it.
release:
	@$(PYTHON) -m tools.setup lint
	@exec $(VENV_PYTHON) -m tools.release $(ARGS)

# The texts in other languages, as the source has them now; it lists what is to be translated.
catalogue:
	@$(PYTHON) -m tools.setup lint
	@exec $(VENV_PYTHON) -m tools.catalogue

# Into docs/screenshots, with a made-up history.
screenshots:
	@$(PYTHON) -m tools.setup test
	@exec $(VENV_PYTHON) -m tools.screenshots $(ARGS)
