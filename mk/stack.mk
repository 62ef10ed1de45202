# The stack of a team on this machine, without containers: Jaeger, the Collector, PostgreSQL and the sink.

CI += test-stack

.PHONY: stack
stack: $(READY) ## start Jaeger, the Collector, PostgreSQL and the sink here; print their addresses
	@$(BIN)/python -m tests.stack up

.PHONY: stack-stop
stack-stop: $(READY) ## end what `make stack` started
	@$(BIN)/python -m tests.stack down

.PHONY: test-stack
test-stack: $(READY) ## run the demo through the real Collector to Jaeger and the sink, faults included (needs Go)
	@command -v go >/dev/null || { echo "no Go toolchain here, so no Collector and no Jaeger: test-stack is not run" >&2; exit 0; }; \
	  $(BIN)/python -m pytest tests/stack $(PYTEST_ARGS)

.PHONY: bench-sink
bench-sink: $(READY) ## measure the sink against its own writer and Arize Phoenix
	@$(BIN)/python benchmarks/bench_sink.py $(ARGS)

.PHONY: collector-sources
collector-sources: ## make collector/otelcol/ anew from collector/builder-config.yaml (needs Go)
	GOBIN=$(abspath .bin) go install go.opentelemetry.io/collector/cmd/builder@v0.160.0
	.bin/builder --config collector/builder-config.yaml --skip-compilation
