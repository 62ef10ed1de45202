"""What users install. These tests run by `make test-packaging`, which builds the two distributions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# `make test` builds nothing.
collect_ignore_glob = [] if os.environ.get("DISTRIBUTIONS") else ["test_*.py"]


@pytest.fixture(scope="session")
def wheel() -> Path:
    """Built from the sdist."""
    return next(Path(os.environ["DISTRIBUTIONS"]).glob("*.whl"))


@pytest.fixture(scope="session")
def sdist() -> Path:
    """Built from the tree."""
    return next(Path(os.environ["DISTRIBUTIONS"]).glob("*.tar.gz"))
