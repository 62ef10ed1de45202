"""The views: the same rows on both databases, whatever the tree."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import Engine, text

from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.views import VIEWS
from cmbagent_otel.store.writer import Writer
from tests.query.stored import Recorder, node_of, research
from tests.store.generated import Generated, runs
from tests.store.tables import wipe


def rows(engine: Engine, view: str, condition: str = "true") -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {view} WHERE {condition}")).mappings().all()
    return sorted(({name: _plain(name, value) for name, value in row.items()} for row in found), key=repr)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, str) and name in ("meta", "inputs", "outputs"):
        return json.loads(value)
    if isinstance(value, Decimal | float):
        return round(float(value), 9)  # sums of prices end at 0.0000005, which is up to the order of adding at 6
    # PostgreSQL has microseconds only where there are any.
    return str(value).removesuffix(".000000") if isinstance(value, str | datetime) else value


@given(generated=runs())
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
)
def test_every_view_has_the_same_rows_on_both_databases_whole_and_by_run(
    migrated_sqlite_url: str, migrated_postgres_url: str, generated: Generated
) -> None:
    engines = [open_engine(migrated_sqlite_url), open_engine(migrated_postgres_url)]
    try:
        for engine in engines:
            wipe(engine)
            Writer(engine).write(generated.records)
        for view in VIEWS:
            sqlite, postgresql = (rows(engine, view) for engine in engines)
            assert sqlite == postgresql
            for engine, whole in zip(engines, (sqlite, postgresql), strict=True):
                run_ids = {row["run_id"] for row in whole}
                by_run = [row for run_id in run_ids for row in rows(engine, view, f"run_id = '{run_id}'")]
                assert sorted(by_run, key=repr) == whole
    finally:
        for engine in engines:
            engine.dispose()


def test_the_tree_has_every_node_once_under_its_root_by_its_path(engine: Engine) -> None:
    made = research(engine)
    found = {row["node_id"]: row for row in rows(engine, "dag_tree", f"run_id = '{made.run_id}'")}
    root, control, step = (node_of(span) for span in made.spans[:3])
    assert len(found) == len(made.spans)
    assert {row["root_node_id"] for row in found.values()} == {root}
    assert (found[step]["level"], found[step]["path"]) == (2, f"{root}/{control}/{step}")


def test_an_event_stands_under_the_nearest_step_or_phase(engine: Engine) -> None:
    made = research(engine)
    control, step, engineer = (node_of(span) for span in made.spans[1:4])
    owner = {row["own_node_id"]: row["node_id"] for row in rows(engine, "step_events")}
    assert (owner[engineer], owner[step], owner[control]) == (step, step, control)
    assert node_of(made.spans[0]) not in owner


def test_a_run_without_nodes_has_a_summary_of_zeros(engine: Engine) -> None:
    made = Recorder(engine)
    made.workflow()
    made.store()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM dag_nodes"))
    (summary,) = rows(engine, "run_summary")
    assert (summary["nodes"], summary["steps"], summary["errors"], summary["cost_usd"]) == (0, 0, 0, None)
