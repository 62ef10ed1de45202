"""Settling: what the tree alone can tell, found anew for all that a batch touches.

The result depends only on the set of spans that are known, not on the order in which they came. It is found in
memory, under the locks of the traces and runs, before anything is written, so that most rows are written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from cmbagent_otel.graph.record import NodeRecord, SpanGraph
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.store import order, redo
from cmbagent_otel.store.claims import Claims
from cmbagent_otel.store.fragment import Fragment, Node
from cmbagent_otel.store.locks import lock_runs, lock_traces
from cmbagent_otel.store.rank import rank, rank_of
from cmbagent_otel.store.redo import Chained
from cmbagent_otel.store.select import select

_WAITING = """
SELECT n.id, n.trace_id FROM ids JOIN dag_nodes n ON n.run_id = ids.id AND n.parent_node_id IS NULL
 WHERE n.start_time_unix_nano IS NOT NULL AND {meta.remote_parent} IS NOT NULL"""


class Settled(NamedTuple):
    """What is to be written."""

    fragment: Fragment
    claims: Claims
    before: frozenset[str]
    """Runs in which nodes stood that stand in another one now."""
    accepted: Sequence[SpanGraph]
    """Those that say more than what is stored."""
    chained: Chained
    shifted: dict[str, tuple[int, str]]
    """New places of siblings that are not in memory."""


def settle(connection: Connection, graphs: Iterable[SpanGraph], run_ids: Iterable[str] = ()) -> Settled:
    """Find the rows of ``graphs``, and of all nodes that they change.

    Args:
        connection: in a transaction, which holds the locks of the traces and runs from here on.
        graphs: repaired.
        run_ids: further runs to be locked.
    """
    merged = _merge(graphs)
    traces = {graph.node.trace_id for graph in merged.values()}
    lock_traces(connection, traces)
    fragment = Fragment(connection, traces)
    claims = Claims(connection, fragment)
    stated = {graph.node.run_id for graph in merged.values()}
    lock_runs(connection, {*run_ids, *stated, *claims.runs})
    fragment.load(_mentioned(merged.values()))
    accepted = [graph for node_id, graph in merged.items() if _says_more(fragment.nodes.get(node_id), graph.node)]
    for graph in accepted:
        _apply(fragment, graph)
    claims.add(graph.node for graph in accepted)
    _cut_cycles(fragment)
    fragment.resolve()
    if accepted:
        claims.load_moved()
        _join_remote_parents(fragment, claims.runs)
        _spread(fragment)
    chained = redo.chain(fragment)
    if chained.looked:
        _spread(fragment)
    claims.place_placeholders(edge for graph in accepted for edge in (*graph.edges, *chained.edges))
    shifted = order.settle_siblings(fragment)
    redo.follow_source(fragment, shifted)
    moved = {node.before.run_id for node in fragment.changed if node.before and node.before.run_id != node.run_id}
    return Settled(fragment, claims, frozenset(moved), accepted, chained, shifted)


def _merge(graphs: Iterable[SpanGraph]) -> dict[str, SpanGraph]:
    """One graph a node: that of the highest rank, with the facts of the others under its own."""
    merged: dict[str, SpanGraph] = {}
    for graph in graphs:
        other = merged.setdefault(graph.node.id, graph)
        if other is graph:
            continue
        low, high = (graph, other) if rank_of(graph.node) <= rank_of(other.node) else (other, graph)
        if rank_of(low.node) < rank_of(high.node):
            high = high._replace(node=high.node._replace(meta={**low.node.meta, **high.node.meta}))
        merged[graph.node.id] = high
    return merged


def _mentioned(graphs: Iterable[SpanGraph]) -> Iterable[str]:
    for graph in graphs:
        yield graph.node.id
        if graph.node.parent_node_id is not None:
            yield graph.node.parent_node_id
        for edge in graph.edges:
            yield edge.from_node_id


def _says_more(known: Node | None, record: NodeRecord) -> bool:
    return known is None or rank_of(record) > rank(known.status, ended=known.ended)


def _apply(fragment: Fragment, graph: SpanGraph) -> None:
    record = graph.node
    node = fragment.placeholder(record.id)
    was_known = node.known
    node.describe(record)
    node.has_event = node.has_event or any(event.id == record.id for event in graph.events)
    parent_id = record.parent_node_id
    if was_known or parent_id is None:
        return
    if record.parent_is_remote and node.meta.get("kind") == NodeKind.WORKFLOW:
        node.meta["remote_parent"] = parent_id
        return
    node.parent_id = parent_id
    fragment.placeholder(parent_id)


def _runs(fragment: Fragment) -> set[str]:
    runs = {node.run_id for node in fragment.nodes.values() if node.run_id}
    return runs | {node.before.run_id for node in fragment.nodes.values() if node.before is not None}


def _join_remote_parents(fragment: Fragment, run_ids: set[str]) -> None:
    """Put workflows under their parent of another process, where that is known and in the same run."""
    waiting = select(fragment.connection, _runs(fragment) | run_ids, _WAITING)
    fragment.load(row.id for row in waiting if row.trace_id in fragment.trace_ids)
    fragment.resolve_new()
    _place_remote(fragment)


def _place_remote(fragment: Fragment) -> None:
    """Put workflows of other processes under their parent, or make them roots, as things are known now."""
    remote = [
        node for node in fragment.nodes.values() if "remote_parent" in node.meta and node.trace_id in fragment.trace_ids
    ]
    # Where one stands decides the run of those below it, and so where these stand: at most as often as they are nested.
    for _ in remote:
        if not sum(_joins_or_leaves(fragment, node) for node in remote):
            break
        fragment.resolve()


def _joins_or_leaves(fragment: Fragment, node: Node) -> bool:
    parent = fragment.nodes.get(str(node.meta["remote_parent"]))
    parent_id: str | None = None
    if parent is not None and parent.known and (not node.run_is_stated or parent.run_id == node.run_id):
        parent_id = None if _is_circle(fragment, node) else parent.id
    changes = parent_id != node.parent_id
    node.parent_id = parent_id
    return changes


def _is_circle(fragment: Fragment, node: Node) -> bool:
    """Whether following parents, remote ones too, leads back."""
    seen: set[str] = set()
    current: Node | None = node
    while current is not None and current.id not in seen:
        seen.add(current.id)
        above = current.meta.get("remote_parent") or current.parent_id
        current = fragment.nodes.get(str(above)) if above is not None else None
    return current is node


def _cut_cycles(fragment: Fragment) -> None:
    """Make the first node of each circle of parents a root, and say so in its ``meta.cut_parent``.

    A circle that leads through a parent in another process is cut there.
    """
    settled: set[str] = set()
    for start in fragment.nodes.values():
        path: dict[str, Node] = {}
        current: Node | None = start
        while current is not None and current.id not in settled and current.id not in path:
            path[current.id] = current
            current = fragment.nodes.get(current.parent_id) if current.parent_id is not None else None
        if current is not None and current.id in path:
            ids = list(path)
            circle = [path[node_id] for node_id in ids[ids.index(current.id) :]]
            remote = [node for node in circle if "remote_parent" in node.meta]
            for node in remote:
                node.parent_id = None
            if not remote:
                first = min(circle, key=lambda node: (node.start or (0, ""), node.id))
                fragment.complete(first)
                first.meta["cut_parent"] = first.parent_id
                first.parent_id = None
        settled.update(path)


def _spread(fragment: Fragment) -> None:
    """Follow every change down to where it changes nothing more.

    Depths that have become known are left to the database: often they are those of a whole run.
    """
    looked_at: set[str] = set()
    while True:
        below = [node.id for node in fragment.nodes.values() if node.id not in looked_at and _hands_down_more(node)]
        if not below:
            return
        looked_at.update(below)
        fragment.load_children(below)
        fragment.resolve_new()
        _place_remote(fragment)  # a parent that has moved to another run lets go of it


def _hands_down_more(node: Node) -> bool:
    if node.stored is None or node.before == node.after:
        return False
    return node.before is None or node.after is None or not node.after.hands_down_as(node.before)
