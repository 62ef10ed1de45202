"""One batch into the tables: settled, then written parents first, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete

from cmbagent_otel.graph.record import EdgeRecord, EventRecord, SpanGraph
from cmbagent_otel.graph.sanitize import json_text
from cmbagent_otel.semconv import EdgeType, EventSubtype
from cmbagent_otel.spans.record import Heartbeat
from cmbagent_otel.store import anchor, bulk, rows
from cmbagent_otel.store.anchor import Anchored
from cmbagent_otel.store.bulk import Row
from cmbagent_otel.store.fragment import Context, Node
from cmbagent_otel.store.rank import rank_of
from cmbagent_otel.store.rows import Place, Rows, moment
from cmbagent_otel.store.runs import ensure_runs, remove_empty_runs, settle_runs, settle_sessions, settle_steps
from cmbagent_otel.store.schema import (
    cost_records,
    dag_edges,
    dag_nodes,
    execution_events,
    files,
    workflow_runs,
    workflow_steps,
)
from cmbagent_otel.store.select import change, pairs, select
from cmbagent_otel.store.settle import Settled, settle

_NO_DEPTHS: Mapping[str, tuple[int, int]] = {}
_LAST_ORDER = """
SELECT ids.id, (SELECT max(e.execution_order) FROM execution_events e WHERE e.run_id = ids.id) AS last FROM ids"""
# Depths that are known now come along: a second change of all these rows would double the cost.
_RANKED = """
, ranked(id, place, depth) AS (
  SELECT e.id,
         row_number() OVER (
           PARTITION BY e.run_id ORDER BY e.timestamp, CASE WHEN e.event_subtype = 'end' THEN 1 ELSE 0 END, e.id) - 1,
         CASE WHEN d.id IS NULL THEN e.depth WHEN e.id = e.node_id THEN d.a ELSE d.b END
    FROM ids JOIN execution_events e ON e.run_id = ids.id LEFT JOIN {pairs} d ON d.id = e.node_id
   WHERE e.trace_id IS NOT NULL)
UPDATE execution_events SET execution_order = ranked.place, depth = ranked.depth FROM ranked
 WHERE ranked.id = execution_events.id
   AND (execution_events.execution_order <> ranked.place OR execution_events.depth <> ranked.depth)"""


def write_batch(connection: Connection, graphs: Sequence[SpanGraph], heartbeats: Sequence[Heartbeat] = ()) -> int:
    """Settle and write ``graphs``, which are repaired, and take note of ``heartbeats``.

    Returns:
        How many of the graphs said something that was not stored yet.
    """
    alive = {run_id for heartbeat in heartbeats for run_id in heartbeat.run_ids}
    settled = settle(connection, graphs, alive)
    if settled.accepted:
        _Batch(connection, settled).write()
    _note(connection, heartbeats)
    return len(settled.accepted)


def _note(connection: Connection, heartbeats: Sequence[Heartbeat]) -> None:
    latest: dict[str, int] = {}
    for heartbeat in heartbeats:
        for run_id in heartbeat.run_ids:
            latest[run_id] = max(latest.get(run_id, 0), heartbeat.time_unix_nano)
    runs = workflow_runs.c
    for run_id, nanoseconds in sorted(latest.items()):
        at = moment(nanoseconds)
        connection.execute(
            workflow_runs.update()
            .where(runs.id == run_id, runs.last_heartbeat_at.is_(None) | (runs.last_heartbeat_at < at))
            .values(last_heartbeat_at=at)
        )


def number_events(
    connection: Connection, run_ids: Collection[str], depths: Mapping[str, tuple[int, int]] = _NO_DEPTHS
) -> None:
    """Give the events of runs that are over their dense order by time; ``connection`` holds the runs' locks.

    ``depths`` are new depths of the main event and of the other events of nodes.
    """
    if not run_ids:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_hashjoin = on")  # here it is whole runs that are joined
    change(connection, run_ids, _RANKED, pairs=pairs(depths))


class _Batch:
    def __init__(self, connection: Connection, settled: Settled) -> None:
        self._connection = connection
        self._settled = settled
        self._nodes = settled.fragment.nodes
        self._rows = Rows(connection.dialect.name)
        self._changed = settled.fragment.changed
        self._new = {node.id for node in self._nodes.values() if node.stored is None}
        self._sessions: dict[str, str] = {}
        self._over: set[str] = set()
        self._depths: dict[str, tuple[int, int]] = {}
        self._anchored: list[Anchored] = []

    def write(self) -> None:
        connection = self._connection
        runs = {node.run_id for node in self._changed}
        self._sessions = ensure_runs(connection, runs | self._settled.claims.runs, self._stated_sessions())
        self._settled.claims.write()
        self._write_nodes()
        steps_left = self._settle_steps()
        for run in settle_runs(connection, runs | self._settled.before):
            self._sessions[run.id] = run.session_id
            if run.is_over:
                self._over.add(run.id)
        self._write_events()
        self._write_edges()
        self._write_costs_and_files()
        self._move_dependents()
        if steps_left:
            connection.execute(delete(workflow_steps).where(workflow_steps.c.id.in_(steps_left)))
        settle_sessions(connection, remove_empty_runs(connection, self._settled.before))
        number_events(connection, self._over, self._depths)

    def _stated_sessions(self) -> dict[str, str]:
        stated: dict[str, str] = {}
        for node in sorted(self._changed, key=lambda node: node.start or (0, ""), reverse=True):
            if node.parent_id is None and node.known and node.meta.get("session_id"):
                stated[node.run_id] = str(node.meta["session_id"])
        return stated

    def _place(self, node: Node) -> Place:
        own = node.after
        if own is None:
            raise AssertionError(node.id)
        return Place(self._sessions[own.run_id], own)

    def _write_nodes(self) -> None:
        connection, session = self._connection, self._sessions
        new = [node for node in self._nodes.values() if node.stored is None and not node.known]
        bulk.insert(connection, dag_nodes, rows.NODE, [self._rows.node(node, session[node.run_id]) for node in new])
        said = [self._rows.node(node, session[node.run_id]) for node in self._changed if node.record is not None]
        bulk.upsert(connection, dag_nodes, rows.NODE, rows.NODE_KEEPS, said, new=self._new)
        moved = _Changes(connection, dag_nodes, "id")
        for node in self._nodes.values():
            stored = node.stored
            if stored is None or node.record is not None:
                continue
            values: dict[str, Any] = {}
            if node.run_id != stored.run_id:
                values |= {"run_id": node.run_id, "session_id": session[node.run_id]}
            if node.parent_id != stored.parent_id:
                values["parent_node_id"] = node.parent_id
            if node.depth != stored.depth:
                values["depth"] = node.depth
            if node.order_index != stored.order_index:
                values["order_index"] = node.order_index
            if node.meta != stored.meta:
                values["meta"] = json_text(node.meta)
            moved.add(node.id, values)
        for node_id, (place, _) in self._settled.shifted.items():
            moved.add(node_id, {"order_index": place})
        moved.write()
        self._anchored = anchor.find(connection, self._settled.fragment)
        bulk.update(connection, dag_nodes, "id", ("depth",), [(node.id, node.depth) for node in self._anchored])

    def _settle_steps(self) -> set[str]:
        """Write the steps of runs whose attempts have changed; returns those that no attempt belongs to any more."""
        runs: set[str] = set()
        left: set[str] = set()
        for node in self._changed:
            if node.is_step:
                runs.add(node.run_id)
                if node.stored is not None and node.stored.step_id is not None:
                    runs.add(node.stored.run_id)
                    left.add(node.stored.step_id)
        attempts = [node for node in self._nodes.values() if node.is_step and node.after is not None]
        step_of = {node.id: node.after.step_id for node in attempts if node.after and node.after.step_id}
        return left - settle_steps(self._connection, runs, step_of)

    def _write_events(self) -> None:
        events: dict[str, EventRecord] = {}
        for graph in self._settled.accepted:
            for event in graph.events:
                other = events.setdefault(event.id, event)
                if rank_of(event) > rank_of(other):
                    events[event.id] = event
        ordered = sorted(
            events.values(), key=lambda event: (event.time_unix_nano, event.event_subtype == EventSubtype.END, event.id)
        )
        runs = {self._nodes[event.node_id].run_id for event in ordered}
        last = {row.id: row.last for row in select(self._connection, runs, _LAST_ORDER)}
        values = []
        for event in ordered:
            node = self._nodes[event.node_id]
            order = last[node.run_id]
            if not (event.id == node.id and node.before is not None and node.before.event_id == node.id):
                order = last[node.run_id] = 0 if order is None else order + 1
            # Whatever is stored already keeps its place, and takes none of the others.
            values.append(self._rows.event(event, self._place(node), order or 0))
        bulk.upsert(self._connection, execution_events, rows.EVENT, rows.EVENT_KEEPS, values, new=self._new)

    def _write_edges(self) -> None:
        chained = self._settled.chained
        for node_id in chained.loose:
            edges = dag_edges.c
            self._connection.execute(
                delete(dag_edges).where(
                    edges.to_node_id == node_id,
                    edges.dependency_type == EdgeType.CONDITIONAL,
                    edges.from_node_id != self._nodes[node_id].meta.get("previous_node_id", ""),
                )
            )
        stated: dict[tuple[str, str, str], EdgeRecord] = {}
        for edge in (*(edge for graph in self._settled.accepted for edge in graph.edges), *chained.edges):
            stated.setdefault((edge.to_node_id, edge.from_node_id, edge.dependency_type), edge)
        values = [self._rows.edge(edge, self._nodes[edge.to_node_id].run_id) for edge in stated.values()]
        bulk.insert(self._connection, dag_edges, rows.EDGE, values)

    def _write_costs_and_files(self) -> None:
        costs: list[Row] = []
        made: list[Row] = []
        for graph in self._settled.accepted:
            if not graph.costs and not graph.files:
                continue
            node = self._nodes[graph.node.id]
            place = self._place(node)
            costs.extend(self._rows.cost(cost, place) for cost in graph.costs)
            events = {event.id for event in graph.events}
            made.extend(
                self._rows.file(file, place, file.event_id if file.event_id in events else None) for file in graph.files
            )
        bulk.insert(self._connection, cost_records, rows.COST, costs)
        bulk.insert(self._connection, files, rows.FILE, made)

    def _move_dependents(self) -> None:
        """Bring along what belongs to nodes that stand elsewhere now."""
        connection = self._connection
        main = _Changes(connection, execution_events, "id")
        inner = _Changes(connection, execution_events, "node_id", only="t.node_id <> t.id")
        costs = _Changes(connection, cost_records, "source_id")
        made = _Changes(connection, files, "node_id", only="t.source_id IS NOT NULL")
        edges = _Changes(connection, dag_edges, "to_node_id", only="t.run_id IS NOT NULL")
        for node in self._changed:
            before, own = node.before, node.after
            if before is None or own is None or before == own or not node.known:
                continue
            if own.run_id != before.run_id:
                edges.add(node.id, {"run_id": own.run_id})
            belongs = self._belongings(before, own)
            costs.add(node.id, belongs)
            made.add(node.id, belongs)
            depth_known = own.event_depth != before.event_depth and own.run_id not in self._over
            if own.run_id in self._over:
                self._depths[node.id] = (rows.main_depth(own), rows.inner_depth(own))
            if node.has_event:
                main_depth = {"depth": rows.main_depth(own)} if depth_known else {}
                main.add(node.id, belongs | _parent(before.parent_event_id, own.parent_event_id) | main_depth)
            inner_depth = {"depth": rows.inner_depth(own)} if depth_known else {}
            inner.add(node.id, belongs | _parent(before.event_id, own.event_id) | inner_depth)
        for anchored in self._anchored:
            depth_of_main, depth_inside = max(anchored.event_depth, 0), anchored.event_depth + 1
            if anchored.run_id in self._over:
                self._depths[anchored.id] = (depth_of_main, depth_inside)
            else:
                main.add(anchored.id, {"depth": depth_of_main})
                inner.add(anchored.id, {"depth": depth_inside})
        for changes in (main, inner, costs, made, edges):
            changes.write()

    def _belongings(self, before: Context, own: Context) -> dict[str, Any]:
        """What changes in all that belongs to a node: run and session, and the step."""
        belongs: dict[str, Any] = {}
        if own.run_id != before.run_id:
            belongs = {"run_id": own.run_id, "session_id": self._sessions[own.run_id]}
        if own.step_id != before.step_id:
            belongs["step_id"] = own.step_id
        return belongs


def _parent(before: str | None, now: str | None) -> dict[str, Any]:
    return {"parent_event_id": now} if now != before else {}


class _Changes:
    """Changes of single rows, written together with others of the same columns.

    Only what changes is set: a database writes all the indexes of a column that is set, changed or not.
    """

    def __init__(self, connection: Connection, table: Table, key: str, *, only: str = "") -> None:
        self._connection = connection
        self._table = table
        self._key = key
        self._only = only
        self._rows: dict[tuple[str, ...], list[Row]] = {}

    def add(self, key: str, values: dict[str, Any]) -> None:
        """Set ``values`` in the row of ``key``."""
        if values:
            self._rows.setdefault(tuple(values), []).append((key, *values.values()))

    def write(self) -> None:
        """Write them all."""
        for columns, found in self._rows.items():
            bulk.update(self._connection, self._table, self._key, columns, found, only=self._only)
