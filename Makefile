# `make lesson` and `make test` do all of their own set-up, in the folder .venv.
# On Windows, type the commands of README.md instead.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := lesson
.PHONY: lesson test clean

## Run every block of every page, print the table, and write the notebooks.
lesson: $(INSTALLED)
	$(BIN)/lesson check
	$(BIN)/lesson notebooks

## Everything that continuous integration checks. More options: make test PYTEST_ARGS="-x -k mock"
test: $(INSTALLED)-for-tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

clean:
	rm -rf .venv notebooks

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "The lesson needs Python 3.10 or newer, and $(PYTHON) is older: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "No virtual environment: on Debian and Ubuntu, install python3-venv"; exit 1; }

$(INSTALLED): requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(INSTALLED)-for-tests: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@
