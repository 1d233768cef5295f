VENV ?= .venv
WORKERS ?= 2

.PHONY: demo test lint docs clean

demo:  ## a verified, priced migration plan for the bundled cluster `small`
	@scripts/make-env $(VENV)
	$(VENV)/bin/drs advise small --time-s 5 --seed 1 --out out/demo

test:  ## everything that has to hold
	@scripts/make-env $(VENV) test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m pytest -n $(WORKERS)

docs:  ## the documentation, to docs/_build/html
	@scripts/make-env $(VENV) docs
	$(VENV)/bin/sphinx-build -W -b html docs docs/_build/html

clean:
	rm -rf $(VENV) out docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
