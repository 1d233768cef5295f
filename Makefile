VENV ?= .venv
WORKERS ?= 2
BIN = $(VENV)/bin

# The rooms whose tests compile no kernel. `make test` runs all others too.
FAST = tests/docs/test_changelog.py tests/docs/test_made_pages.py tests/goals tests/io tests/model tests/precopy tests/rules \
	tests/terms tests/test_errors.py tests/test_house.py tests/test_stop.py tests/test_trigger.py

.PHONY: demo test fast pages changelog docs clean

demo:  ## a verified, priced migration plan for the bundled cluster `small`
	@scripts/make-env $(VENV)
	$(BIN)/drs advise small --time-s 5 --seed 1 --out out/demo

test:  ## everything that has to hold
	@scripts/make-env $(VENV) test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS)

fast:  ## the same checks and the quick rooms of the tests: under 90 s on two idle cores, the first run not counted
	@scripts/make-env $(VENV) test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" $(FAST)

pages:  ## the pages that are made of the code: the command line, policy.toml, the public API
	@scripts/make-env $(VENV) test
	$(BIN)/python docs/make_pages.py

changelog:  ## the fragments of changes/ go to CHANGELOG.md
	@scripts/make-env $(VENV) test
	$(BIN)/python scripts/fold_changes.py

docs:  ## the documentation, to docs/_build/html
	@scripts/make-env $(VENV) docs
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

clean:
	rm -rf $(VENV) out docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
