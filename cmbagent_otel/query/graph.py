"""The rows of a run, of a node and of a step. By the run's index, never by recursion; ids stay text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, or_, select

from cmbagent_otel.errors import UnknownRunError
from cmbagent_otel.query.garbage import uncollected
from cmbagent_otel.query.kinds import PLAIN_TYPES
from cmbagent_otel.query.rows import EdgeRow, EventRow, FileRow, NodeRow, RunGraph, RunRow
from cmbagent_otel.semconv import NodeType, Status
from cmbagent_otel.store.schema import dag_edges, dag_nodes, execution_events, files, run_traces, workflow_runs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_RUN: BindParameter[str] = bindparam("run_id")
_NODE: BindParameter[str] = bindparam("node_id")
_nodes, _edges, _events = dag_nodes.c, dag_edges.c, execution_events.c

RUN: Select[Any] = select(
    workflow_runs.c.id,
    workflow_runs.c.session_id,
    workflow_runs.c.mode,
    workflow_runs.c.status,
    workflow_runs.c.started_at,
    workflow_runs.c.completed_at,
    workflow_runs.c.last_heartbeat_at,
    workflow_runs.c.task_description,
    workflow_runs.c.meta,
).where(workflow_runs.c.id == _RUN)

NODES: Select[Any] = select(*(dag_nodes.c[name] for name in NodeRow._fields)).where(_nodes.run_id == _RUN)

METAS: Select[Any] = select(_nodes.id, _nodes.meta).where(
    _nodes.run_id == _RUN,
    or_(_nodes.node_type.not_in(PLAIN_TYPES), _nodes.status == Status.FAILED, _nodes.trace_id.is_(None)),
)

EDGES: Select[Any] = select(_edges.from_node_id, _edges.to_node_id, _edges.dependency_type, _edges.condition).where(
    _edges.run_id == _RUN
)

FOREIGN_EDGES: Select[Any] = select(
    _edges.from_node_id, _edges.to_node_id, _edges.dependency_type, _edges.condition
).where(
    _edges.to_node_id.in_(select(_nodes.id).where(_nodes.run_id == _RUN, _nodes.trace_id.is_(None))),
    # Written so that the index of run_id can't serve it: all edges of CMBAgent have none.
    func.coalesce(_edges.run_id, "") == "",
)
"""Edges of CMBAgent's own rows, which do not name their run."""

NODE_META: Select[Any] = select(_nodes.meta).where(_nodes.id == _NODE)

NODE_EVENTS: Select[Any] = (
    select(
        _events.id,
        _events.node_id,
        _events.event_type,
        _events.event_subtype,
        _events.agent_name,
        _events.timestamp,
        _events.duration_ms,
        _events.inputs,
        _events.outputs,
        _events.error_message,
        _events.meta,
        _events.status,
        _events.execution_order,
    )
    .where(_events.node_id == _NODE)
    .order_by(_events.execution_order, _events.id)
)

NODE_FILES: Select[Any] = (
    select(files.c.id, files.c.node_id, files.c.file_path, files.c.file_type, files.c.size_bytes, files.c.content_hash)
    .where(files.c.node_id == _NODE)
    .order_by(files.c.file_path, files.c.id)
)

ATTEMPTS: Select[Any] = (
    select(_nodes.id)
    .where(
        _nodes.run_id == _RUN,
        _nodes.node_type.in_((NodeType.STEP, NodeType.BRANCH_POINT)),
        or_(_nodes.id == _NODE, _nodes.meta["source_node_id"].as_string() == _NODE),
    )
    .order_by(_nodes.attempt, _nodes.start_time_unix_nano, _nodes.id)
)
"""Node ids of the attempts of the step whose first attempt is ``node_id``."""

TRACES: Select[Any] = select(run_traces.c.trace_id).where(run_traces.c.run_id == _RUN).order_by(run_traces.c.trace_id)

STATEMENTS: Mapping[str, tuple[Select[Any], str]] = {
    "run": (RUN, "workflow_runs primary key"),
    "nodes of a run": (NODES, "dag_nodes by run"),
    "metas of a run": (METAS, "dag_nodes by run"),
    "edges of a run": (EDGES, "ix_dag_edges_run_id"),
    "edges of CMBAgent's rows": (FOREIGN_EDGES, "dag_edges by target"),
    "meta of a node": (NODE_META, "dag_nodes primary key"),
    "events of a node": (NODE_EVENTS, "idx_events_node_order"),
    "files of a node": (NODE_FILES, "ix_files_node_id"),
    "attempts of a step": (ATTEMPTS, "dag_nodes by run"),
    "traces of a run": (TRACES, "ix_run_traces_run_id"),
}
"""Every statement of this module with the index meant for it; the EXPLAIN tests go through them."""


def fetch_run(connection: Connection, run_id: str) -> RunRow:
    """The run's own row.

    Raises:
        UnknownRunError: there is no such run.
    """
    row = connection.execute(RUN, {"run_id": run_id}).first()
    if row is None:
        raise UnknownRunError(f"There is no run {run_id}. `cmbagent-otel runs` lists them.")
    return run_row(row)


def run_row(row: Sequence[Any]) -> RunRow:
    """A row of :data:`RUN`, with its times as integers."""
    identifier, session, mode, status, started, completed, heartbeat, task, meta = row
    return RunRow(
        identifier,
        session,
        mode,
        status,
        unix_nano(started),
        unix_nano(completed),
        unix_nano(heartbeat),
        task,
        meta if isinstance(meta, dict) else {},
    )


@uncollected()
def fetch_graph(connection: Connection, run_id: str) -> RunGraph:
    """All that the read model needs of a run.

    Raises:
        UnknownRunError: there is no such run.
    """
    run = fetch_run(connection, run_id)
    nodes = tuple(fetch_nodes(connection, run_id))
    metas = {
        identifier: meta for identifier, meta in connection.execute(METAS, {"run_id": run_id}) if isinstance(meta, dict)
    }
    edges = [EdgeRow._make(row) for row in connection.execute(EDGES, {"run_id": run_id})]
    if any(node.trace_id is None for node in nodes):
        edges += [EdgeRow._make(row) for row in connection.execute(FOREIGN_EDGES, {"run_id": run_id})]
    return RunGraph(run, nodes, tuple(edges), metas)


@uncollected()
def fetch_nodes(connection: Connection, run_id: str) -> list[NodeRow]:
    """The nodes of a run, in no order; :func:`~cmbagent_otel.query.rows.children_of` makes a tree of them."""
    # From the driver's cursor: SQLAlchemy would make a row of its own of each, which is half as much again.
    with connection.execute(NODES, {"run_id": run_id}) as result:
        return list(map(_NODE_ROW, result.cursor.fetchall()))


_NODE_ROW: Callable[[Sequence[Any]], NodeRow] = partial(tuple.__new__, NodeRow)
"""As ``NodeRow._make``, without counting the columns: they are those of :data:`NODES`."""


def fetch_meta(connection: Connection, node_id: str) -> Mapping[str, Any]:
    """The ``meta`` of a node; empty where there is none."""
    found = connection.execute(NODE_META, {"node_id": node_id}).scalar()
    return _mapping(found)


def fetch_events(connection: Connection, node_id: str) -> list[EventRow]:
    """The events of a node, content included, in their order."""
    return [
        EventRow(
            row.id,
            row.node_id,
            row.event_type,
            row.event_subtype,
            row.agent_name,
            unix_nano(row.timestamp),
            row.duration_ms,
            _mapping(row.inputs),
            _mapping(row.outputs),
            row.error_message,
            _mapping(row.meta),
            row.status,
            row.execution_order,
        )
        for row in connection.execute(NODE_EVENTS, {"node_id": node_id})
    ]


def _mapping(found: object) -> Mapping[str, Any]:
    """JSON as we write it; rows of others may hold any."""
    return found if isinstance(found, dict) else {}


def fetch_files(connection: Connection, node_id: str) -> list[FileRow]:
    """The files that a node made."""
    return [FileRow._make(row) for row in connection.execute(NODE_FILES, {"node_id": node_id})]


def fetch_attempts(connection: Connection, run_id: str, first_node_id: str) -> list[str]:
    """Node ids of the attempts of a step, first to last."""
    return list(connection.execute(ATTEMPTS, {"run_id": run_id, "node_id": first_node_id}).scalars())


def fetch_traces(connection: Connection, run_id: str) -> list[str]:
    """The ids of the run's traces."""
    return list(connection.execute(TRACES, {"run_id": run_id}).scalars())


def unix_nano(moment: datetime | None) -> int | None:
    """A time of the tables, which is UTC, as nanoseconds since the epoch."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1000
