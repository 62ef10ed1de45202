"""All rows of two databases, to be compared."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from cmbagent_otel.store import schema
from cmbagent_otel.store.engine import open_engine

_TABLES = (
    schema.sessions,
    schema.workflow_runs,
    schema.workflow_steps,
    schema.dag_nodes,
    schema.dag_edges,
    schema.execution_events,
    schema.cost_records,
    schema.files,
    schema.run_traces,
    schema.rejected_records,
)
# Numbered by the database, or the time of the last heartbeat, which each door sends on its own clock.
_OF_ITS_OWN = {
    "dag_edges": {"id"},
    "cost_records": {"id"},
    "files": {"id"},
    "rejected_records": {"id"},
    "workflow_runs": {"last_heartbeat_at"},
}


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row, but for what a database numbers on its own, in an order that both share."""
    engine = open_engine(url)
    found = {}
    with engine.connect() as connection:
        for table in _TABLES:
            own = _OF_ITS_OWN.get(table.name, set())
            rows = [
                {name: value for name, value in row.items() if name not in own}
                for row in connection.execute(select(table)).mappings()
            ]
            found[table.name] = sorted(rows, key=repr)
    engine.dispose()
    return found
