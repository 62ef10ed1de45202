"""Redos: which attempts of a step follow each other, also where no link says so.

A redo that names neither its source nor the attempt before it (it ran elsewhere, on another day) is chained by
run, phase, step and attempt. ``meta.chained`` then tells which of the two were found, so that they are found
anew when more attempts come in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cmbagent_otel.graph.record import EdgeRecord
from cmbagent_otel.semconv import EdgeType, NodeType
from cmbagent_otel.store.fragment import Fragment, Moment, Node
from cmbagent_otel.store.select import select

_SOURCE, _PREVIOUS, _CHAINED = "source_node_id", "previous_node_id", "chained"
# A cross join, so that SQLite looks at the steps of these runs, and not at all steps there are.
_STEPS = """
SELECT n.id FROM ids CROSS JOIN dag_nodes n WHERE n.run_id = ids.id AND n.node_type IN ('step', 'branch_point')"""


class Chained(NamedTuple):
    """What chaining has changed."""

    edges: tuple[EdgeRecord, ...]
    """From the attempt before, for redos that do not name it."""
    loose: tuple[str, ...]
    """Redos whose edge from another attempt is no longer true."""
    looked: bool
    """False where no step has changed, and so nothing was looked at."""


def load_steps(fragment: Fragment, run_ids: set[str]) -> None:
    """Load all steps and redos of these runs."""
    fragment.load(row.id for row in select(fragment.connection, run_ids, _STEPS))


def chain(fragment: Fragment) -> Chained:
    """Find source and previous attempt of the redos that do not name them, in runs whose steps have changed."""
    runs: set[str] = set()
    for node in fragment.changed:
        if node.is_step or (
            node.before is not None and node.after is not None and node.before.phase != node.after.phase
        ):
            runs.update((node.run_id,) if node.before is None else (node.run_id, node.before.run_id))
    if not runs:
        return Chained((), (), looked=False)
    load_steps(fragment, runs)
    redos = [node for node in fragment.nodes.values() if node.is_redo]
    fragment.load([node.source_id for node in redos if node.source_id is not None])
    fragment.resolve_new()
    if not redos:
        return Chained((), (), looked=True)
    fragment.resolve()  # a source that has come in makes another step of its redos
    edges: list[EdgeRecord] = []
    loose: list[str] = []
    for attempts in _attempts(fragment, runs):
        for node in attempts:
            if node.is_redo:
                edge = _chain(fragment, node, attempts)
                if edge is not None:
                    edges.append(edge)
                if _lost_its_previous(node):
                    loose.append(node.id)
    fragment.resolve()
    return Chained(tuple(edges), tuple(loose), looked=True)


def _attempts(fragment: Fragment, runs: set[str]) -> Iterable[list[Node]]:
    """The attempts at each step of a phase, in order."""
    attempts: dict[tuple[object, ...], list[Node]] = {}
    for node in fragment.nodes.values():
        if node.is_step and node.known and node.run_id in runs and node.after is not None:
            key = (node.run_id, node.after.phase, node.meta.get("step_number"))
            attempts.setdefault(key, []).append(node)
    return (sorted(nodes, key=_age) for nodes in attempts.values())


def _lost_its_previous(node: Node) -> bool:
    before = node.stored.meta if node.stored is not None else {}
    return _PREVIOUS in before.get(_CHAINED, ()) and before.get(_PREVIOUS) != node.meta.get(_PREVIOUS)


def _chain(fragment: Fragment, node: Node, attempts: list[Node]) -> EdgeRecord | None:
    found = set(node.meta.pop(_CHAINED, ()))
    for name in found:
        node.meta.pop(name, None)
    missing = [name for name in (_SOURCE, _PREVIOUS) if name not in node.meta]
    if not missing:
        return None
    previous = fragment.nodes.get(str(node.meta.get(_PREVIOUS))) or _attempt_before(node, attempts)
    if previous is None or not previous.known or previous is node:
        return None
    chained = []
    if _SOURCE in missing and previous.source_id != node.id:
        node.meta[_SOURCE] = previous.source_id or previous.id
        chained.append(_SOURCE)
    edge = None
    if _PREVIOUS in missing:
        node.meta[_PREVIOUS] = previous.id
        chained.append(_PREVIOUS)
        edge = EdgeRecord(previous.id, node.id, node.run_id, EdgeType.CONDITIONAL, node.agent)
    if chained:
        node.meta[_CHAINED] = chained
    return edge


def _attempt_before(node: Node, attempts: list[Node]) -> Node | None:
    if node.attempt is None:
        return None
    before = [other for other in attempts if other is not node and (other.attempt or 1) < node.attempt]
    if not before:
        return None
    return max(before, key=lambda other: ((other.start or (0, "")) < (node.start or (0, "")), *_age(other)))


def _age(node: Node) -> tuple[int, Moment, str]:
    return node.attempt or 1, node.start or (0, ""), node.id


def follow_source(fragment: Fragment, shifted: dict[str, tuple[int, str]]) -> None:
    """Put each redo where its source stands among the siblings."""
    steps = [node for node in fragment.nodes.values() if node.is_step and not node.is_redo]
    moved = any(node.stored is not None and node.order_index != node.stored.order_index for node in steps)
    if moved or any(node_type == NodeType.STEP for _, node_type in shifted.values()):
        load_steps(fragment, {node.run_id for node in fragment.nodes.values() if node.known})
        fragment.resolve_new()
    for node in fragment.nodes.values():
        if node.is_redo and node.known and node.after is not None:
            source = fragment.nodes[node.after.step_id or node.id]
            if source.id in shifted:
                source.order_index, _ = shifted.pop(source.id)
            node.order_index = 0 if source is node else source.order_index
