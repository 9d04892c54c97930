# `make lesson`, `make teach` and `make test` do all of their own set-up, in the folder .venv.
# On Windows, type the commands of README.md instead.

PYTHON ?= python3
# Programs are called as modules: that works also after the folder was moved.
BIN := .venv/bin
INSTALLED := .venv/.installed
LITELLM := .venv-litellm/bin/litellm
LITELLM_NEWEST := .venv-litellm-newest/bin/litellm
KEYS := tests/mock_proxy/real_keys
PYODIDE := tests/browser/pyodide

.DEFAULT_GOAL := lesson
.PHONY: lesson teach link notebooks handouts site test contract contract-newest contract-environment \
  browser browser-environment test-link link-environment links clean

## Run every block of every page, print the table, and write the notebooks.
lesson: $(INSTALLED)
	$(BIN)/python -m lesson check
	$(BIN)/python -m lesson notebooks

## JupyterLab with the notebooks, and the practice proxy, until Ctrl-C.
## More options: make teach TEACH_ARGS="--language r"
teach: $(INSTALLED)
	$(BIN)/python -m lesson teach $(TEACH_ARGS)

## The lesson as a site in which its Python notebooks run in the browser: a folder of files, for any
## web server. More options: make link LINK_ARGS="--pyodide FOLDER"
link: $(INSTALLED)-for-link
	$(BIN)/python -m lesson link --out public/link $(LINK_ARGS)

## Every edition with its ZIP file: what a release of the lesson carries. The instructor's editions
## of LANGUAGES must be there; without it, those that this machine can run are.
notebooks: $(INSTALLED)
	$(BIN)/python -m lesson notebooks --format ipynb,qmd,Rmd,py,R --zip
	$(BIN)/python -m lesson notebooks --solutions --zip $(if $(LANGUAGES),--language $(LANGUAGES))

## Times, schedules, and the cards and sheets to print, from the episodes: after the minutes, the
## title or an exercise of an episode has changed.
handouts: $(INSTALLED)
	$(BIN)/python tests/handouts.py

## The lesson's site, as the Carpentries Workbench builds it, in build/site/site/docs. It needs R and
## the Workbench, and says so. Each page ends with what happened when its blocks ran: now.
site: $(INSTALLED)
	@command -v Rscript > /dev/null || { echo "The site needs R, with the Carpentries Workbench:" \
	  "https://carpentries.github.io/workbench/ says how to install both."; exit 2; }
	@Rscript .ci/site.R
	@mkdir -p build
	$(BIN)/python -m lesson check --json build/check.json
	$(BIN)/python -m lesson stamp build/check.json --out build/site
	Rscript .ci/site.R build/site
	$(BIN)/python .ci/dead_links.py build/site/site/docs

## Everything that continuous integration checks. More options: make test PYTEST_ARGS="-x -k mock"
test: $(INSTALLED)-for-tests
	$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST_ARGS)

## The same requests to the mock proxy and to two versions of a real LiteLLM, and the client
## libraries people use; then, in a line a version, how near the mock is to it.
contract: contract-environment
	LITELLM_COMMAND="$(CURDIR)/$(LITELLM)" LITELLM_NEWEST_COMMAND="$(CURDIR)/$(LITELLM_NEWEST)" \
	  $(BIN)/python -m pytest $(PYTEST_ARGS) tests/mock_proxy/test_against_litellm.py \
	  tests/mock_proxy/test_against_litellm_families.py \
	  tests/mock_proxy/test_keys_against_litellm.py tests/mock_proxy/test_versions.py \
	  tests/mock_proxy/test_clients.py tests/test_live_litellm.py
	$(BIN)/python tests/mock_proxy/fresh.py

## The same requests to the newest release of LiteLLM, whatever has changed in it. It is installed
## without hashes: run this where a program finds no secret.
contract-newest: $(INSTALLED)-for-tests $(KEYS)/node_modules
	rm -rf .venv-litellm-newest
	$(PYTHON) -m venv .venv-litellm-newest
	.venv-litellm-newest/bin/python -m pip install --quiet --disable-pip-version-check \
	  'litellm[proxy]' prisma==0.15.0
	.venv-litellm-newest/bin/python -m pip list | grep litellm
	LITELLM_NEWEST_COMMAND="$(CURDIR)/$(LITELLM_NEWEST)" $(BIN)/python -m pytest $(PYTEST_ARGS) \
	  tests/mock_proxy/test_against_litellm.py tests/mock_proxy/test_against_litellm_families.py \
	  tests/mock_proxy/test_keys_against_litellm.py

## The pages that people work with, in a headless Chromium, Chrome or Edge, which has to be there.
browser: browser-environment
	LESSON_REQUIRE_BROWSER=1 $(BIN)/python -m pytest $(PYTEST_ARGS) tests/browser

## Ask every https address in the pages whether it still answers. Needs the internet; not part of
## `make test`, because other people's servers fail when they like.
links: .venv-links/installed
	.venv-links/bin/pytest --noconftest -c /dev/null --rootdir . -p no:cacheprovider -q \
	  --check-links --links-ext md --check-links-ignore "http://127.0.0.1:4000.*" \
	  *.md episodes learners instructors profiles

.venv-links/installed:
	$(PYTHON) -m venv .venv-links
	.venv-links/bin/python -m pip install --quiet --disable-pip-version-check 'pytest-check-links>=0.10,<1'
	@touch $@

contract-environment: $(INSTALLED)-for-clients $(LITELLM)-installed $(LITELLM_NEWEST)-installed \
  $(KEYS)/node_modules

browser-environment: $(INSTALLED)-for-browser

## The notebooks of `make link` in the same browser, and in Firefox if there is one. `make test` runs
## them, too, where `make link-environment` was run.
test-link: link-environment
	LESSON_REQUIRE_BROWSER=1 $(BIN)/python -m pytest $(PYTEST_ARGS) tests/browser/test_link_site.py

link-environment: browser-environment $(INSTALLED)-for-link $(PYODIDE)/node_modules

clean:
	rm -rf .venv .venv-litellm .venv-litellm-newest .venv-links notebooks public \
	  $(KEYS)/node_modules $(PYODIDE)/node_modules

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

$(INSTALLED)-for-clients: $(INSTALLED)-for-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,clients]'
	@touch $@

$(INSTALLED)-for-browser: $(INSTALLED)-for-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,browser]'
	@touch $@

$(INSTALLED)-for-link: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lesson,link]'
	@touch $@

# LiteLLM needs other versions of what the lesson needs, so it has environments of its own. Releases
# of LiteLLM on the package index have been replaced by others that steal keys: each file is named by
# its hash.
$(LITELLM)-installed: .ci/litellm-1.106.2.txt
	$(PYTHON) -m venv .venv-litellm
	.venv-litellm/bin/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --require-hashes -r $<
	@touch $@

$(LITELLM_NEWEST)-installed: .ci/litellm-1.109.1.txt
	$(PYTHON) -m venv .venv-litellm-newest
	.venv-litellm-newest/bin/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --require-hashes -r $<
	@touch $@

# What LiteLLM's virtual keys need beside PostgreSQL. Scripts of these packages would download
# programs that are not used.
$(KEYS)/node_modules: $(KEYS)/package-lock.json
	@if command -v npm > /dev/null; then \
	  npm ci --prefix $(KEYS) --ignore-scripts --no-audit --no-fund --silent && touch $@; \
	  else echo "Without npm, virtual keys are not compared with LiteLLM's."; fi

# Python for browsers, without its packages of compiled code.
$(PYODIDE)/node_modules: $(PYODIDE)/package-lock.json
	@if command -v npm > /dev/null; then \
	  npm ci --prefix $(PYODIDE) --ignore-scripts --no-audit --no-fund --silent && touch $@; \
	  else echo "Without npm, the notebooks in a browser are not tried."; fi
