# The hooks: what they cost.

.PHONY: bench-hooks
bench-hooks: $(READY) ## measure what the hooks cost on the agent's thread, beside bare spans and AG2's own tracing
	@$(BIN)/python benchmarks/bench_hooks.py $(ARGS)
