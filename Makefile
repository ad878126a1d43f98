# `make demo` and `make test` do all the set-up: they need only Python and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test fast lint docs bench clean

demo: $(VENV)/test.ready
	$(BIN)/sdeplug demo

test: $(VENV)/test.ready
	$(BIN)/python -m pytest -n auto

fast: $(VENV)/test.ready
	$(BIN)/python -m pytest -n auto -m "not slow"

lint: $(VENV)/dev.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/dev.ready
	$(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/test.ready
	$(BIN)/python benchmarks/run.py

$(VENV)/%.ready: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[$*]"
	touch $@

clean:
	rm -rf $(VENV) build bench dist site demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
