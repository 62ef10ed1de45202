"""From records to rows, in the order of their columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cmbagent_otel.graph.record import CostRecord, EdgeRecord, EventRecord, FileRecord
from cmbagent_otel.graph.sanitize import MAX_INTEGER, json_text
from cmbagent_otel.semconv import NodeType, Status
from cmbagent_otel.store.bulk import Row
from cmbagent_otel.store.fragment import Context, Node

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)

NODE = (
    "id", "run_id", "session_id", "parent_node_id", "node_type", "agent", "status", "order_index", "depth", "meta",
    "trace_id", "span_id", "name", "start_time_unix_nano", "end_time_unix_nano", "input_tokens", "output_tokens",
    "cost_usd", "attempt",
)  # fmt: skip
NODE_KEEPS = frozenset({"id"})
EVENT = (
    "id", "run_id", "node_id", "step_id", "session_id", "parent_event_id", "event_type", "event_subtype",
    "agent_name", "agent_role", "timestamp", "started_at", "completed_at", "duration_ms", "inputs", "outputs",
    "error_message", "meta", "execution_order", "depth", "status", "trace_id", "span_id",
)  # fmt: skip
EVENT_KEEPS = frozenset({"id", "execution_order"})
EDGE = ("from_node_id", "to_node_id", "dependency_type", "condition", "run_id")
COST = (
    "run_id", "step_id", "session_id", "model", "agent_name", "prompt_tokens", "completion_tokens", "total_tokens",
    "cost_usd", "timestamp", "source_id",
)  # fmt: skip
FILE = (
    "id", "run_id", "session_id", "step_id", "event_id", "node_id", "file_path", "file_type", "size_bytes",
    "created_at", "is_final_output", "content_hash", "generating_agent", "source_id",
)  # fmt: skip


def moment(nanoseconds: int) -> datetime:
    """UTC without a zone, to the microsecond."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _moment_text(nanoseconds: int) -> str:
    return moment(nanoseconds).isoformat(" ", "microseconds")


def _microseconds(nanoseconds: int) -> int:
    return nanoseconds // 1000


class Place(NamedTuple):
    """Where the rows of one node belong."""

    session_id: str
    own: Context


def main_depth(own: Context) -> int:
    """The depth of a node's main event; 0 while it is not known."""
    return max(own.event_depth, 0)


def inner_depth(own: Context) -> int:
    """The depth of a node's other events, which stand under the main one."""
    return own.event_depth + 1


class Rows:
    """Makes rows in the form that :mod:`~cmbagent_otel.store.bulk` takes for a dialect."""

    def __init__(self, dialect: str) -> None:
        self._moment: Callable[[int], Any] = _microseconds if dialect == "postgresql" else _moment_text

    def now(self, at: datetime) -> Any:
        """The time ``at``, of any zone."""
        return self._moment(int(at.timestamp() * 1_000_000) * 1000)

    def node(self, node: Node, session_id: str) -> Row:
        """A row of ``dag_nodes``, in the order of ``NODE``."""
        record = node.record
        head = (node.id, node.run_id, session_id, node.parent_id)
        if record is None:
            place = (NodeType.PLACEHOLDER, None, Status.PENDING, 0, None, None)
            return (*head, *place, None, None, None, None, None, None, None, None, None)
        return (
            *head,
            record.node_type,
            record.agent,
            record.status,
            node.order_index,
            node.depth,
            json_text(node.meta),
            record.trace_id,
            record.span_id,
            record.name,
            record.start_time_unix_nano,
            record.end_time_unix_nano,
            record.input_tokens,
            record.output_tokens,
            record.cost_usd,
            record.attempt,
        )

    def event(self, event: EventRecord, place: Place, execution_order: int) -> Row:
        """A row of ``execution_events``, in the order of ``EVENT``."""
        is_main = event.id == event.node_id
        start, end = event.start_time_unix_nano, event.end_time_unix_nano
        own = place.own
        return (
            event.id,
            own.run_id,
            event.node_id,
            own.step_id,
            place.session_id,
            own.parent_event_id if is_main else own.event_id,
            event.event_type,
            event.event_subtype,
            event.agent_name,
            event.agent_role,
            self._moment(event.time_unix_nano),
            None if start is None else self._moment(start),
            None if end is None else self._moment(end),
            None if start is None or end is None else min(max(end - start, 0) // 1_000_000, MAX_INTEGER),
            None if event.inputs is None else json_text(event.inputs),
            None if event.outputs is None else json_text(event.outputs),
            event.error_message,
            json_text(event.meta),
            execution_order,
            main_depth(own) if is_main else inner_depth(own),
            event.status,
            event.trace_id,
            event.span_id,
        )

    def edge(self, edge: EdgeRecord, run_id: str) -> Row:
        """A row of ``dag_edges``, in the order of ``EDGE``."""
        return (edge.from_node_id, edge.to_node_id, edge.dependency_type, edge.condition, run_id)

    def cost(self, cost: CostRecord, place: Place) -> Row:
        """A row of ``cost_records``, in the order of ``COST``."""
        return (
            place.own.run_id,
            place.own.step_id,
            place.session_id,
            cost.model,
            cost.agent_name,
            cost.prompt_tokens,
            cost.completion_tokens,
            min(cost.prompt_tokens + cost.completion_tokens, MAX_INTEGER),
            round(cost.cost_usd or 0.0, 6),
            self._moment(cost.time_unix_nano),
            cost.source_id,
        )

    def file(self, file: FileRecord, place: Place, event_id: str | None) -> Row:
        """A row of ``files``, in the order of ``FILE``."""
        return (
            file.source_id,
            place.own.run_id,
            place.session_id,
            place.own.step_id,
            event_id,
            file.node_id,
            file.file_path,
            file.file_type,
            file.size_bytes,
            self._moment(file.time_unix_nano),
            False,
            file.content_hash,
            file.agent_name,
            file.source_id,
        )
