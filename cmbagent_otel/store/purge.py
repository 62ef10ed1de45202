"""Retention: whole runs that ended long ago go, never events by their own age.

A run goes in chunks of a few thousand rows, children first, each in a short transaction under the run's lock, so
that writers of other runs hardly notice. Stopped halfway, the same call goes on where it was.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, Table, delete, func, select, union
from sqlalchemy.exc import DBAPIError, IntegrityError

from cmbagent_otel.errors import SettingsError, StoreError, UnknownRunError
from cmbagent_otel.store.engine import translate, worth_another_try
from cmbagent_otel.store.locks import lock_runs
from cmbagent_otel.store.rank import FINAL, OPEN
from cmbagent_otel.store.rows import moment
from cmbagent_otel.store.runs import DRAFT, RECORDER, settle_sessions
from cmbagent_otel.store.schema import (
    cost_records,
    dag_edges,
    dag_nodes,
    execution_events,
    files,
    messages,
    run_traces,
    workflow_runs,
    workflow_steps,
)

CHUNK = 5_000
"""Rows that one transaction deletes."""
_ENDED = (*FINAL, "cancelled", "skipped", DRAFT)
"""Statuses of runs that may go; a draft is one of ours whose root never came, and goes by its nodes."""
_PAUSE_SECONDS = 0.01
_TRIES = 5
_nodes, _runs = dag_nodes.c, workflow_runs.c
_T = TypeVar("_T")


class PurgeProgress(NamedTuple):
    """How far it is."""

    runs_done: int
    runs: int
    rows: int


class PurgeResult(NamedTuple):
    """What went, or with ``dry_run`` what would go."""

    run_ids: tuple[str, ...]
    rows: dict[str, int]
    """Rows by table; the sessions that are left empty apart."""
    kept: tuple[str, ...]
    """Runs that were named and stay: they go on, have not ended, or ended too lately."""


def _nothing(_: PurgeProgress) -> None: ...


def purge(
    engine: Engine,
    *,
    older_than: timedelta | None = None,
    run_ids: Sequence[str] = (),
    events_only: bool = False,
    dry_run: bool = False,
    progress: Callable[[PurgeProgress], None] = _nothing,
    now: datetime | None = None,
) -> PurgeResult:
    """Delete runs that ended at least ``older_than`` ago; one that is not over is never touched.

    Args:
        engine: of a database with the tables of this version.
        older_than: how long ago a run must have ended; None for the runs named, whenever they ended.
        run_ids: only these runs, by their whole ids; all where empty.
        events_only: delete the events, and keep the graph, its figures and costs.
        dry_run: only count.
        progress: called after each chunk.
        now: the present, with a zone; the clock's where not given.

    Raises:
        SettingsError: neither an age nor a run is given.
        UnknownRunError: a run that is named is not there.
        StoreUnavailableError: the database is away.
        StoreError: the database refuses, such as for rows of another program that refer to a run.
    """
    if older_than is None and not run_ids:
        raise SettingsError("Say which runs are to go: an age (--older-than 30d), or a run (--run RUN).")
    latest = None
    if older_than is not None:
        latest = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None) - older_than
    wanted = list(dict.fromkeys(run_ids))
    going = _in_transaction(engine, lambda connection: _going(connection, latest, wanted))
    tables = _PARTS[:1] if events_only else _PARTS
    rows: dict[str, int] = {}
    gone: list[str] = []
    for done, run_id in enumerate(going):
        if dry_run:
            found = {name: _in_transaction(engine, _counter(part, run_id)) for name, part in tables}
            found |= {} if events_only else {workflow_runs.name: 1}
            whole = True
        else:
            before = sum(rows.values())

            def report(so_far: int, done: int = done, before: int = before) -> None:
                progress(PurgeProgress(done, len(going), before + so_far))

            found, whole = _purge_run(engine, run_id, latest, events_only=events_only, report=report)
        for name, number in found.items():
            rows[name] = rows.get(name, 0) + number
        if whole and any(found.values()):
            gone.append(run_id)
        progress(PurgeProgress(done + 1, len(going), sum(rows.values())))
    kept = set(wanted) - set(gone)
    return PurgeResult(tuple(gone), rows, tuple(run_id for run_id in wanted if run_id in kept))


def _going(connection: Connection, latest: datetime | None, wanted: list[str]) -> list[str]:
    query = select(workflow_runs).order_by(_runs.completed_at, _runs.id)
    if wanted:
        query = query.where(_runs.id.in_(wanted))
    elif latest is not None:
        maybe = _runs.completed_at.is_(None) | (_runs.completed_at <= latest) | (_runs.status == DRAFT)
        query = query.where(_runs.status.in_(_ENDED), maybe)
    found = connection.execute(query).all()
    missing = set(wanted) - {row.id for row in found}
    if missing:
        raise UnknownRunError(f"No run has the id {min(missing)!r}; `cmbagent-otel runs` lists all.")
    return [row.id for row in found if _may_go(connection, row, latest)]


def _may_go(connection: Connection, run: Any, latest: datetime | None) -> bool:
    if run.status not in _ENDED:
        return False
    if run.completed_at is not None and run.status != DRAFT:
        return latest is None or bool(run.completed_at <= latest)
    # Interrupted, or without its root: the last that is known of it.
    last, still_open = connection.execute(
        select(
            func.max(func.coalesce(_nodes.end_time_unix_nano, _nodes.start_time_unix_nano)),
            func.count().filter(_nodes.status.in_(OPEN)),
        ).where(_nodes.run_id == run.id)
    ).one()
    if still_open:
        return False
    moments = [at for at in (run.started_at, run.last_heartbeat_at, last and moment(last)) if at is not None]
    if not moments:
        # One of ours is never without a node, unless a purge has taken them; another's may be planned.
        return bool((run.meta or {}).get(RECORDER))
    return latest is None or max(moments) <= latest


def _events(run_id: str) -> Select[Any]:
    # The latest first: an event's parent mostly stands before it, so few rows lose a parent before they go.
    return (
        select(execution_events.c.id)
        .where(execution_events.c.run_id == run_id)
        .order_by(execution_events.c.execution_order.desc())
    )


def _edges(run_id: str) -> Select[Any]:
    # Edges of CMBAgent's do not name their run. Two joins, since an OR of both would read the whole table.
    ends = (
        select(dag_edges.c.id).join(dag_nodes, _nodes.id == end).where(_nodes.run_id == run_id)
        for end in (dag_edges.c.to_node_id, dag_edges.c.from_node_id)
    )
    return select(union(*ends).subquery().c.id)


def _leaves_first(run_id: str) -> Select[Any]:
    # A node that goes takes its children along: the deepest first keeps a chunk a chunk.
    return (
        select(_nodes.id)
        .where(_nodes.run_id == run_id)
        .order_by(_nodes.depth.is_(None).desc(), _nodes.depth.desc(), _nodes.start_time_unix_nano.desc())
    )


def _of_run(table: Table, key: str = "id") -> Callable[[str], Select[Any]]:
    return lambda run_id: select(table.c[key]).where(table.c.run_id == run_id)


_PARTS: tuple[tuple[str, Callable[[str], Select[Any]]], ...] = (
    ("execution_events", _events),
    ("messages", _of_run(messages)),
    ("files", _of_run(files)),
    ("cost_records", _of_run(cost_records)),
    ("dag_edges", _edges),
    ("dag_nodes", _leaves_first),
    ("workflow_steps", _of_run(workflow_steps)),
    ("run_traces", _of_run(run_traces, "trace_id")),
)
"""Children first."""


def _counter(part: Callable[[str], Select[Any]], run_id: str) -> Callable[[Connection], int]:
    rows = part(run_id).order_by(None).subquery()
    return lambda connection: int(connection.execute(select(func.count()).select_from(rows)).scalar_one())


def _purge_run(
    engine: Engine, run_id: str, latest: datetime | None, *, events_only: bool, report: Callable[[int], None]
) -> tuple[dict[str, int], bool]:
    """Delete one run; returns the rows by table, and whether it is gone: it may have come to life meanwhile."""
    rows: dict[str, int] = {}

    def still(connection: Connection) -> Row[Any] | None:
        lock_runs(connection, (run_id,))
        run = connection.execute(select(workflow_runs).where(_runs.id == run_id)).one_or_none()
        return run if run is not None and _may_go(connection, run, latest) else None

    for name, part in _PARTS[:1] if events_only else _PARTS:
        table = workflow_runs.metadata.tables[name]
        number = CHUNK
        while number >= CHUNK:

            def chunk(
                connection: Connection, table: Table = table, part: Callable[[str], Select[Any]] = part
            ) -> int | None:
                return _delete(connection, table, part, run_id) if still(connection) is not None else None

            deleted = _in_transaction(engine, chunk)
            if deleted is None:
                return rows, False
            number = deleted
            rows[name] = rows.get(name, 0) + number
            report(sum(rows.values()))
            time.sleep(_PAUSE_SECONDS)  # who waits for SQLite's one lock polls: let them have it
    if events_only:
        return rows, True

    def finish(connection: Connection) -> bool:
        run = still(connection)
        if run is None:
            return False
        connection.execute(delete(workflow_runs).where(_runs.id == run_id))
        settle_sessions(connection, (run.session_id,))
        return True

    whole = _in_transaction(engine, finish)
    rows[workflow_runs.name] = int(whole)
    return rows, whole


def _delete(connection: Connection, table: Table, part: Callable[[str], Select[Any]], run_id: str) -> int:
    keys = list(connection.execute(part(run_id).limit(CHUNK)).scalars())
    if not keys:
        return 0
    key = next(iter(table.primary_key.columns))
    if table is dag_nodes:
        _let_go(connection, keys, run_id)
    conditions = [table.c.run_id == run_id] if table is run_traces else []
    connection.execute(delete(table).where(key.in_(keys), *conditions))
    return len(keys)


def _let_go(connection: Connection, node_ids: list[str], run_id: str) -> None:
    """Rows of other runs that hang on these nodes stay: they only lose them."""
    for table, column in ((dag_nodes, "parent_node_id"), (execution_events, "node_id")):
        connection.execute(
            table.update().where(table.c[column].in_(node_ids), table.c.run_id != run_id).values({column: None})
        )


def _in_transaction(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    for attempt in range(_TRIES):
        try:
            with engine.begin() as connection:
                return work(connection)
        except IntegrityError as error:
            raise StoreError(
                f"Rows of another program refer to this run and do not let it go: {error.orig}. Remove those first."
            ) from error
        except DBAPIError as error:
            if attempt + 1 < _TRIES and worth_another_try(error):
                time.sleep(0.05 * 2**attempt * (0.5 + random.random()))  # noqa: S311 - no secret
                continue
            meaning = translate(error)
            if meaning is None:
                raise
            raise meaning from error
    raise AssertionError("unreachable")
