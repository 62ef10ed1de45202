# The store: what its writer costs.

.PHONY: bench-store
bench-store: $(READY) ## measure the store's writer beside the least that its database can do with the same rows
	@$(BIN)/python -m benchmarks.bench_store $(ARGS)

.PHONY: bench-scale
bench-scale: $(READY) ## measure writing and reading at 1M nodes and 5M events on PostgreSQL
	@$(BIN)/python -m benchmarks.bench_scale $(ARGS)

.PHONY: bench-processor
bench-processor: $(READY) ## measure what the in-process door costs its program: time on its thread, and memory
	@$(BIN)/python -m benchmarks.bench_processor $(ARGS)

.PHONY: bench-adoption
bench-adoption: $(READY) ## measure how long adopting a database of 5M events on PostgreSQL keeps writers waiting
	@$(BIN)/python -m benchmarks.bench_adoption $(ARGS)

.PHONY: bench-retention
bench-retention: $(READY) ## measure what it costs to let old runs go: deleting beside dropping partitions
	@$(BIN)/python -m benchmarks.bench_retention $(ARGS)

CI += test-burst

.PHONY: test-burst
test-burst: $(READY) ## lose no span of a burst of 100,000, also with the database away at first (minutes)
	$(BIN)/python -m pytest -o faulthandler_timeout=0 tests/burst $(PYTEST_ARGS)
