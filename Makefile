# `make demo` and `make test` do all the set-up: they need only Python and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One thread for each worker.  Large tensors come and go: without the other two the allocator
# hands their memory back each time.
PYTEST = OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=2000000000 \
	$(BIN)/python -m pytest -n auto --dist worksteal
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Hundreds of processes start: what Python compiles is kept, though the machine may say not to.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all fast lint docs bench clean

demo: $(VENV)/test.ready
	$(BIN)/sdeplug demo

test: $(VENV)/test.ready
	$(PYTEST) -m "not thorough"

test-all: $(VENV)/test.ready
	$(PYTEST)

fast: $(VENV)/test.ready
	$(PYTEST) -m "not slow and not thorough"

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
