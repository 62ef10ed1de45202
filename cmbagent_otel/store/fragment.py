"""The part of the tree that a batch touches, in memory: nodes as they are stored, and as they will be.

What a node hands down (its run, depth, step, event) is its :class:`Context`. Each node has two: ``before``, from
what is stored, and ``after``, from what is known now. Where they differ, its children have to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from cmbagent_otel.graph.record import NodeRecord
from cmbagent_otel.semconv import NodeKind, NodeType, Status
from cmbagent_otel.spans.record import default_run_id
from cmbagent_otel.store.select import json_object, select

Moment = tuple[int, str]
"""Start and span id: the order of nodes that start at the same time is that of their ids."""


class Context(NamedTuple):
    """What a node hands down to its children and its events."""

    run_id: str
    depth: int | None
    """None until all ancestors are in."""
    step_id: str | None
    """The first attempt of the nearest step."""
    parent_event_id: str | None
    """The parent of the node's main event."""
    event_id: str | None
    """The nearest main event."""
    event_depth: int
    """The depth of that event; -1 where there is none, or it is not known yet."""
    phase: str | None
    """The type of the phase that a step stands in."""

    def hands_down_as(self, before: Context) -> bool:
        """Whether nothing has changed that all nodes below have to be looked at for.

        The parent of the main event is handed down to none of them, the phase only to steps, and depths that have
        become known are found by the database.
        """
        is_anchored = before.depth is None and self.depth is not None
        return (
            self.run_id == before.run_id
            and self.step_id == before.step_id
            and self.event_id == before.event_id
            and (is_anchored or (self.depth == before.depth and self.event_depth == before.event_depth))
        )


class Node:
    """A node as it is known now; ``stored`` is what the database has."""

    __slots__ = (
        "after",
        "agent",
        "attempt",
        "before",
        "depth",
        "ended",
        "has_event",
        "id",
        "known",
        "meta",
        "node_type",
        "order_index",
        "parent_id",
        "record",
        "run_id",
        "run_is_stated",
        "start",
        "status",
        "stored",
        "trace_id",
    )

    def __init__(self, node_id: str) -> None:
        self.id = node_id
        self.trace_id = ""
        self.known = False
        """False for a placeholder."""
        self.run_id = ""
        self.run_is_stated = False
        self.parent_id: str | None = None
        self.node_type: str = NodeType.PLACEHOLDER
        self.agent: str | None = None
        self.status: str = Status.PENDING
        self.ended = False
        self.start: Moment | None = None
        self.attempt: int | None = None
        self.meta: dict[str, Any] = {}
        self.has_event = False
        self.depth: int | None = None
        self.order_index = 0
        self.record: NodeRecord | None = None
        """What has come of it in this batch and says more than what is stored."""
        self.stored: Stored | None = None
        self.before: Context | None = None
        self.after: Context | None = None

    @property
    def is_step(self) -> bool:
        """Whether it is a step or a redo of one."""
        return self.meta.get("kind") == NodeKind.STEP

    @property
    def is_redo(self) -> bool:
        """Whether it is a redo of a step."""
        return self.node_type == NodeType.BRANCH_POINT

    @property
    def phase_has_changed(self) -> bool:
        """Whether steps below it stand in another phase than what is stored says."""
        return self.before is not None and self.after is not None and self.before.phase != self.after.phase

    @property
    def source_id(self) -> str | None:
        """Of a redo: the first attempt, where that is named or was found."""
        source = self.meta.get("source_node_id")
        return str(source) if source else None

    @property
    def sibling_group(self) -> tuple[str, str] | None:
        """The nodes among which it has its place by time: those of one parent, or the tops of one run."""
        if not self.known or self.is_redo or self.start is None:
            return None
        return ("parent", self.parent_id) if self.parent_id is not None else ("run", self.run_id)

    def describe(self, record: NodeRecord) -> None:
        """Take over what ``record`` says; the parent, once known, stays."""
        self.record = record
        self.known = True
        self.trace_id = record.trace_id
        self.node_type = record.node_type
        self.agent = record.agent
        self.status = record.status
        self.ended = record.end_time_unix_nano is not None
        self.start = (record.start_time_unix_nano, record.span_id)
        self.attempt = record.attempt
        found = [name for name in self.meta.pop("chained", ()) if name not in record.meta]
        self.meta = {**self.meta, **record.meta}
        if found:
            self.meta["chained"] = found
        self.run_is_stated = record.run_is_stated
        if record.run_is_stated:
            self.run_id = record.run_id
            self.meta.pop("run_is_inherited", None)
        else:
            self.meta["run_is_inherited"] = True


class Stored(NamedTuple):
    """What the database has of a node, as far as settling may change it."""

    run_id: str
    parent_id: str | None
    depth: int | None
    order_index: int
    meta: dict[str, Any]
    sibling_group: tuple[str, str] | None
    step_id: str | None


# What can still change, and what settling looks into, comes with its whole meta; of others two facts are enough.
_COLUMNS = (
    "n.id, n.trace_id, n.span_id, n.run_id, n.parent_node_id, n.node_type, n.agent, n.status, n.order_index, n.depth,"
    " n.start_time_unix_nano, n.end_time_unix_nano, n.attempt, e.id AS event_id, e.step_id,"
    " {meta.kind} AS kind, {meta.run_is_inherited} AS run_is_inherited,"
    " CASE WHEN n.status NOT IN ('completed', 'failed') OR n.node_type IN ('step', 'branch_point', 'workflow')"
    " THEN {meta} END AS meta"
)
_WITH_ANCESTORS = f"""
, up(id) AS (
  SELECT id FROM ids UNION SELECT n.parent_node_id FROM up JOIN dag_nodes n ON n.id = up.id)
SELECT {_COLUMNS} FROM up JOIN dag_nodes n ON n.id = up.id LEFT JOIN execution_events e ON e.id = n.id"""
_META = "SELECT {meta} AS meta FROM ids JOIN dag_nodes n ON n.id = ids.id"
_CHILDREN = f"""
SELECT {_COLUMNS} FROM ids JOIN dag_nodes n ON n.parent_node_id = ids.id
  LEFT JOIN execution_events e ON e.id = n.id"""


class Fragment:
    """Nodes by id, each with all of its ancestors; the locks of their traces and runs are held."""

    def __init__(self, connection: Connection, trace_ids: set[str]) -> None:
        self.connection = connection
        self.trace_ids = trace_ids
        """The traces that may change. Of nodes of others, run and depth are as they are stored."""
        self.nodes: dict[str, Node] = {}
        self.claims: dict[str, str] = {}
        """For each trace the run of the earliest of its spans that names one."""

    def claim(self, trace_id: str) -> str:
        """The run of the spans of a trace that name none and have no known parent."""
        return self.claims.get(trace_id) or default_run_id(trace_id)

    @property
    def changed(self) -> list[Node]:
        """Nodes that say something new, or now hand down something else than is stored; after :meth:`resolve`."""
        return [node for node in self.nodes.values() if node.record is not None or node.before != node.after]

    def load(self, node_ids: Iterable[str]) -> None:
        """Load these nodes and their ancestors; those in memory stay as they are."""
        missing = [node_id for node_id in node_ids if node_id not in self.nodes]
        self._add(select(self.connection, missing, _WITH_ANCESTORS))

    def complete(self, node: Node) -> None:
        """Load the whole meta of a stored node, before it is changed; one that has come in has it."""
        if node.stored is not None and node.record is None:
            for row in select(self.connection, [node.id], _META):
                node.meta = json_object(row.meta) | node.meta
                node.stored = node.stored._replace(meta=json_object(row.meta))

    def load_children(self, node_ids: Iterable[str]) -> None:
        """Load the children of nodes that are in memory."""
        self._add(select(self.connection, node_ids, _CHILDREN))

    def _add(self, rows: Iterable[Row[Any]]) -> None:
        added = []
        for row in rows:
            if row.id not in self.nodes:
                node = self.nodes[row.id] = _node_of(row)
                added.append(node)
        for node in added:
            if node.before is None:
                self._remember(node)

    def placeholder(self, node_id: str) -> Node:
        """The node of that id, a new placeholder where it is not known."""
        return self.nodes.setdefault(node_id, Node(node_id))

    def resolve(self) -> None:
        """Find out what every node hands down, as things are known now."""
        for node in self.nodes.values():
            node.after = None
        self.resolve_new()

    def resolve_new(self) -> None:
        """The same for nodes that were loaded since, where nothing else has changed."""
        ordered: list[Node] = []
        nodes = self.nodes
        for node in nodes.values():
            if node.after is not None:
                continue
            path = []
            current: Node | None = node
            while current is not None and current.after is None:
                current.after = _NOTHING
                path.append(current)
                current = nodes.get(current.parent_id) if current.parent_id is not None else None
            path.reverse()
            ordered += path
        for node in ordered:
            self._place(node)
        for node in ordered:
            above = nodes[node.parent_id].after if node.parent_id is not None else None
            step_id = self._step_of(node) if node.known and node.is_step else None
            node.after = _hand_down(node, above, node.run_id, node.depth, step_id)

    def _place(self, node: Node) -> None:
        """Find run and depth; those of the parent are found."""
        if not node.known or node.trace_id not in self.trace_ids:
            return
        parent = self.nodes[node.parent_id] if node.parent_id is not None else None
        if not node.run_is_stated:
            node.run_id = parent.run_id if parent is not None and parent.known else self.claim(node.trace_id)
        if parent is None:
            node.depth = 0
        else:
            node.depth = None if parent.depth is None else parent.depth + 1

    def _step_of(self, node: Node) -> str:
        """The step that begins with ``node``: that of its source where this stands in the same run, else its own."""
        source = self.nodes.get(node.source_id) if node.source_id is not None else None
        if source is None or not source.known or not source.is_step or source.run_id != node.run_id:
            return node.id
        return source.id

    def _remember(self, node: Node) -> None:
        """Find what is handed down by what is stored of ``node`` and its ancestors."""
        path = []
        current: Node | None = node
        while current is not None and current.before is None and current.stored is not None:
            path.append(current)
            current = self.nodes.get(current.stored.parent_id) if current.stored.parent_id is not None else None
        for below in reversed(path):
            stored = below.stored
            if stored is not None:
                above = self.nodes[stored.parent_id].before if stored.parent_id is not None else None
                below.before = _hand_down(below, above, stored.run_id, stored.depth, stored.step_id)


_NOTHING = Context("", None, None, None, None, -1, None)


def _hand_down(node: Node, above: Context | None, run_id: str, depth: int | None, step_id: str | None) -> Context:
    if above is None:
        above = _NOTHING
    event_depth = above.event_depth if depth is not None else -1
    if node.has_event:
        event_id, event_depth = node.id, event_depth + 1 if depth is not None else -1
    else:
        event_id = above.event_id or ""
    phase = node.node_type if node.meta.get("kind") == NodeKind.PHASE else above.phase
    return Context(run_id, depth, step_id or above.step_id, above.event_id, event_id or None, event_depth, phase)


def _node_of(row: Row[Any]) -> Node:
    node = Node(row.id)
    node.trace_id = row.trace_id or ""
    node.known = row.node_type != NodeType.PLACEHOLDER
    if row.meta is not None:
        node.meta = json_object(row.meta)
    else:
        if row.kind is not None:
            node.meta["kind"] = row.kind
        if row.run_is_inherited is not None:
            node.meta["run_is_inherited"] = True
    node.run_id = row.run_id
    node.run_is_stated = node.known and "run_is_inherited" not in node.meta
    node.parent_id = row.parent_node_id
    node.node_type = row.node_type
    node.agent = row.agent
    node.status = row.status
    node.ended = row.end_time_unix_nano is not None
    if row.start_time_unix_nano is not None and row.span_id is not None:
        node.start = (row.start_time_unix_nano, row.span_id)
    node.attempt = row.attempt
    node.has_event = row.event_id is not None
    node.depth = row.depth
    node.order_index = row.order_index
    node.stored = Stored(
        row.run_id,
        row.parent_node_id,
        row.depth,
        row.order_index,
        dict(node.meta),
        node.sibling_group,
        row.step_id if node.is_step else None,
    )
    return node
