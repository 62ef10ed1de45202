"""Closing what a dead process has left open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from cmbagent_otel.semconv import Status
from cmbagent_otel.store.batch import number_events
from cmbagent_otel.store.engine import translate
from cmbagent_otel.store.locks import lock_runs
from cmbagent_otel.store.rank import OPEN
from cmbagent_otel.store.runs import settle_runs, settle_steps
from cmbagent_otel.store.schema import dag_nodes, execution_events, workflow_runs

HEARTBEATS_MISSED = 4
EXPIRY_SECONDS = 30.0 * HEARTBEATS_MISSED
"""How long a run may be silent: a few of its owner's heartbeats."""


def sweep(engine: Engine, now: datetime | None = None, *, expiry_seconds: float = EXPIRY_SECONDS) -> list[str]:
    """Mark as interrupted what is open in runs whose heartbeat has expired; returns these runs.

    Replay the spools first: a real end replaces the mark, but nobody likes to read a wrong one. Runs without an
    owner, such as those of foreign programs, are never closed by their age.

    Args:
        engine: of a database with the tables of this version.
        now: the present, with a zone; the clock's where not given.
        expiry_seconds: how long a run may be silent.

    Raises:
        StoreUnavailableError: the database is away.
    """
    at = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    silent_since = at - timedelta(seconds=expiry_seconds)
    try:
        with engine.connect() as connection:
            expired = _expired(connection, silent_since)
        for run_id in expired:
            with engine.begin() as connection:
                lock_runs(connection, (run_id,))
                if run_id in _expired(connection, silent_since, run_id):
                    _close(connection, run_id)
    except DBAPIError as error:
        meaning = translate(error)
        if meaning is None:
            raise
        raise meaning from error
    return expired


def _expired(connection: Connection, silent_since: datetime, run_id: str | None = None) -> list[str]:
    runs, nodes = workflow_runs.c, dag_nodes.c
    tops = select(nodes.id).where(nodes.run_id == runs.id, nodes.parent_node_id.is_(None))
    opened = select(nodes.id).where(nodes.run_id == runs.id, nodes.status.in_(OPEN), nodes.span_id.is_not(None))
    nanoseconds = int(silent_since.replace(tzinfo=UTC).timestamp() * 1e9)
    query = (
        select(runs.id)
        .where(
            # Who has an owner, or ever had a heartbeat, can be missed.
            runs.last_heartbeat_at.is_not(None) | runs.meta["owner"].as_string().is_not(None),
            runs.last_heartbeat_at.is_(None) | (runs.last_heartbeat_at < silent_since),
            # A run that is begun, or taken up again, lives until its first heartbeat is due.
            ~tops.where(nodes.start_time_unix_nano >= nanoseconds).exists(),
            opened.exists(),
        )
        .order_by(runs.id)
    )
    return list(connection.execute(query if run_id is None else query.where(runs.id == run_id)).scalars())


def _close(connection: Connection, run_id: str) -> None:
    for table in (dag_nodes, execution_events):
        connection.execute(
            table.update()
            .where(table.c.run_id == run_id, table.c.status.in_(OPEN), table.c.span_id.is_not(None))
            .values(status=Status.INTERRUPTED)
        )
    settle_steps(connection, (run_id,))
    number_events(connection, [run.id for run in settle_runs(connection, (run_id,)) if run.is_over])
