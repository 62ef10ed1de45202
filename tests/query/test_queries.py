"""The queries, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert, update

from cmbagent_otel.errors import SchemaOutOfDateError, StoreUnavailableError, UnknownRunError
from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.graph import fetch_attempts, fetch_events, fetch_graph, fetch_meta, fetch_nodes, fetch_traces
from cmbagent_otel.query.load import load_view
from cmbagent_otel.query.rows import children_of
from cmbagent_otel.query.runs import LAST, list_runs, resolve_run
from cmbagent_otel.store.schema import dag_edges, dag_nodes, workflow_runs
from tests.query.stored import SECOND, START, Recorder, node_of, research


@pytest.fixture
def reader(engine: Engine) -> Iterator[Reader]:
    with Reader(engine.url.render_as_string(hide_password=False)) as opened:
        yield opened


def test_the_view_of_a_stored_run_is_that_of_its_spans(engine: Engine, reader: Reader) -> None:
    made = research(engine)
    view = load_view(reader, LAST)
    assert view.id == made.run_id
    assert sorted(view.nodes) == sorted(node_of(span) for span in made.spans)
    assert view.run.title == "Measure the spectral index"
    assert view.status == "completed"
    assert view.seconds == 100
    assert [len(step.attempts) for step in view.steps] == [1, 2]
    assert view.steps[1].current.meta["hypothesis"] == "Deconvolve the beam first"
    assert [node.notes for node in view.walk() if node.notes] == []
    codes = [node.meta["exit_code"] for node in view.walk() if node.kind == "code_exec"]
    assert codes == [1, 0]
    assert (view.totals.llm_calls, view.totals.unknown_costs, view.totals.errors) == (3, 1, 1)


def test_the_figures_of_the_list_are_those_of_the_view(engine: Engine, reader: Reader) -> None:
    research(engine)
    view = load_view(reader, LAST)
    with reader.reading() as connection:
        (summary,) = list_runs(connection)
    totals = view.totals
    assert (summary.nodes, summary.redos, summary.errors) == (totals.nodes, totals.redos, totals.errors)
    assert (summary.llm_calls, summary.input_tokens) == (totals.llm_calls, totals.input_tokens)
    assert summary.output_tokens == totals.output_tokens
    assert summary.cost_usd == pytest.approx(totals.cost_usd)
    assert summary.unknown_costs == totals.unknown_costs
    assert summary.steps == len(view.steps)
    assert summary.seconds(0) == view.seconds
    assert summary.run.title == view.run.title


def test_runs_are_listed_newest_first_and_filtered(engine: Engine, reader: Reader) -> None:
    first = research(engine, 1, task="Old 100% sure")
    second = research(engine, 2, at=1000, task="New\nwith a second line")
    with reader.reading() as connection:
        assert [found.run.id for found in list_runs(connection)] == [second.run_id, first.run_id]
        assert [found.run.id for found in list_runs(connection, limit=1, offset=1)] == [first.run_id]
        assert [found.run.id for found in list_runs(connection, text="old 100%")] == [first.run_id]
        assert list_runs(connection, text="old_100") == []
        assert list_runs(connection, status="failed") == []
        assert len(list_runs(connection, mode="planning_and_control", status="completed")) == 2
        assert list_runs(connection)[0].run.title == "New"


def test_a_run_is_found_by_its_id_a_prefix_its_trace_and_last(engine: Engine, reader: Reader) -> None:
    first = research(engine, 0xA1 << 56)
    second = research(engine, 0xA2 << 56, at=1000)
    with reader.reading() as connection:
        assert resolve_run(connection, first.run_id) == first.run_id
        assert resolve_run(connection, first.run_id.upper()) == first.run_id
        assert resolve_run(connection, "a1") == first.run_id
        assert resolve_run(connection, first.trace_id) == first.run_id
        assert resolve_run(connection, "last") == second.run_id


def test_a_run_is_found_by_the_task_id_of_cmbagent(engine: Engine, reader: Reader) -> None:
    made = research(engine)
    with engine.begin() as connection:
        connection.execute(update(workflow_runs).values(meta={"task_id": "task_1700000000"}))
    with reader.reading() as connection:
        assert resolve_run(connection, "task_1700000000") == made.run_id


def test_a_name_that_means_no_run_or_two_is_refused_with_the_nearest(engine: Engine, reader: Reader) -> None:
    with reader.reading() as connection, pytest.raises(UnknownRunError, match="There are no runs yet"):
        resolve_run(connection, "last")
    first = research(engine, 0xA1 << 56)
    second = research(engine, 0xA2 << 56, at=1000)
    with reader.reading() as connection:
        with pytest.raises(UnknownRunError, match="More than one") as found:
            resolve_run(connection, "a")
        assert first.run_id in str(found.value)
        assert second.run_id in str(found.value)
        for name in ("b", "%", "_", "", "a1\\"):
            with pytest.raises(UnknownRunError, match="No run answers to"):
                resolve_run(connection, name)


def test_a_running_run_shows_what_runs(engine: Engine, reader: Reader) -> None:
    made = Recorder(engine)
    root = made.workflow(to=None)
    agent = made.agent(root, "engineer", at=1, to=None)
    made.llm(agent, at=2, to=None, tokens=(0, 0))
    made.store()
    with reader.reading() as connection:
        view = build_view(fetch_graph(connection, made.run_id), now_unix_nano=START + 60 * SECOND)
    assert [node.label for node in view.now] == ["planning_and_control", "engineer", "chat gpt-4.1"]
    assert view.is_open
    assert view.seconds == 60


def test_what_belongs_to_a_node_is_read_by_itself(engine: Engine, reader: Reader) -> None:
    made = research(engine)
    code = next(span for span in made.spans if span.name.startswith("execute_code"))
    with reader.reading() as connection:
        events = fetch_events(connection, node_of(code))
        assert [(event.event_type, event.status) for event in events] == [("code_exec", "failed")]
        assert events[0].duration_ms == 7000
        assert fetch_meta(connection, node_of(code))["exit_code"] == 1
        assert fetch_meta(connection, "nothing") == {}
        two = next(span for span in made.spans if span.name == "step 2")
        again = next(span for span in made.spans if span.name == "step redo 1")
        assert fetch_attempts(connection, made.run_id, node_of(two)) == [node_of(two), node_of(again)]
        assert fetch_traces(connection, made.run_id) == [made.trace_id]
        nodes = fetch_nodes(connection, made.run_id)
        assert len(nodes) == len(made.spans)
        assert [node.id for node in children_of(nodes)[None]] == [node_of(made.spans[0])]


def test_the_rows_of_cmbagent_itself_are_shown_with_their_edges(engine: Engine, reader: Reader) -> None:
    made = research(engine)
    with engine.begin() as connection:
        for number, (kind, short) in enumerate([("planning", "planning"), ("agent", "step_1")]):
            connection.execute(
                insert(dag_nodes).values(
                    id=f"cmbagent-{number}",
                    run_id=made.run_id,
                    session_id=made.run_id,
                    node_type=kind,
                    agent="engineer",
                    status="pending",
                    order_index=number,
                    depth=0,
                    meta={"id": short, "label": short},
                )
            )
        connection.execute(
            insert(dag_edges).values(from_node_id="cmbagent-0", to_node_id="cmbagent-1", dependency_type="sequential")
        )
    view = load_view(reader, "last")
    assert [view.nodes[f"cmbagent-{number}"].kind for number in range(2)] == ["phase", "step"]
    assert ("cmbagent-0", "cmbagent-1") in {(edge.from_node_id, edge.to_node_id) for edge in view.edges}


def test_nothing_is_written_by_a_reader(engine: Engine, reader: Reader) -> None:
    research(engine)
    with pytest.raises(Exception, match=r"read.?only"), reader.reading() as connection:  # noqa: PT012
        connection.execute(update(workflow_runs).values(status="failed"))
        connection.commit()


def test_a_database_without_tables_says_what_to_type(database_url: str) -> None:
    from cmbagent_otel.store.engine import open_engine

    made = open_engine(database_url)
    made.connect().close()
    made.dispose()
    with (
        Reader(database_url) as reader,
        pytest.raises(SchemaOutOfDateError, match="cmbagent-otel db upgrade"),
        reader.reading() as connection,
    ):
        list_runs(connection)


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    with (
        Reader("postgresql://someone:secret@127.0.0.1:1/nowhere") as reader,
        pytest.raises(StoreUnavailableError, match="can't be reached") as found,
        reader.reading() as connection,
    ):
        list_runs(connection)
    assert "secret" not in str(found.value)


def test_a_missing_file_is_not_made_by_reading(sqlite_url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="There is no database at"):
        Reader(sqlite_url)
    with pytest.raises(StoreUnavailableError, match="There is no database at"):
        Reader(sqlite_url)
