"""Every statement of ``query/`` uses the index meant for it, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Select, text

from cmbagent_otel.query import changes, graph, runs, search, strips
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from cmbagent_otel.store.writer import Writer
from tests.postgresql import Server
from tests.query.stored import Recorder, node_of, research

RUNS = 150
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


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql_server: Server
) -> Iterator[tuple[Engine, Recorder]]:
    """A database with many runs, of which the planner knows, and one of them."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('full') / 'full.db'}"
    else:
        url = postgresql_server.create_database()
    engine = open_engine(url)
    upgrade(engine)
    made = [research(engine, number, at=number, store=False) for number in range(1, RUNS + 1)]
    Writer(engine).write([span for one in made for span in one.spans])
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    yield engine, made[RUNS // 2]
    engine.dispose()
    if request.param == "postgresql":
        postgresql_server.drop_database(url)


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_index_meant_for_it_is_used(full: tuple[Engine, Recorder], name: str) -> None:
    engine, made = full
    statement, meant = STATEMENTS[name]
    plan = explain(engine, statement, made)
    assert any(index in plan for index in SERVING.get(meant, {meant})), plan
    for table in ("dag_nodes", "execution_events", "dag_edges", "files"):
        assert f"SCAN {table}\n" not in plan
        assert f"Seq Scan on {table}" not in plan


def explain(engine: Engine, statement: Select[Any], made: Recorder) -> str:
    values = {
        "run_id": made.run_id,
        "run_ids": [made.run_id],
        "name": made.run_id,
        "node_id": node_of(made.spans[5]),
    }
    wanted = {key: values[key] for key in statement.compile(engine).params if key in values}
    asked = statement.params(**wanted).compile(engine, compile_kwargs={"literal_binds": True})
    verb = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # So small a table is read whole for less; the question is whether an index would serve a large one.
            connection.exec_driver_sql("SET enable_seqscan = off")
        rows = connection.exec_driver_sql(f"{verb} {str(asked).replace('%', '%%')}")
        return "".join(f"{row[-1]}\n" for row in rows)
