# Every target sets up what it needs. `make` alone prints this list.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Two threads a process are slower than one when processes run side by side (measured).
export OMP_NUM_THREADS := 1
# Some containers set it; then each of some hundred processes would compile torch and Sphinx anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help book test lint serve clean notebooks setup
help:  ## print the targets
	@echo "Targets:"
	@sed -n 's/^\([a-z]*\):.*## /  make \1 | /p' Makefile | column -t -s '|' 2>/dev/null || sed -n 's/^\([a-z]*\):.*## /  make \1  /p' Makefile

book: setup  ## build the website in _build/html
	@$(BIN)/genlab build

test: setup  ## run every test: theorems, laws, notebooks, examples
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup  ## style of the code, and that no chapter imports a later one
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

serve: book  ## build, then serve the site on http://localhost:8000
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

notebooks: setup  ## derive exercises and executed solutions from solutions/*.py
	@$(BIN)/genlab notebooks

clean:  ## remove what was built (the environment stays; git clean -xfd removes it too)
	rm -rf _build dist book/_static/vendor book/_static/pictures book/node_modules

setup: $(VENV)/installed  ## make the virtual environment .venv

$(VENV)/installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; $(PYTHON) is not there. Install it, or name one: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}. Name another: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up .venv (a few GB; under a minute on a fast line)"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "The venv module does not work. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@
