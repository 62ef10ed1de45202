"""Every query of ``docs/sql.md`` runs as it stands, on both databases, and tells the truth of a known run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from cmbagent_otel import semconv
from tests.query.stored import Recorder, node_of, research

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
QUERIES = dict(re.findall(r"^## (.+?)\n.*?```sql\n(.+?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL))

TRUTH: dict[str, list[tuple[Any, ...]]] = {
    "Cost by step and agent": [
        (1, "Simulate maps", "engineer", 1, 1000, 200, pytest.approx(0.0036), 0),
        (2, "Power spectrum", "engineer", 2, 2000, 400, pytest.approx(0.0036), 1),
    ],
    "Cost of what was done again": [(2, 1, "failed", 1, pytest.approx(0.0036))],
    "Slowest tools": [("execute_tool get_camb_help", 1, 1000, 1000, 0)],
    "Does doing it again help?": [("failure", 1, 1, 1.0)],
    "What was tried, and why": [
        (1, "Simulate maps", 1, "completed", None, None),
        (2, "Power spectrum", 1, "failed", None, None),
        (2, "Power spectrum", 2, "completed", "failure", "Deconvolve the beam first"),
    ],
    "Errors by type": [
        ("agent", "RuntimeError", "engineer", 1),
        ("code_exec", "1", None, 1),
        ("step", "RuntimeError", None, 1),
    ],
    "Code that failed": [(None, 1, None, None)],
    "Who handed over to whom": [("engineer", "judge", 1)],
    "What runs now": [],
}


@pytest.fixture
def known(engine: Engine) -> Recorder:
    made = research(engine)
    control, engineer = made.spans[1], made.spans[-3]
    made.agent(control, "judge", at=98, to=99, **{semconv.HANDOFF_FROM: node_of(engineer)})
    made.store()
    return made


def test_every_heading_of_the_page_has_its_query() -> None:
    assert len(QUERIES) == PAGE.read_text().count("\n## ")
    assert set(TRUTH) <= set(QUERIES)


@pytest.mark.parametrize("name", QUERIES)
def test_the_query_runs_and_tells_the_truth(engine: Engine, known: Recorder, name: str) -> None:
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(QUERIES[name].replace(":", r"\:")))]
    if name in TRUTH:
        assert rows == TRUTH[name]
    elif name == "The tree of a run":
        assert len(rows) == len(known.spans)
        assert [row[0] for row in rows[:5]] == [
            "invoke_workflow planning_and_control",
            "  phase control",
            "    step 1",
            "      invoke_agent engineer",
            "        chat gpt-4.1",
        ]
    elif name == "All runs":
        assert rows[0][0] == known.run_id
        assert rows[0][4:8] == (2, 1, 3, 3000)
    else:
        assert rows
