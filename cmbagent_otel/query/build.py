"""From rows to the read model, in time linear in their number but for the sorting of siblings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cmbagent_otel.query.attempts import group_attempts
from cmbagent_otel.query.garbage import uncollected
from cmbagent_otel.query.kinds import OTHER, PLACEHOLDER, kind_of, label_of
from cmbagent_otel.query.rows import EdgeRow, NodeRow, RunGraph, RunRow, children_of
from cmbagent_otel.query.totals import Totals
from cmbagent_otel.query.view import ENDED, NOT_STARTED, STALE, STALE_AFTER_SECONDS, Node, Note, RunView
from cmbagent_otel.semconv import EdgeType, NodeKind, Status

_NO_META: Mapping[str, Any] = {}
_LATEST = 1 << 64


@uncollected()
def build_view(graph: RunGraph, *, now_unix_nano: int) -> RunView:
    """The view of a run as it is at ``now_unix_nano``."""
    run = graph.run
    news = _news(run, graph.nodes)
    silent = (
        run.status not in ENDED | NOT_STARTED
        and news is not None
        and (now_unix_nano - news) / 1e9 > STALE_AFTER_SECONDS
    )
    nodes = _make(graph, stale=silent)
    roots, unattached = _attach(graph.nodes, nodes)
    order = _order(roots, unattached)
    _start_where_unknown(order)
    for siblings in (roots, unattached, *(node.children for node in order)):
        if len(siblings) > 1:
            siblings.sort(key=_key)
    group_attempts(order, (roots, unattached))
    order = _order(roots, unattached)
    steps = [node.step for node in order if node.step is not None and node.step.attempts[0] is node]
    _hide(order)
    _note_times(order)
    totals = _sum(order, [*roots, *unattached])
    replaced = Totals()
    for step in steps:
        for attempt in step.attempts[:-1]:
            replaced.add(attempt.totals)
    edges, dangling = _edges(graph.edges, nodes)
    start, end = _bounds(run, order)
    return RunView(
        run=run,
        now_unix_nano=now_unix_nano,
        roots=roots,
        unattached=unattached,
        nodes={node.row.id: node for node in order},
        steps=steps,
        edges=edges,
        dangling_edges=dangling,
        status=STALE if silent else run.status,
        start=start,
        end=end,
        totals=totals,
        replaced=replaced,
        waiting_seconds=_waiting(order, now_unix_nano if not silent else news),
        news_unix_nano=news,
        now=_now(order),
        hidden=sum(node.hidden for node in order),
    )


def _make(graph: RunGraph, *, stale: bool) -> dict[str, Node]:
    metas = graph.metas
    nodes: dict[str, Node] = {}
    for row in graph.nodes:
        meta = metas.get(row.id, _NO_META)
        kind = kind_of(row, meta)
        status = row.status
        if stale and status not in ENDED and status not in NOT_STARTED:
            status = STALE
        node = Node(
            row, meta, kind, label_of(row, kind, meta), status, row.start_time_unix_nano, row.end_time_unix_nano
        )
        if kind == PLACEHOLDER:
            node.notes = (Note.PLACEHOLDER,)
        elif kind == OTHER:
            node.notes = (Note.UNKNOWN_TYPE,)
        nodes[row.id] = node
    return nodes


def _attach(rows: Iterable[NodeRow], nodes: dict[str, Node]) -> tuple[list[Node], list[Node]]:
    """Set parents and children; returns the roots and the unattached."""
    roots: list[Node] = []
    unattached: list[Node] = []
    for parent_id, below in children_of(rows).items():
        children = [nodes[row.id] for row in below]
        parent = nodes.get(parent_id) if parent_id is not None else None
        if parent is not None:
            parent.children = children
            for node in children:
                node.parent = parent
        elif parent_id is not None:
            for node in children:
                node.notes += (Note.UNATTACHED,)
            unattached += children
        else:
            for node in children:
                (unattached if node.kind == PLACEHOLDER else roots).append(node)
    for node in _circles(nodes, [*roots, *unattached]):
        if node.parent is not None:
            node.parent.children.remove(node)
            node.parent = None
        node.notes += (Note.CIRCLE,)
        unattached.append(node)
    return roots, unattached


def _circles(nodes: dict[str, Node], tops: list[Node]) -> list[Node]:
    """One node of each circle of parents: the first by start and id."""
    if _reached(tops) == len(nodes):
        return []
    seen: set[str] = set()
    for top in tops:
        seen.update(node.row.id for node in top.subtree())
    found: list[Node] = []
    for node in nodes.values():
        path: list[Node] = []
        on_path: set[str] = set()
        here: Node | None = node
        while here is not None and here.row.id not in seen and here.row.id not in on_path:
            path.append(here)
            on_path.add(here.row.id)
            here = here.parent
        if here is not None and here.row.id in on_path:
            circle = path[path.index(here) :]
            found.append(min(circle, key=_key))
        seen |= on_path
    return found


def _reached(tops: list[Node]) -> int:
    return sum(1 for top in tops for _ in top.subtree())


def _key(node: Node) -> tuple[int, int, str, str]:
    row = node.row
    return (
        _LATEST if node.start is None else node.start,
        _LATEST if row.order_index is None else row.order_index,
        row.span_id or "",
        row.id,
    )


def _order(roots: list[Node], unattached: list[Node]) -> list[Node]:
    """All nodes, parents first, siblings in their order; sets depths."""
    order: list[Node] = []
    stack = [*reversed(unattached), *reversed(roots)]
    while stack:
        node = stack.pop()
        order.append(node)
        if node.children:
            depth = node.depth + 1
            for child in node.children:
                child.depth = depth
            stack.extend(reversed(node.children))
    return order


def _start_where_unknown(order: list[Node]) -> None:
    for node in reversed(order):
        if node.start is None:
            starts = [child.start for child in node.children if child.start is not None]
            if starts:
                node.start = min(starts)


def _hide(order: list[Node]) -> None:
    for node in order:
        node.hidden = node.kind == NodeKind.SPAN and node.parent is not None


def _note_times(order: list[Node]) -> None:
    for node in order:
        row = node.row
        start, end = row.start_time_unix_nano, row.end_time_unix_nano
        if start is None:
            continue
        if end is not None and end < start:
            node.notes += (Note.ENDS_BEFORE_START,)
        before = None if node.parent is None else node.parent.row.start_time_unix_nano
        if before is not None and start < before:
            node.notes += (Note.BEFORE_PARENT,)


def _sum(order: list[Node], tops: list[Node]) -> Totals:
    failed_below: set[str] = set()
    for node in reversed(order):
        totals, parent = node.totals, node.parent
        totals.count(node.kind, node.row)
        totals.redos += node.step is not None and node.step.attempts[0] is not node
        failed = node.row.status == Status.FAILED and not node.hidden
        totals.errors += failed and node.row.id not in failed_below
        if parent is not None:
            if failed or node.row.id in failed_below:
                failed_below.add(parent.row.id)
            parent.totals.add(totals)
    whole = Totals()
    for top in tops:
        whole.add(top.totals)
    return whole


def _edges(rows: Iterable[EdgeRow], nodes: dict[str, Node]) -> tuple[tuple[EdgeRow, ...], int]:
    kept = []
    dangling = 0
    for edge in rows:
        if edge.from_node_id not in nodes or edge.to_node_id not in nodes:
            dangling += 1
            continue
        kept.append(edge)
        if edge.dependency_type == EdgeType.HANDOFF:
            target = nodes[edge.to_node_id]
            if target.handed_over_by is None or edge.from_node_id < target.handed_over_by:
                target.handed_over_by = edge.from_node_id
    kept.sort(key=lambda edge: (edge.from_node_id, edge.to_node_id, edge.dependency_type, edge.condition or ""))
    return tuple(kept), dangling


def _news(run: RunRow, rows: Iterable[NodeRow]) -> int | None:
    heard = [run.heartbeat_unix_nano, run.started_unix_nano, run.completed_unix_nano]
    latest = max((moment for moment in heard if moment is not None), default=-1)
    for row in rows:
        if row.end_time_unix_nano is not None and row.end_time_unix_nano > latest:
            latest = row.end_time_unix_nano
        if row.start_time_unix_nano is not None and row.start_time_unix_nano > latest:
            latest = row.start_time_unix_nano
    return None if latest < 0 else latest


def _bounds(run: RunRow, order: list[Node]) -> tuple[int | None, int | None]:
    starts = [node.start for node in order if node.start is not None]
    start = run.started_unix_nano if run.started_unix_nano is not None else min(starts, default=None)
    if run.status not in ENDED:
        return start, None
    ends = [node.end for node in order if node.end is not None]
    return start, run.completed_unix_nano if run.completed_unix_nano is not None else max(ends, default=start)


def _waiting(order: list[Node], now_unix_nano: int | None) -> float:
    spans = []
    for node in order:
        if node.kind == NodeKind.APPROVAL and node.start is not None:
            end = node.end if node.end is not None else now_unix_nano if node.is_open else None
            if end is not None and end > node.start:
                spans.append((node.start, end))
    waited = 0
    until = 0
    for start, end in sorted(spans):
        waited += max(0, end - max(start, until))
        until = max(until, end)
    return waited / 1e9


def _now(order: list[Node]) -> tuple[Node, ...]:
    running = [node for node in order if node.is_open and not node.hidden]
    if not running:
        return ()
    busy = {node.parent.row.id for node in running if node.parent is not None}
    leaves = [node for node in running if node.row.id not in busy] or running
    here: Node | None = max(leaves, key=lambda node: (node.start or 0, node.depth, node.row.id))
    path: list[Node] = []
    while here is not None:
        path.append(here)
        here = here.parent
    return tuple(reversed(path))
