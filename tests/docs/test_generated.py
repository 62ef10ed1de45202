"""The reference pages and the SQL files say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GENERATE = runpy.run_path(str(DOCS / "generate.py"))
PAGES = GENERATE["PAGES"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_what_the_code_would_write(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run `make docs` and commit the page"


def test_the_sql_files_are_what_the_code_would_write() -> None:
    written = {path.name: path.read_text() for path in GENERATE["SCRIPTS"].iterdir()}
    assert written == {script.name: script.text for script in GENERATE["scripts"]()}, "run `make docs` and commit them"


def test_every_attribute_of_ours_has_a_meaning() -> None:
    rows = [line.split("|") for line in (DOCS / "attributes.md").read_text().splitlines() if line.startswith("| `cmb")]
    assert len(rows) > 50
    assert [key.strip() for _, key, meaning, _ in rows if not meaning.replace("**content**", "").strip()] == []
