# What users install: an sdist and the wheel made of it, in environments that were empty.

PACKAGING_TESTS := $(BIN)/python -m pytest -n 2 -o timeout=1200 -o faulthandler_timeout=0 tests/packaging $(PYTEST_ARGS)

CI += test-packaging-ci

.PHONY: dist
dist: $(READY) ## build the sdist, and the wheel from it, into dist/
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist >/dev/null

.PHONY: test-packaging
test-packaging: dist ## test what users install, at its lowest and newest dependencies, on Python 3.11 to 3.13
	DISTRIBUTIONS="$(abspath dist)" $(PACKAGING_TESTS)

# One of the six: the newest releases of others are no matter for CI.
.PHONY: test-packaging-ci
test-packaging-ci: dist
	DISTRIBUTIONS="$(abspath dist)" $(PACKAGING_TESTS) -k 'not smoke or lowest-direct-3.11'
