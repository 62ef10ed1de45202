# What users install: an sdist and the wheel made of it, in environments that were empty.

.PHONY: dist
dist: $(READY) ## build the sdist, and the wheel from it, into dist/
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist >/dev/null

.PHONY: test-packaging
test-packaging: dist ## test what users install, at its lowest and newest dependencies, on Python 3.11 to 3.13
	DISTRIBUTIONS="$(abspath dist)" $(BIN)/python -m pytest -n 2 -o timeout=1200 -o faulthandler_timeout=0 tests/packaging $(PYTEST_ARGS)
