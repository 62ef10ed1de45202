# What it costs, beside the peers. The first run installs them, in environments of their own outside the tree.

.PHONY: bench
bench: $(READY) ## measure all, beside the peers, into benchmarks/RESULTS.md (20 min; ARGS=store does one anew)
	@test -z "$(CHROMIUM)" || $(MAKE) --no-print-directory browser-ready
	@CHROMIUM="$(CHROMIUM)" $(BIN)/python -m benchmarks $(ARGS)
