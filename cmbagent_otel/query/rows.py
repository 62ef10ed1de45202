"""What is read of a run: plain rows, in the words of the tables. Times are nanoseconds since the epoch, UTC."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class RunRow(NamedTuple):
    """A row of ``workflow_runs``."""

    id: str
    session_id: str
    mode: str
    status: str
    started_unix_nano: int | None = None
    completed_unix_nano: int | None = None
    heartbeat_unix_nano: int | None = None
    task: str | None = None
    meta: Mapping[str, Any] = {}

    @property
    def title(self) -> str:
        """The first line of the task, else the workflow's name."""
        for line in (self.task or "").splitlines():
            if line.strip():
                return line.strip()
        return self.mode


class NodeRow(NamedTuple):
    """A row of ``dag_nodes``; its ``meta`` travels apart."""

    id: str
    parent_node_id: str | None
    node_type: str
    agent: str | None
    status: str
    order_index: int | None = None
    trace_id: str | None = None
    span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: int | None = None
    end_time_unix_nano: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    attempt: int | None = None


def children_of(nodes: Iterable[NodeRow]) -> Mapping[str | None, list[NodeRow]]:
    """The children of each node by its id, and under None those that have no parent."""
    children: defaultdict[str | None, list[NodeRow]] = defaultdict(list)
    for node in nodes:
        children[node.parent_node_id].append(node)
    return children


class EdgeRow(NamedTuple):
    """A row of ``dag_edges``."""

    from_node_id: str
    to_node_id: str
    dependency_type: str
    condition: str | None = None


class EventRow(NamedTuple):
    """A row of ``execution_events``, content included."""

    id: str
    node_id: str | None
    event_type: str
    event_subtype: str | None
    agent_name: str | None
    time_unix_nano: int | None
    duration_ms: int | None
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    error_message: str | None
    meta: Mapping[str, Any]
    status: str
    execution_order: int | None


class FileRow(NamedTuple):
    """A row of ``files``."""

    id: str
    node_id: str | None
    file_path: str
    file_type: str
    size_bytes: int | None
    content_hash: str | None


class RunGraph(NamedTuple):
    """All rows of a run's graph, as the read model takes them."""

    run: RunRow
    nodes: tuple[NodeRow, ...]
    edges: tuple[EdgeRow, ...] = ()
    metas: Mapping[str, Mapping[str, Any]] = {}
    """``meta`` by node id, of the nodes whose columns alone do not say what they are."""
