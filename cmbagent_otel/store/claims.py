"""Which run the spans belong to that name none themselves: their parent's, else the one their trace is claimed for.

A trace is claimed by the earliest of its spans that names a run. Until then it stands under its own id.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from cmbagent_otel.graph.record import EdgeRecord, NodeRecord
from cmbagent_otel.spans.record import default_run_id
from cmbagent_otel.store import bulk
from cmbagent_otel.store.fragment import Context, Fragment, Moment, Node
from cmbagent_otel.store.schema import run_traces
from cmbagent_otel.store.select import select

_COLUMNS = ("trace_id", "run_id", "start_time_unix_nano", "span_id")
_TRACES = """
SELECT t.trace_id, t.run_id, t.start_time_unix_nano, t.span_id
  FROM ids JOIN run_traces t ON t.trace_id = ids.id"""
_UNSTATED = """
SELECT n.id, n.trace_id FROM ids JOIN dag_nodes n ON n.run_id = ids.id
 WHERE {meta.run_is_inherited} IS NOT NULL"""
_REFERRERS = """
SELECT ids.id AS placeholder, n.id, n.run_id, n.start_time_unix_nano, n.span_id
  FROM ids JOIN dag_nodes n ON n.parent_node_id = ids.id
UNION ALL
SELECT ids.id, n.id, n.run_id, n.start_time_unix_nano, n.span_id
  FROM ids JOIN dag_edges e ON e.from_node_id = ids.id JOIN dag_nodes n ON n.id = e.to_node_id"""
# Cross joins, so that SQLite goes this way, and does not look at all placeholders there are.
_SOURCES = """
SELECT n.id, ids.id AS moved
  FROM ids CROSS JOIN dag_edges e CROSS JOIN dag_nodes n
 WHERE e.to_node_id = ids.id AND n.id = e.from_node_id AND n.node_type = 'placeholder'"""

Key = tuple[str, str]
"""A trace and a run."""


class Claims:
    """The runs that the spans of some traces name, each with the earliest span that does."""

    def __init__(self, connection: Connection, fragment: Fragment) -> None:
        self._connection = connection
        self._fragment = fragment
        self._stored: dict[Key, Moment | None] = {}
        for row in select(connection, fragment.trace_ids, _TRACES):
            start = row.start_time_unix_nano
            self._stored[row.trace_id, row.run_id] = None if start is None else (start, row.span_id)
        self._now = dict(self._stored)
        self._claim()
        self._before = dict(fragment.claims)

    def _claim(self) -> None:
        earliest: dict[str, tuple[Moment, str]] = {}
        for (trace_id, run_id), moment in self._now.items():
            if moment is not None and (trace_id not in earliest or (moment, run_id) < earliest[trace_id]):
                earliest[trace_id] = moment, run_id
        self._fragment.claims.update({trace_id: run_id for trace_id, (_, run_id) in earliest.items()})

    def add(self, nodes: Iterable[NodeRecord]) -> None:
        """Take note of the runs that these spans name."""
        for node in nodes:
            if node.run_is_stated:
                key = (node.trace_id, node.run_id)
                moment = (node.start_time_unix_nano, node.span_id)
                known = self._now.get(key)
                self._now[key] = moment if known is None else min(known, moment)
        self._claim()

    @property
    def runs(self) -> set[str]:
        """All runs that these traces have a part in."""
        return {run_id for _, run_id in self._now}

    def load_moved(self) -> None:
        """Load the spans of the traces whose claim is another now."""
        moved: dict[str, set[str]] = {}
        for trace_id in self._fragment.trace_ids:
            before = self._before.get(trace_id) or default_run_id(trace_id)
            if before != self._fragment.claim(trace_id):
                moved.setdefault(before, set()).add(trace_id)
        rows = select(self._connection, moved, _UNSTATED)
        traces = set().union(*moved.values()) if moved else set()
        self._fragment.load(row.id for row in rows if row.trace_id in traces)
        self._fragment.resolve_new()

    def place_placeholders(self, edges: Iterable[EdgeRecord]) -> None:
        """Give each placeholder the run of the earliest span that speaks of it; make those that edges come from."""
        nodes = self._fragment.nodes
        moved = [node.id for node in nodes.values() if node.before and node.after and node.before[0] != node.after[0]]
        referrers: dict[str, set[Node]] = {}
        sources = select(self._connection, moved, _SOURCES)
        self._fragment.load(row.id for row in sources)
        for row in sources:
            referrers.setdefault(row.id, set()).add(nodes[row.moved])
        for node in nodes.values():
            if node.known and node.parent_id is not None:
                referrers.setdefault(node.parent_id, set()).add(node)
        for edge in edges:
            self._fragment.placeholder(edge.from_node_id)
            referrers.setdefault(edge.from_node_id, set()).add(nodes[edge.to_node_id])
        uncertain = []
        for node_id, speakers in referrers.items():
            node = nodes[node_id]
            if node.known:
                continue
            if node.stored is None:
                _stand(node, min((_age(speaker), speaker.run_id) for speaker in speakers)[1])
            elif any(speaker.run_id != node.run_id for speaker in speakers):
                uncertain.append(node_id)
        self._place_again(uncertain, referrers)

    def _place_again(self, placeholders: list[str], referrers: dict[str, set[Node]]) -> None:
        nodes = self._fragment.nodes
        found: dict[str, list[tuple[Moment, str]]] = {}
        for row in select(self._connection, placeholders, _REFERRERS):
            if row.id in nodes:
                found.setdefault(row.placeholder, []).append((_age(nodes[row.id]), nodes[row.id].run_id))
            elif row.start_time_unix_nano is not None:
                moment = (row.start_time_unix_nano, row.span_id)
                found.setdefault(row.placeholder, []).append((moment, row.run_id))
        for node_id in placeholders:
            speaking = [(_age(node), node.run_id) for node in referrers[node_id]]
            _stand(nodes[node_id], min([*speaking, *found.get(node_id, ())])[1])

    def write(self) -> None:
        """Store what has changed; the runs must be there."""
        used = {(node.trace_id, node.run_id) for node in self._fragment.nodes.values() if node.record is not None}
        for trace_id, run_id in used:
            if trace_id not in self._fragment.claims:
                self._now.setdefault((trace_id, run_id), None)
        rows = [
            (*key, *(moment or (None, None))) for key, moment in sorted(self._now.items(), key=lambda item: item[0])
        ]
        new = [row for row in rows if (row[0], row[1]) not in self._stored]
        bulk.insert(self._connection, run_traces, _COLUMNS, new)
        for row in rows:
            key = (row[0], row[1])
            if key in self._stored and self._stored[key] != self._now[key]:
                self._connection.execute(
                    run_traces.update()
                    .where(run_traces.c.trace_id == row[0], run_traces.c.run_id == row[1])
                    .values(start_time_unix_nano=row[2], span_id=row[3])
                )


def _stand(placeholder: Node, run_id: str) -> None:
    placeholder.run_id = run_id
    placeholder.after = Context(run_id, None, None, None, None, -1, None)


def _age(node: Node) -> Moment:
    return node.start or (0, "")
