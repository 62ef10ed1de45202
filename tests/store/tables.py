"""What the tables hold, in a form that two databases can be compared by."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, select, text

from cmbagent_otel.store.schema import metadata, workflow_runs

_SURROGATE = {
    "dag_edges": ("id",),
    "cost_records": ("id",),
    "messages": ("id",),
    "rejected_records": ("id", "rejected_at"),
}
_OVER = ("completed", "failed", "interrupted")


def contents(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """All rows, without surrogate ids, and without the order of arrival of events in runs that are not over."""
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        over = set(connection.scalars(select(workflow_runs.c.id).where(workflow_runs.c.status.in_(_OVER))))
        for table in metadata.sorted_tables:
            rows = []
            for row in connection.execute(select(table)).mappings():
                shown = {
                    name: _plain(value) for name, value in row.items() if name not in _SURROGATE.get(table.name, ())
                }
                if table.name == "execution_events" and row["run_id"] not in over:
                    del shown["execution_order"]
                rows.append(shown)
            found[table.name] = sorted(rows, key=repr)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def wipe(engine: Engine) -> None:
    """Remove all rows."""
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(text(f"DELETE FROM {table.name}"))
