"""What the viewer asks of the database is answered alike by SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from cmbagent_otel.query.changes import mark_of
from cmbagent_otel.query.search import search_texts
from cmbagent_otel.query.strips import StepMark, fetch_strips
from cmbagent_otel.store.writer import Writer
from cmbagent_otel.web.app import create_viewer
from tests.web.conftest import BASE
from tests.web.spans import Spans, research


@pytest.fixture
def run(engine: Engine) -> Spans:
    """A run that goes on, in a database of each kind in turn."""
    made = research()
    Writer(engine).write([*made.records(), made.alive()])
    return made


@pytest.fixture
def asking(migrated_url: str) -> Iterator[TestClient]:
    with TestClient(create_viewer(migrated_url), base_url=BASE) as client:
        yield client


def test_strip_of_a_run_has_each_step_once_with_its_last_attempt(engine: Engine, run: Spans) -> None:
    with engine.connect() as connection:
        strip = fetch_strips(connection, [run.run_id, "none"])[run.run_id]
    done = StepMark("completed", 1)
    assert strip == [done, done, done, done, StepMark("completed", 2), done, StepMark("running", 2)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mind the beam", 1),
        ("MIND THE BEAM", 1),
        ('"out/cl_tsz', 0),
        ("'out/cl_tsz.npz', **b)", 7),
        ("beam again\ncl", 3),
        ("100%_", 0),
        ("214 of 400", 3),
    ],
)
def test_search_finds_text_as_it_was_said(engine: Engine, run: Spans, text: str, found: int) -> None:
    with engine.connect() as connection:
        assert len(search_texts(connection, run.run_id, text, 500)) == found


def test_search_finds_letters_of_other_scripts(engine: Engine) -> None:
    spans = Spans()
    with spans.inside(spans.workflow("letters", 0, 9)):
        call = spans.llm(1, 2, "Die Schätzung von σ₈ ist größer.")
    Writer(engine).write(spans.records())
    with engine.connect() as connection:
        for text in ("Schätzung", "σ₈", "größer"):
            assert search_texts(connection, spans.run_id, text, 10) == [spans.id(call)], text


def test_mark_changes_with_the_run_and_not_with_a_heartbeat(engine: Engine, run: Spans) -> None:
    def mark() -> tuple[object, ...]:
        with engine.connect() as connection:
            return mark_of(connection, run.run_id)

    before = mark()
    Writer(engine).write([run.alive()])
    assert mark() == before
    with run.inside(f"{0x39:016x}"):
        run.tool("one_more", 11_170, 11_171)
    Writer(engine).write(run.records()[-1:])
    assert mark() != before


def test_pages_are_the_same_on_both(asking: TestClient, run: Spans) -> None:
    for path in ("/", "/runs/last", "/runs/last/steps/5", "/runs/last/nodes/step_5", "/compare?a=last:5.1&b=last:5.2"):
        assert asking.get(path).status_code == 200, path
    hits = asking.get(f"/api/runs/{run.run_id}/search?q=plot_judge").json()["hits"]
    assert [hit["label"] for hit in hits] == ["plot_judge"]
