"""One batch into the tables: settled, then written parents first, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete

from cmbagent_otel.graph.record import EdgeRecord, EventRecord, SpanGraph
from cmbagent_otel.graph.sanitize import json_text
from cmbagent_otel.semconv import EdgeType, EventSubtype
from cmbagent_otel.spans.record import Heartbeat
from cmbagent_otel.store import bulk, rows
from cmbagent_otel.store.bulk import Row
from cmbagent_otel.store.fragment import Node
from cmbagent_otel.store.rank import rank
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
from cmbagent_otel.store.select import change, select
from cmbagent_otel.store.settle import Settled, settle

_LAST_ORDER = """
SELECT ids.id, (SELECT max(e.execution_order) FROM execution_events e WHERE e.run_id = ids.id) AS last FROM ids"""
_RANKED = """
, ranked(id, place) AS (
  SELECT e.id, row_number() OVER (
      PARTITION BY e.run_id ORDER BY e.timestamp, CASE WHEN e.event_subtype = 'end' THEN 1 ELSE 0 END, e.id) - 1
    FROM ids JOIN execution_events e ON e.run_id = ids.id WHERE e.trace_id IS NOT NULL)
UPDATE execution_events SET execution_order = ranked.place FROM ranked
 WHERE ranked.id = execution_events.id AND execution_events.execution_order <> ranked.place"""


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


def number_events(connection: Connection, run_ids: Iterable[str]) -> None:
    """Give the events of runs that are over their dense order by time; ``connection`` holds the runs' locks."""
    change(connection, run_ids, _RANKED)


class _Batch:
    def __init__(self, connection: Connection, settled: Settled) -> None:
        self._connection = connection
        self._settled = settled
        self._nodes = settled.fragment.nodes
        self._rows = Rows(connection.dialect.name)
        self._changed = settled.fragment.changed
        self._sessions: dict[str, str] = {}

    def write(self) -> None:
        connection = self._connection
        runs = {node.run_id for node in self._changed}
        self._sessions = ensure_runs(connection, runs | self._settled.claims.runs, self._stated_sessions())
        self._settled.claims.write()
        self._write_nodes()
        steps_left = self._settle_steps()
        self._write_events()
        self._write_edges()
        self._write_costs_and_files()
        self._move_dependents()
        connection.execute(delete(workflow_steps).where(workflow_steps.c.id.in_(steps_left)))
        gone = remove_empty_runs(connection, self._settled.before | self._settled.claims.runs)
        over = settle_runs(connection, runs | self._settled.before)
        settle_sessions(connection, gone)
        number_events(connection, over)

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
        bulk.upsert(connection, dag_nodes, rows.NODE, rows.NODE_KEEPS, said)
        moved, told = [], []
        for node in self._nodes.values():
            stored = node.stored
            if stored is None or node.record is not None:
                continue
            place = (node.run_id, node.parent_id, node.depth, node.order_index)
            if place != (stored.run_id, stored.parent_id, stored.depth, stored.order_index):
                moved.append((node.id, session[node.run_id], *place))
            if stored.meta != node.meta:
                told.append((node.id, json_text(node.meta)))
        columns = ("session_id", "run_id", "parent_node_id", "depth", "order_index")
        bulk.update(connection, dag_nodes, "id", columns, moved)
        bulk.update(connection, dag_nodes, "id", ("meta",), told)
        shifted = [(node_id, place) for node_id, (place, _) in self._settled.shifted.items()]
        bulk.update(connection, dag_nodes, "id", ("order_index",), shifted)

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
                if rank(event.status) > rank(other.status):
                    events[event.id] = event
        ordered = sorted(
            events.values(), key=lambda event: (event.time_unix_nano, event.event_subtype == EventSubtype.END, event.id)
        )
        runs = {self._nodes[event.node_id].run_id for event in ordered}
        last = {row.id: row.last for row in select(self._connection, runs, _LAST_ORDER)}
        values = []
        for event in ordered:
            node = self._nodes[event.node_id]
            before = last[node.run_id]
            order = last[node.run_id] = 0 if before is None else before + 1
            values.append(self._rows.event(event, self._place(node), order))
        bulk.upsert(self._connection, execution_events, rows.EVENT, rows.EVENT_KEEPS, values)

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
        events, inner, owned, edges = [], [], [], []
        for node in self._changed:
            if node.stored is None or node.before == node.after or not node.known:
                continue
            place = self._place(node)
            own = place.own
            belongs = (own.run_id, place.session_id, own.step_id)
            events.append((node.id, *belongs, own.parent_event_id, place.main_depth))
            inner.append((node.id, *belongs, own.event_id, place.inner_depth))
            owned.append((node.id, *belongs))
            edges.append((node.id, own.run_id))
        connection = self._connection
        belongs_to = ("run_id", "session_id", "step_id")
        in_tree = (*belongs_to, "parent_event_id", "depth")
        bulk.update(connection, execution_events, "id", in_tree, events, only="t.node_id = t.id")
        bulk.update(connection, execution_events, "node_id", in_tree, inner, only="t.node_id <> t.id")
        bulk.update(connection, cost_records, "source_id", belongs_to, owned)
        bulk.update(connection, files, "node_id", belongs_to, owned)
        bulk.update(connection, dag_edges, "to_node_id", ("run_id",), edges, only="t.run_id IS NOT NULL")
