"""Which nodes are attempts of one step, and in which order."""

from __future__ import annotations

from collections.abc import Iterable

from cmbagent_otel.query.kinds import step_number
from cmbagent_otel.query.view import Node, Step
from cmbagent_otel.semconv import NodeKind, NodeType

_LATEST = 1 << 64


def group_attempts(order: Iterable[Node], tops: Iterable[list[Node]]) -> None:
    """Give each attempt its step, and put attempts side by side.

    An attempt joins the step that it names as its source; one that names none joins the step of its number
    under the same parent, or in a phase of the same type elsewhere in the run (another trace, another day).
    Only nodes of equal depth are joined, so that no circle can come of it.
    """
    members = sorted((node for node in order if node.kind == NodeKind.STEP), key=_key)
    if not members:
        return
    home_of_top = {node.row.id: number for number, top in enumerate(tops) for node in top}
    step_of: dict[str, Step] = {}
    by_place: dict[tuple[object, ...], Step] = {}
    affected: dict[str, Node] = {}
    for node in members:
        home: object = home_of_top.get(node.row.id) if node.parent is None else node.parent.row.id
        number = step_number(node.meta)
        step = _source(node, step_of)
        if step is None and _stated_attempt(node) > 1 and number is not None:
            step = by_place.get((home, number)) or by_place.get((*_phase(node), number))
        if step is None:
            step = Step(number, [])
            by_place[home, number] = step
            if node.parent is not None and node.parent.kind == NodeKind.PHASE:
                by_place[*_phase(node), number] = step
        _join(step, node, affected)
        step_of[node.row.id] = step
    for children in (*tops, *(parent.children for parent in affected.values())):
        children[:] = _side_by_side(children)


def _join(step: Step, node: Node, affected: dict[str, Node]) -> None:
    if step.attempts:
        first = step.attempts[0]
        if node.parent is not None and first.parent is not None and node.parent is not first.parent:
            node.parent.children.remove(node)
            first.parent.children.append(node)
            node.parent = first.parent
        if first.parent is not None:
            affected[first.parent.row.id] = first.parent
        node.attempt = max(step.attempts[-1].attempt + 1, _stated_attempt(node))
    else:
        node.attempt = _stated_attempt(node)
    node.step = step
    step.attempts.append(node)


def _source(node: Node, step_of: dict[str, Step]) -> Step | None:
    step = step_of.get(str(node.meta.get("source_node_id")))
    if step is None:
        return None
    first = step.attempts[0]
    if first.parent is node.parent and node.parent is not None:
        return step
    return step if first.depth == node.depth and _phase(first) == _phase(node) else None


def _phase(node: Node) -> tuple[object, ...]:
    """Where attempts of different parents may meet: phases of one type at one depth."""
    parent = node.parent
    if parent is None:
        return ("top",)
    if parent.kind != NodeKind.PHASE:
        return ("under", parent.row.id)
    return ("phase", parent.depth, parent.row.node_type)


def _stated_attempt(node: Node) -> int:
    stated = node.row.attempt
    if stated is None:
        stated = node.meta.get("attempt")
    if isinstance(stated, int) and stated > 0:
        return stated
    return 2 if node.row.node_type == NodeType.BRANCH_POINT else 1


def _key(node: Node) -> tuple[int, int, str]:
    return _stated_attempt(node), _LATEST if node.start is None else node.start, node.row.id


def _side_by_side(children: list[Node]) -> list[Node]:
    placed: list[Node] = []
    for node in children:
        if node.step is None:
            placed.append(node)
        elif node.step.attempts[0] is node:
            placed.extend(node.step.attempts)
    return placed
