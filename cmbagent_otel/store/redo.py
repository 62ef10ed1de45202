"""Redos: which attempts of a step follow each other, also where no link says so.

A redo that names neither its source nor the attempt before it (it ran elsewhere, on another day) is chained by
run, phase, step and attempt. ``meta.chained`` then tells which of the two were found, so that they are found
anew when more attempts come in.
"""

from __future__ import annotations

from typing import NamedTuple

from cmbagent_otel.graph.record import EdgeRecord
from cmbagent_otel.semconv import EdgeType
from cmbagent_otel.store.fragment import Fragment, Node
from cmbagent_otel.store.select import select

_SOURCE, _PREVIOUS, _CHAINED = "source_node_id", "previous_node_id", "chained"
_STEPS = "SELECT n.id FROM ids JOIN dag_nodes n ON n.run_id = ids.id AND n.node_type IN ('step', 'branch_point')"


class Chained(NamedTuple):
    """What chaining has changed."""

    edges: tuple[EdgeRecord, ...]
    """From the attempt before, for redos that do not name it."""
    loose: tuple[str, ...]
    """Redos whose edge from another attempt is no longer true."""


def load_steps(fragment: Fragment, run_ids: set[str]) -> None:
    """Load all steps and redos of these runs."""
    fragment.load(row.id for row in select(fragment.connection, run_ids, _STEPS))


def chain(fragment: Fragment) -> Chained:
    """Find source and previous attempt of the redos that do not name them, in runs whose steps have changed."""
    runs: set[str] = set()
    for node in fragment.changed:
        if node.is_step:
            runs.add(node.run_id)
            if node.before is not None:
                runs.add(node.before.run_id)
    if not runs:
        return Chained((), ())
    load_steps(fragment, runs)
    fragment.resolve()
    edges: list[EdgeRecord] = []
    loose: list[str] = []
    for nodes in _attempts(fragment, runs):
        for node in nodes:
            if node.is_redo:
                edge = _chain(fragment, node, nodes)
                if edge is not None:
                    edges.append(edge)
                before = node.stored.meta if node.stored is not None else {}
                if _PREVIOUS in before.get(_CHAINED, ()) and before.get(_PREVIOUS) != node.meta.get(_PREVIOUS):
                    loose.append(node.id)
    return Chained(tuple(edges), tuple(loose))


def _attempts(fragment: Fragment, runs: set[str]) -> list[list[Node]]:
    """The attempts at each step of these runs, by their age."""
    attempts: dict[tuple[object, ...], list[Node]] = {}
    for node in fragment.nodes.values():
        if node.is_step and node.known and node.run_id in runs and node.after is not None:
            key = (node.run_id, node.after.phase, node.meta.get("step_number"))
            attempts.setdefault(key, []).append(node)
    return [sorted(nodes, key=_age) for nodes in attempts.values()]


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
    if _SOURCE in missing and previous.step_id != node.id:
        node.meta[_SOURCE] = previous.step_id
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


def _age(node: Node) -> tuple[int, tuple[int, str]]:
    return node.attempt or 1, node.start or (0, "")


def follow_source(fragment: Fragment, shifted: dict[str, tuple[int, str]]) -> None:
    """Put each redo where its source stands among the siblings."""
    moved = {node_id for node_id, (_, node_type) in shifted.items() if node_type == "step"}
    if moved:
        load_steps(fragment, {node.run_id for node in fragment.nodes.values() if node.after is not None})
        fragment.resolve()
    for node in fragment.nodes.values():
        if node.is_redo and node.known:
            source = fragment.nodes.get(node.step_id)
            if source is None or source is node or not source.known:
                node.order_index = 0
            else:
                node.order_index = shifted.pop(source.id)[0] if source.id in shifted else source.order_index
                source.order_index = node.order_index
