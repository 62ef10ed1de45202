"""These tests take minutes: they run when they are asked for by path (`make test-burst`)."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    asked_for = any(Path(config.invocation_params.dir, arg.split("::")[0]).is_relative_to(_HERE) for arg in config.args)
    return None if asked_for or not collection_path.is_relative_to(_HERE) else True
