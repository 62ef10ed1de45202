# Stock CMBAgent, driven offline, in an environment of its own: `.venv-cmbagent`, made anew when its constraints change.

CMBAGENT_READY := .venv-cmbagent/.ready-$(firstword $(shell cksum constraints/cmbagent.txt))

CI += test-cmbagent

.PHONY: test-cmbagent
test-cmbagent: ## drive stock CMBAgent offline: the exact truth of its runs (needs Python 3.12; CMBAGENT_SOURCE=DIR: a checkout of it)
	@for python in $(PYTHON) python3.12 python3.13 $(HOME)/.pyenv/versions/3.1[23].*/bin/python; do \
	  if $$python -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	    $(MAKE) --no-print-directory $(CMBAGENT_READY) CMBAGENT_PYTHON=$$python || exit; \
	    PYTHONPATH="$(CMBAGENT_SOURCE)" exec .venv-cmbagent/bin/python -m pytest tests/cmbagent $(PYTEST_ARGS); \
	  fi; \
	done; \
	echo "no Python 3.12 here, which CMBAgent needs: test-cmbagent is not run" >&2

# About 200 packages: five minutes the first time, nothing later. cmbagent 0.0.1.post63 can't import mistralai 2.
$(CMBAGENT_READY):
	rm -rf .venv-cmbagent
	$(CMBAGENT_PYTHON) -m venv .venv-cmbagent
	nice .venv-cmbagent/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints/cmbagent.txt --editable '.[test]' cmbagent 'mistralai<2'
	@touch $@
