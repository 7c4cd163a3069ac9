# Every target sets up what it needs first. That takes a minute once and nothing afterwards.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
NOTEBOOKS = $(wildcard notebooks/*.ipynb)
# What an editable install copies, and so has to be installed again when it changes: JupyterLab's extension.
COPIED = $(wildcard workbench/notebook/labextension/*.json workbench/notebook/*/static/*.js workbench/notebook/*/static/*.css)
SLOW := browser or kills or peers or fresh

.DELETE_ON_ERROR:
.PHONY: help setup demo lab test test-all soak diffusion bench check format notebooks pictures cassettes pins clean

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1@\2/p' $(MAKEFILE_LIST) | sed -e ':a' -e 's/^\([^@]\{1,17\}\)@/\1 @/;ta' -e 's/@//'

setup: $(READY)  ## make .venv with the pinned versions (uv when it is on PATH, pip when not)

$(READY): requirements.txt pyproject.toml $(COPIED)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | tail -1). Try: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@set -e; if command -v uv >/dev/null; then \
	  test -x $(BIN)/python || uv venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv; \
	  install="uv pip install --quiet --python $(BIN)/python"; \
	else \
	  test -x $(BIN)/python || $(PYTHON) -m venv .venv 2>/dev/null || $(PYTHON) -m venv --clear --without-pip .venv; \
	  install="$(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check install --quiet"; \
	  $(BIN)/python -m pip --version >/dev/null 2>&1 && \
	    install="$(BIN)/python -m pip --disable-pip-version-check install --quiet"; \
	fi; \
	echo "Setting up .venv (about a minute, once) ..."; \
	$$install -r requirements.txt; \
	$$install --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/uv:
	@$(MAKE) setup

demo: setup  ## run the first notebook headless and print plan, table and answer
	@$(BIN)/workbench demo

lab: setup  ## open the first notebook in JupyterLab
	@$(BIN)/workbench lab

test: setup  ## the test suite, and every tutorial notebook
	$(BIN)/python -m pytest tests -m "not ($(SLOW) or diffusion)"
	$(if $(NOTEBOOKS),$(BIN)/python -m pytest --nbval notebooks)

test-all: setup  ## the slow tests: browser, kills, other programs as peers, fresh installs
	$(BIN)/python -m pytest tests -m "$(SLOW)"

soak: setup  ## an hour of random system calls (as root: HOSTILE_FUZZ, HOSTILE_SEED) and of killed runs (SURVIVAL_KILLS)
	HOSTILE_FUZZ=$(or $(HOSTILE_FUZZ),30000) $(BIN)/python -m pytest tests/hostile/test_fuzz.py
	SURVIVAL_KILLS=$(or $(SURVIVAL_KILLS),2000) $(BIN)/python -m pytest -s -m kills tests/survival/test_kills.py
	SURVIVAL_STRIDE=1 SURVIVAL_MODELS=300 $(BIN)/python -m pytest -s tests/survival/test_points.py tests/survival/test_model.py

diffusion: setup  ## a tiny diffusers pipeline for real; installs torch (6 GB on Linux, CUDA included) into .venv/diffusion
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv/diffusion
	$(BIN)/uv pip install --quiet --python .venv/diffusion/bin/python -r requirements.txt -e '.[diffusion]'
	.venv/diffusion/bin/python -m pytest -m diffusion tests/models/test_diffusers.py

bench: setup  ## what our own parts cost beside their peers, as ratios of things run side by side
	for bench in orchestration models panel background; do $(BIN)/python -m tests.benchmarks.bench_$$bench || exit 1; done

check: setup  ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy workbench tests $(wildcard data/samples/*.py) $(wildcard tools/*.py)
	$(BIN)/lint-imports --no-logo

format: setup  ## let ruff repair and format the code
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

notebooks: setup  ## run the tutorials again and save what they show
	$(BIN)/jupyter nbconvert --log-level WARN --to notebook --execute --inplace \
	  --ExecutePreprocessor.record_timing=False $(NOTEBOOKS)

pictures: setup  ## make the pictures of docs/screens.md and README.md from the real panels
	$(BIN)/python -m docs.screens

cassettes: setup  ## record the cassettes of the tutorials anew, against a server of the tests
	$(BIN)/python -m tests.replay.recording

pins: | $(BIN)/uv  ## bring requirements.txt up to date with pyproject.toml (UPGRADE=1 takes newer versions)
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --quiet \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) -o requirements.txt

clean:  ## remove .venv and everything that was built or cached
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
