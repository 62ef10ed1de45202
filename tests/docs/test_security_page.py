"""Behind each line of the security page stands a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
LINES = [line for line in PAGE.splitlines() if line.startswith("| ") and line != "| | test |"]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_each_line_names_a_test() -> None:
    assert len(LINES) > 15
    assert [line for line in LINES if not re.search(r"\| `tests/[\w/]+\.py::test_\w+`", line)] == []


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_page_names_is_there(file: str, name: str) -> None:
    assert re.search(rf"^(?:async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
