# The store: what its writer costs.

.PHONY: bench-store
bench-store: $(READY) ## measure the store's writer beside the least that its database can do with the same rows
	@$(BIN)/python -m benchmarks.bench_store $(ARGS)
