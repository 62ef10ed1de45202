# The viewer in a real browser: Chromium, driven by Playwright. Screenshots are kept in artefacts/browser.

CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

CI += test-browser

.PHONY: browser-ready
browser-ready: $(READY)
	@test -n "$(CHROMIUM)" || { \
	  echo "No Chromium in PATH. On Debian: apt-get install -y chromium (or name one: make CHROMIUM=/path ...)" >&2; exit 1; }
	@$(BIN)/python -c 'import playwright' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints/autogen-0.14.1.txt --editable '.[dev,browser]'

.PHONY: test-browser
test-browser: browser-ready ## test the viewer in Chromium, and its wheel without network (needs chromium)
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m pytest tests/browser $(PYTEST_ARGS)

.PHONY: screenshots
screenshots: browser-ready ## make the README's picture anew, from the demo's run
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m tests.browser.screenshots
