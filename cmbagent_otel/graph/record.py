"""The graph's own records: what the mapping makes of one span, in the order of the tables' columns.

They hold only what one span alone can tell. What needs the tree (depth, step, order, the run of a span
that names none, parents of events) is settled by the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class NodeRecord(NamedTuple):
    """A row of ``dag_nodes`` as far as one span tells it."""

    id: str
    run_id: str
    """The run named by the span, else the trace id as a UUID."""
    run_is_stated: bool
    """False where the span names no run; the store then takes its parent's."""
    parent_node_id: str | None
    parent_is_remote: bool
    node_type: str
    agent: str | None
    status: str
    meta: Mapping[str, Any]
    trace_id: str
    span_id: str
    name: str
    start_time_unix_nano: int
    end_time_unix_nano: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    attempt: int | None


class EdgeRecord(NamedTuple):
    """A row of ``dag_edges``; always stated by the span at its ``to`` end."""

    from_node_id: str
    to_node_id: str
    run_id: str
    dependency_type: str
    condition: str | None


class EventRecord(NamedTuple):
    """A row of ``execution_events`` as far as one span tells it.

    A node's main event has the node's own id; its parent event is therefore the nearest ancestor node
    that has one.
    """

    id: str
    node_id: str
    run_id: str
    event_type: str
    event_subtype: str
    status: str
    time_unix_nano: int
    trace_id: str
    span_id: str
    agent_name: str | None = None
    agent_role: str | None = None
    start_time_unix_nano: int | None = None
    end_time_unix_nano: int | None = None
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    error_message: str | None = None
    meta: Mapping[str, Any] = {}


class CostRecord(NamedTuple):
    """A row of ``cost_records``: one ended LLM call, with the tokens that its span states."""

    source_id: str
    """The node id of the call."""
    run_id: str
    model: str
    agent_name: str | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    time_unix_nano: int


class FileRecord(NamedTuple):
    """A row of ``files``: one file that a code execution created or changed."""

    source_id: str
    node_id: str
    event_id: str
    """Of its own ``file_gen`` event."""
    run_id: str
    file_path: str
    file_type: str
    size_bytes: int | None
    content_hash: str | None
    agent_name: str | None
    time_unix_nano: int


class SpanGraph(NamedTuple):
    """All that the mapping makes of one span."""

    node: NodeRecord
    edges: tuple[EdgeRecord, ...] = ()
    events: tuple[EventRecord, ...] = ()
    costs: tuple[CostRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
