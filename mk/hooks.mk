# The hooks: what they cost.

.PHONY: bench-hooks
bench-hooks: $(READY) ## measure what the hooks cost on the agent's thread, beside bare spans and AG2's own tracing
	@$(BIN)/python -m benchmarks.bench_hooks $(ARGS)

# What other tracers make of the same chats; each in an environment of its own, since they wrap the same functions.
FIDELITY := openinference openlit
fidelity_openinference = openinference-instrumentation-ag2 openinference-instrumentation-openai 'autogen[openai]==0.14.1'
# OpenLIT knows AG2 by the distribution's name.
fidelity_openlit = openlit 'ag2[openai]==0.14.0'

# Ours without its dependencies: the others pin versions of OpenTelemetry that it does not take.
.venv-fidelity-%/.ready: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(fidelity_$*) \
	  opentelemetry-sdk opentelemetry-instrumentation orjson pydantic-settings wrapt
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.PHONY: fidelity
fidelity: $(READY) $(FIDELITY:%=.venv-fidelity-%/.ready) ## play the same chats under us, AG2's own tracing, OpenInference and OpenLIT, beside the truth
	@rm -rf artefacts/fidelity; mkdir -p artefacts/fidelity
	@play() { PYTHONPATH=. $$1/bin/python benchmarks/fidelity.py run $$2 artefacts/fidelity/$$2.json > artefacts/fidelity/$$2.log 2>&1; }; \
	for tracer in ours ag2; do play $(VENV) $$tracer || { cat artefacts/fidelity/$$tracer.log >&2; exit 1; }; done; \
	for tracer in $(FIDELITY); do play .venv-fidelity-$$tracer $$tracer || echo "$$tracer could not be run"; done
	@$(BIN)/python benchmarks/fidelity.py table $$(ls -tr artefacts/fidelity/*.json)
