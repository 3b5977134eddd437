# make setup · make demo · make test · make test-fast · make storm · make killed: all that is needed is Python 3.11 and make.
PYTHON ?= python3
VENV := .venv

.PHONY: setup demo test test-fast storm killed check suite

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-compile -r requirements.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib
	@touch $@

demo: setup
	$(VENV)/bin/vibes demo

# Side by side: the types take one core for most of a minute, and tests often wait.
test: setup
	$(MAKE) --no-print-directory --jobs 2 check suite

# One worker more than cores: many tests wait for a server, a daemon or a disk. Hundreds of processes import the same
# modules: compiled once, they are read by all.
suite: setup
	$(VENV)/bin/python -m compileall -qq -j 0 vibes_pipeline tests
	$(VENV)/bin/pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1))

# What starts no server, process or browser: after each change, within two minutes.
test-fast: setup check
	$(VENV)/bin/pytest --fast --numprocesses $$(getconf _NPROCESSORS_ONLN)

# A thousand harmed warehouses through all slots, two at a time; a few of them are in the tests.
storm: setup
	cd tests && ../$(VENV)/bin/python -m storm --seeds 1000

# Each of four slots killed fifty times over a bad mail server; a few of these kills are in the tests.
killed: setup
	cd tests && ../$(VENV)/bin/python -m killed --times 50

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy vibes_pipeline
	$(VENV)/bin/python tests/lint_sql.py
