"""The one writer: records in, rows out, one transaction a batch, whichever door they came through."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import stamina
from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from cmbagent_otel.errors import SchemaOutOfDateError, StoreError, StoreUnavailableError
from cmbagent_otel.graph.mapping import map_span
from cmbagent_otel.graph.record import SpanGraph
from cmbagent_otel.graph.sanitize import identifier, json_text, repair
from cmbagent_otel.spans.record import Heartbeat, Record, SpanRecord
from cmbagent_otel.store import bulk, rows, schema
from cmbagent_otel.store.locks import lock_runs, lock_traces
from cmbagent_otel.store.rank import rank
from cmbagent_otel.store.whole import settle
from cmbagent_otel.store.times import timestamp

_logger = logging.getLogger(__name__)

_TRANSIENT = ("40001", "40P01", "55P03")
_ATTEMPTS = 5
_REJECTED_KEPT = 10_000


class WriteResult(NamedTuple):
    """What became of a batch."""

    written: int
    """Records whose rows are in the database now, whether or not they said anything new."""
    rejected: int
    """Records put aside in ``rejected_records``."""


class Writer:
    """Writes batches of records.

    Args:
        engine: of a database whose tables are there.
        content: False leaves out what people, models and programs said.
    """

    def __init__(self, engine: Engine, *, content: bool = True) -> None:
        self.engine = engine
        self._content = content

    def write(self, records: Sequence[Record]) -> WriteResult:
        """Write ``records`` in one transaction; when this returns they are committed.

        Raises:
            StoreUnavailableError: the database is away; nothing of the batch is in it.
            SchemaOutOfDateError: the tables are not there.
        """
        graphs, rejected = self._map(record for record in records if isinstance(record, SpanRecord))
        heartbeats = [record for record in records if isinstance(record, Heartbeat)]
        result = self.write_graphs(graphs, heartbeats=heartbeats)
        if rejected:
            self._put_aside(rejected)
        return WriteResult(result.written + len(heartbeats), result.rejected + len(rejected))

    def write_graphs(self, graphs: Sequence[SpanGraph], *, heartbeats: Sequence[Heartbeat] = ()) -> WriteResult:
        """Write what spans were mapped to; as :meth:`write`."""
        try:
            self._retried(lambda connection: _write(connection, graphs, heartbeats))
        except StoreUnavailableError:
            raise
        except StoreError as error:
            if not graphs:
                raise
            return self._one_by_one(graphs, error)
        return WriteResult(len(graphs), 0)

    def _map(self, records: Iterable[SpanRecord]) -> tuple[list[SpanGraph], list[tuple[SpanRecord, str]]]:
        graphs, rejected = [], []
        for record in records:
            try:
                graphs.append(repair(map_span(record, content=self._content)))
            except Exception as error:  # noqa: BLE001 - whatever a hostile span provokes, it must not take others along
                rejected.append((record, f"{type(error).__name__}: {error}"))
        return graphs, rejected

    def _one_by_one(self, graphs: Sequence[SpanGraph], error: StoreError) -> WriteResult:
        if len(graphs) == 1:
            node = graphs[0].node
            self._put_aside([(node, str(error))])
            return WriteResult(0, 1)
        half = len(graphs) // 2
        first, second = self.write_graphs(graphs[:half]), self.write_graphs(graphs[half:])
        return WriteResult(first.written + second.written, first.rejected + second.rejected)

    def _put_aside(self, rejected: Sequence[tuple[Any, str]]) -> None:
        found = [_rejected_row(record, reason) for record, reason in rejected]
        columns = ("digest", "rejected_at", "reason", "trace_id", "span_id", "name", "record")
        self._retried(lambda connection: bulk.insert(connection, schema.rejected_records, columns, found))
        _logger.error("cmbagent-otel: %s records were put aside in rejected_records: %s", len(found), found[0][2])

    def _retried(self, work: Callable[[Connection], object]) -> None:
        for attempt in stamina.retry_context(on=_is_transient, attempts=_ATTEMPTS, timeout=20.0, wait_initial=0.02):
            with attempt:
                try:
                    with self.engine.begin() as connection:
                        work(connection)
                except DBAPIError as error:
                    if _is_transient(error) and attempt.num < _ATTEMPTS:
                        raise
                    raise _told(self.engine, error) from error


def resettle(connection: Connection, run_id: str) -> None:
    """Settle a run again whose rows were changed by other means; in a transaction that holds its lock."""
    settle(connection, set(), {run_id})


def _is_transient(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return state in _TRANSIENT or "database is locked" in str(error.orig)


def _told(engine: Engine, error: DBAPIError) -> StoreError:
    where = engine.url.render_as_string(hide_password=True)
    reason = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
    state = getattr(error.orig, "sqlstate", None)
    if state in ("42P01", "42703") or "no such table" in reason or "no such column" in reason:
        return SchemaOutOfDateError(
            f"The database {where} lacks tables of this version. Type: cmbagent-otel db upgrade"
        )
    away = error.connection_invalidated or isinstance(error, InterfaceError)
    if away or (isinstance(error, OperationalError) and not isinstance(error, ProgrammingError)):
        return StoreUnavailableError(f"The database {where} can't be reached: {reason}.")
    return StoreError(f"The database {where} refused a record: {reason}.")


def _rejected_row(record: Any, reason: str) -> tuple[Any, ...]:
    body = json_text(record._asdict() if hasattr(record, "_asdict") else repr(record))[:65536]
    digest = hashlib.sha256(f"{reason}\0{body}".encode()).hexdigest()
    now = getattr(record, "start_time_unix_nano", 0)
    return (
        digest,
        timestamp(now if isinstance(now, int) and now >= 0 else 0),
        reason[:2000].replace("\0", "\ufffd"),
        str(record.trace_id)[:64],
        str(record.span_id)[:64],
        str(record.name)[:500].replace("\0", "\ufffd").encode("utf-8", "replace").decode(),
        body,
    )


def _write(connection: Connection, graphs: Sequence[SpanGraph], heartbeats: Sequence[Heartbeat]) -> None:
    merged: dict[str, SpanGraph] = {}
    for graph in graphs:
        known = merged.get(graph.node.id)
        if known is None or rank(graph.node.status) > rank(known.node.status):
            merged[graph.node.id] = graph
    if merged:
        lock_traces(connection, {graph.node.trace_id for graph in merged.values()})
        lock_runs(connection, {graph.node.run_id for graph in merged.values()})
        rows.write(connection, list(merged.values()))
        settle(
            connection,
            {graph.node.trace_id for graph in merged.values()},
            {graph.node.run_id for graph in merged.values()},
        )
    for heartbeat in heartbeats:
        runs = [identifier(run_id) for run_id in heartbeat.run_ids]
        beat = timestamp(heartbeat.time_unix_nano)
        table = schema.workflow_runs
        connection.execute(
            update(table)
            .where(table.c.id.in_(runs), (table.c.last_heartbeat_at.is_(None)) | (table.c.last_heartbeat_at < beat))
            .values(last_heartbeat_at=beat)
        )
