# The hooks on every AG2 that there is, each in an environment of its own, `.venv-<name>`, pinned by `constraints/<name>.txt`.

MATRIX := ag2-0.9.10 ag2-0.11.5 ag2-0.12.3 ag2-0.13.4 ag2-0.14.0 cmbagent-autogen ag2-1.2.1
MATRIX_CI := ag2-0.9.10 cmbagent-autogen ag2-1.2.1

matrix_frameworks = 'ag2[openai]'
.venv-cmbagent-autogen/.ready: matrix_frameworks = cmbagent_autogen ipython

# What may stand beside AG2 classic and us in one process: AG2 1.x, other tracers, Jupyter.
.venv-beside/.ready: matrix_frameworks = 'autogen[openai]' ag2 opentelemetry-util-genai \
  opentelemetry-instrumentation-genai-openai openinference-instrumentation-openai \
  ipykernel jupyter-client jupyter-kernel-gateway websocket-client
# Its forerunner needs another opentelemetry-util-genai than the OpenAI instrumentor of today.
.venv-forerunner/.ready: matrix_frameworks = 'autogen[openai]' opentelemetry-instrumentation-openai-v2

CLASSIC_TESTS := tests/scenarios tests/instrumentation
AG2_TESTS := tests/ag2

.venv-%/.ready: constraints/%.txt pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< --editable '.[test]' $(matrix_frameworks)
	@touch $@

.PHONY: $(MATRIX:%=test-%)
$(MATRIX:%=test-%): test-%: .venv-%/.ready
	@echo "--- $*: $$($(<D)/bin/python --version), $$($(<D)/bin/python -m pip freeze --disable-pip-version-check | grep -iE '^(ag2|autogen|cmbagent_autogen)==')"
	$(<D)/bin/python -m pytest -q -p no:cacheprovider -o filterwarnings=default $(if $(filter ag2-1.%,$*),$(AG2_TESTS),$(CLASSIC_TESTS)) $(PYTEST_ARGS)

.PHONY: test-matrix
test-matrix: $(MATRIX:%=test-%) ## run the scenarios on every AG2: 0.9.10 to 0.14, CMBAgent's fork, and 1.x

.PHONY: test-beside
test-beside: .venv-beside/.ready .venv-forerunner/.ready ## run the tests of AG2 classic beside AG2 1.x, other tracers and Jupyter
	.venv-beside/bin/python -m pytest -q -p no:cacheprovider -o filterwarnings=default \
	  tests/beside tests/scenarios/test_notebooks.py -k 'not openai_v2' $(PYTEST_ARGS)
	.venv-forerunner/bin/python -m pytest -q -p no:cacheprovider -o filterwarnings=default tests/beside/test_other_tracers.py \
	  -k openai_v2 $(PYTEST_ARGS)

CI += test-matrix-ci test-beside

.PHONY: test-matrix-ci
test-matrix-ci: $(MATRIX_CI:%=test-%)

# AG2's own tests are in its repository alone: `make own-tests AG2=../ag2`, a checkout at the version that is tested with.
.venv-own-tests/.ready: constraints/autogen-0.14.1.txt pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< --editable '.[test]' 'autogen[openai]' \
	  dirty-equals docker ipython jsonschema mock nbconvert nbformat pandas pytest-asyncio pytest-cov
	@touch $@

.PHONY: own-tests
own-tests: .venv-own-tests/.ready ## run AG2's own offline tests without our hooks and with them, and compare (AG2=a checkout of AG2 0.14.1)
	@test -d "$(AG2)/test" || { echo "say where a checkout of AG2 0.14.1 is: make own-tests AG2=../ag2" >&2; exit 1; }
	$(<D)/bin/python benchmarks/ag2_own_tests.py "$(AG2)"

# The newest releases, without pins: tells, and never fails.
.PHONY: canary
canary: ## run the scenarios on the newest releases, and only tell how they fared
	@for framework in autogen 'ag2<1' ag2; do \
	  rm -rf .venv-canary; $(PYTHON) -m venv .venv-canary; \
	  .venv-canary/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --editable '.[test]' \
	    "$$(echo "$$framework" | sed 's/^[a-z0-9]*/&[openai]/')" || { echo "canary: $$framework can't be installed"; continue; }; \
	  tests="$(CLASSIC_TESTS)"; test "$$framework" = ag2 && tests="$(AG2_TESTS)"; \
	  .venv-canary/bin/python -m pytest -q -p no:cacheprovider -o filterwarnings=default $$tests > .venv-canary/log 2>&1; \
	  echo "canary: $$(.venv-canary/bin/python -m pip freeze --disable-pip-version-check | grep -iE '^(ag2|autogen)==') $$(tail -n 1 .venv-canary/log)"; \
	done; true
