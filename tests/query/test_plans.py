"""Every statement that grows with the nodes finds its rows by an index meant for it, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, Select, inspect

from cmbagent_otel.query import changes, graph, runs, search, strips
from cmbagent_otel.store.purge import purge
from cmbagent_otel.store.views import VIEWS
from cmbagent_otel.store.writer import Writer
from tests.postgresql import Server
from tests.query.filled import LARGE, fill
from tests.query.plans import Plan, explain, watched
from tests.query.stored import SECOND, START, Recorder, node_of, research
from tests.store.generated import Generated, deliveries
from tests.store.generated import runs as generated_runs

STATEMENTS = {**graph.STATEMENTS, **runs.STATEMENTS, **changes.STATEMENTS, **strips.STATEMENTS, **search.STATEMENTS}
SERVING = {
    "dag_nodes by run": {"ix_dag_nodes_run_id", "idx_dag_nodes_run_order", "idx_dag_nodes_tops", "idx_dag_nodes_steps"},
    "dag_nodes primary key": {"pk_dag_nodes", "sqlite_autoindex_dag_nodes_1"},
    "dag_edges by target": {"ix_dag_edges_to_node_id", "uq_dag_edges_to_from_type"},
    "workflow_runs primary key": {"pk_workflow_runs", "sqlite_autoindex_workflow_runs_1"},
    "execution_events by run": {"ix_execution_events_run_id", "idx_events_run_order"},
    "idx_events_node_order": {"idx_events_node_order", "ix_execution_events_node_id"},
}
"""Indexes of which each would do."""
NEVER = {
    f"ix_{table}_{column}"
    for table in ("dag_nodes", "execution_events", "workflow_steps")
    for column in ("status", "node_type", "event_type", "agent_name", "timestamp")
} | {"idx_dag_nodes_type_status", "idx_events_type_subtype"}
"""Indexes of CMBAgent's that find a good part of a table."""
NOW = datetime.fromtimestamp(START / SECOND + 40 * 86_400, UTC)


@pytest.fixture(scope="module", params=["sqlite", "sqlite analyzed", "postgresql"])
def full(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql_server: Server
) -> Iterator[tuple[Engine, list[Recorder]]]:
    """A database with some thousand runs, and those that were written there."""
    if request.param == "postgresql":
        url = postgresql_server.create_database()
    else:
        url = f"sqlite:///{tmp_path_factory.mktemp('full') / 'full.db'}"
    engine, made = fill(url, analyze=request.param != "sqlite")
    yield engine, made
    engine.dispose()
    if request.param == "postgresql":
        postgresql_server.drop_database(url)


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_query_uses_the_index_meant_for_it(full: tuple[Engine, list[Recorder]], name: str) -> None:
    engine, made = full
    statement, meant = STATEMENTS[name]
    plan = _plan_of(engine, statement, made[25])
    assert plan.indexes & SERVING.get(meant, {meant}), plan.shown
    assert not plan.read_whole, plan.shown
    assert not plan.indexes & NEVER, plan.shown


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_one_run_reads_only_that_run(full: tuple[Engine, list[Recorder]], view: str) -> None:
    engine, made = full
    plan = _explain(engine, f"SELECT * FROM {view} WHERE run_id = '{made[25].run_id}'")
    assert not plan.read_whole, plan.shown
    assert not plan.indexes & NEVER, plan.shown
    if engine.dialect.name == "sqlite" and view in ("dag_tree", "step_events"):
        # PostgreSQL joins the nodes of a run by a hash; here each node must find its children by itself.
        assert plan.indexes & {"idx_dag_nodes_parent", "idx_dag_nodes_siblings"}, plan.shown


@pytest.mark.parametrize("full", ["sqlite", "postgresql"], indirect=True)
def test_the_writer_reads_no_table_whole(full: tuple[Engine, list[Recorder]]) -> None:
    engine, _ = full
    writer = Writer(engine)

    @given(data=st.data(), generated=generated_runs())
    @settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def write(data: st.DataObject, generated: Generated) -> None:
        for batch in data.draw(deliveries(generated.records)):
            writer.write(batch)

    with watched(engine) as plans:
        write()
    _assert_sought(plans, at_least=25)


def test_a_purge_reads_only_the_runs_that_go_and_the_list_of_runs(full: tuple[Engine, list[Recorder]]) -> None:
    engine, _ = full
    old = research(engine, 60_000, at=-30 * 86_400).run_id
    with watched(engine) as plans:
        assert old in purge(engine, older_than=timedelta(days=60), now=NOW).run_ids
    listing = {kind: plan for kind, plan in plans.items() if plan.read_whole == {"workflow_runs"}}
    assert len(listing) <= 1
    _assert_sought({kind: plan for kind, plan in plans.items() if kind not in listing}, at_least=15)


def test_deleting_a_row_finds_those_that_refer_to_it_by_an_index(engine: Engine) -> None:
    inspector = inspect(engine)
    for table in LARGE:
        indexed = {index["column_names"][0] for index in inspector.get_indexes(table)}
        indexed.add(inspector.get_pk_constraint(table)["constrained_columns"][0])
        referring = {key["constrained_columns"][0] for key in inspector.get_foreign_keys(table)}
        assert referring <= indexed, table


def _assert_sought(plans: dict[str, Plan], *, at_least: int) -> None:
    assert len(plans) >= at_least
    wrong = {kind: plan for kind, plan in plans.items() if plan.read_whole or plan.indexes & NEVER}
    assert not wrong, "\n\n".join(f"{kind}\n{plan.shown}" for kind, plan in wrong.items())


def _plan_of(engine: Engine, statement: Select[Any], made: Recorder) -> Plan:
    values = {
        "run_id": made.run_id,
        "run_ids": [made.run_id],
        "name": made.run_id,
        "node_id": node_of(made.spans[5]),
    }
    wanted = {key: values[key] for key in statement.compile(engine).params if key in values}
    asked = statement.params(**wanted).compile(engine, compile_kwargs={"literal_binds": True})
    return _explain(engine, str(asked))


def _explain(engine: Engine, statement: str) -> Plan:
    raw = engine.raw_connection()
    try:
        with closing(raw.cursor()) as cursor:
            return explain(engine, cursor, statement)
    finally:
        raw.close()
