"""Closing what will never end: runs whose owner has given no sign of life for long enough."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, func, select, update

from cmbagent_otel.semconv import Status
from cmbagent_otel.store import schema
from cmbagent_otel.store.locks import lock_runs
from cmbagent_otel.store.rank import OPEN
from cmbagent_otel.store.times import now
from cmbagent_otel.store.writer import resettle

EXPIRED_AFTER = timedelta(minutes=3)
"""Six heartbeats at the default interval."""


def sweep(engine: Engine, *, expired_after: timedelta = EXPIRED_AFTER) -> list[str]:
    """Close, as ``interrupted``, what is open in runs whose heartbeat has expired; returns the runs.

    Interrupted is not final: a real end that comes later replaces it.
    """
    runs, nodes, events = schema.workflow_runs, schema.dag_nodes, schema.execution_events
    seen = func.coalesce(runs.c.last_heartbeat_at, runs.c.started_at)
    ours = select(schema.run_traces.c.run_id).where(schema.run_traces.c.run_id == runs.c.id).exists()
    expired = select(runs.c.id).where(runs.c.status == "executing", seen < now() - expired_after, ours)
    with engine.connect() as connection:
        found = list(connection.scalars(expired))
    for run_id in found:
        with engine.begin() as connection:
            lock_runs(connection, {run_id})
            for table in (nodes, events):
                connection.execute(
                    update(table)
                    .where(table.c.run_id == run_id, table.c.status.in_(OPEN))
                    .values(status=Status.INTERRUPTED)
                )
            resettle(connection, run_id)
    return found
