"""Repairs: what no database takes is made into something that says the same as nearly as can be.

NUL and lone surrogates become the replacement character, names that are too long are cut and marked, ids that
are too long become a UUID of them, numbers and times are kept within what a column holds.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import orjson

from cmbagent_otel.graph.record import CostRecord, EdgeRecord, EventRecord, FileRecord, NodeRecord, SpanGraph
from cmbagent_otel.graph.values import derived_id

MAX_INTEGER = 2**31 - 1
MAX_BIG_INTEGER = 2**63 - 1
MAX_COST_USD = 9999.999999

_ID = 36
_TYPE = 50
_AGENT = 100
_CUT = "…"
_REPLACEMENT = "\ufffd"


def repair(graph: SpanGraph) -> SpanGraph:
    """The same graph with values that both databases take; its JSON is for :func:`json_text`."""
    return SpanGraph(
        _node(graph.node),
        tuple(map(_edge, graph.edges)) if graph.edges else (),
        tuple(map(_event, graph.events)) if graph.events else (),
        tuple(map(_cost, graph.costs)) if graph.costs else (),
        tuple(map(_file, graph.files)) if graph.files else (),
    )


# Nodes and events are many, and hardly any needs a repair: that is seen at once. What does is made anew field by field:
# to replace most fields of a tuple takes four times as long.


def _is_sound_node(node: NodeRecord) -> bool:
    own_id, run_id, _, parent_id, _, node_type, agent, _, _, trace_id, span_id, title = node[:12]
    start, end, input_tokens, output_tokens, cost, attempt = node[12:]
    return (
        _is_plain(f"{own_id}{run_id}{parent_id}{node_type}{agent}{trace_id}{span_id}{title}")
        and len(own_id) <= _ID
        and len(run_id) <= _ID
        and (parent_id is None or len(parent_id) <= _ID)
        and len(node_type) <= _TYPE
        and (agent is None or len(agent) <= _AGENT)
        and 0 <= start <= MAX_BIG_INTEGER
        and (end is None or 0 <= end <= MAX_BIG_INTEGER)
        and (input_tokens is None or -MAX_BIG_INTEGER <= input_tokens <= MAX_BIG_INTEGER)
        and (output_tokens is None or -MAX_BIG_INTEGER <= output_tokens <= MAX_BIG_INTEGER)
        and (cost is None or -MAX_COST_USD <= cost <= MAX_COST_USD)
        and (attempt is None or -MAX_INTEGER <= attempt <= MAX_INTEGER)
    )


def _is_sound_event(event: EventRecord) -> bool:
    own_id, node_id, _, event_type, subtype, _, at, trace_id, span_id, agent, role, start, end, _, _, error, _ = event
    return (
        _is_plain(f"{own_id}{node_id}{event_type}{subtype}{trace_id}{span_id}{agent}{role}{error}")
        and len(own_id) <= _ID
        and len(node_id) <= _ID
        and len(event_type) <= _TYPE
        and len(subtype) <= _TYPE
        and (agent is None or len(agent) <= _AGENT)
        and (role is None or len(role) <= _TYPE)
        and 0 <= at <= MAX_BIG_INTEGER
        and (start is None or 0 <= start <= MAX_BIG_INTEGER)
        and (end is None or 0 <= end <= MAX_BIG_INTEGER)
    )


def _is_plain(joined: str) -> bool:
    return joined.isascii() and "\0" not in joined


def _node(node: NodeRecord) -> NodeRecord:
    if _is_sound_node(node):
        return node
    return NodeRecord(
        identifier(node.id),
        identifier(node.run_id),
        node.run_is_stated,
        None if node.parent_node_id is None else identifier(node.parent_node_id),
        node.parent_is_remote,
        name(node.node_type, _TYPE),
        None if node.agent is None else name(node.agent, _AGENT),
        node.status,
        node.meta,
        text(node.trace_id),
        text(node.span_id),
        text(node.name),
        moment(node.start_time_unix_nano),
        None if node.end_time_unix_nano is None else moment(node.end_time_unix_nano),
        None if node.input_tokens is None else number(node.input_tokens, MAX_BIG_INTEGER),
        None if node.output_tokens is None else number(node.output_tokens, MAX_BIG_INTEGER),
        None if node.cost_usd is None else money(node.cost_usd),
        None if node.attempt is None else number(node.attempt, MAX_INTEGER),
    )


def _edge(edge: EdgeRecord) -> EdgeRecord:
    return EdgeRecord(
        identifier(edge.from_node_id),
        identifier(edge.to_node_id),
        edge.run_id,
        name(edge.dependency_type, _TYPE),
        None if edge.condition is None else text(edge.condition),
    )


def _event(event: EventRecord) -> EventRecord:
    if _is_sound_event(event):
        return event
    start, end = event.start_time_unix_nano, event.end_time_unix_nano
    return EventRecord(
        identifier(event.id),
        identifier(event.node_id),
        event.run_id,
        name(event.event_type, _TYPE),
        name(event.event_subtype, _TYPE),
        event.status,
        moment(event.time_unix_nano),
        text(event.trace_id),
        text(event.span_id),
        None if event.agent_name is None else name(event.agent_name, _AGENT),
        None if event.agent_role is None else name(event.agent_role, _TYPE),
        None if start is None else moment(start),
        None if end is None else moment(end),
        event.inputs,
        event.outputs,
        None if event.error_message is None else text(event.error_message),
        event.meta,
    )


def _cost(cost: CostRecord) -> CostRecord:
    return CostRecord(
        identifier(cost.source_id),
        cost.run_id,
        name(cost.model, _AGENT),
        None if cost.agent_name is None else name(cost.agent_name, 2 * _AGENT),
        number(cost.prompt_tokens, MAX_INTEGER),
        number(cost.completion_tokens, MAX_INTEGER),
        None if cost.cost_usd is None else money(cost.cost_usd),
        moment(cost.time_unix_nano),
    )


def _file(file: FileRecord) -> FileRecord:
    return FileRecord(
        identifier(file.source_id),
        identifier(file.node_id),
        identifier(file.event_id),
        file.run_id,
        name(file.file_path, 1000),
        name(file.file_type, _TYPE),
        None if file.size_bytes is None else number(file.size_bytes, MAX_BIG_INTEGER),
        None if file.content_hash is None else name(file.content_hash, 64),
        None if file.agent_name is None else name(file.agent_name, _AGENT),
        moment(file.time_unix_nano),
    )


def text(value: str) -> str:
    """``value`` with the replacement character where it holds NUL or half of a surrogate pair."""
    if "\0" in value:
        value = value.replace("\0", _REPLACEMENT)
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        # A pair of halves is one character; what then is left alone is none.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def name(value: str, limit: int) -> str:
    """``value`` as :func:`text`, with at most ``limit`` characters and a mark where it was cut."""
    value = text(value)
    return value if len(value) <= limit else value[: limit - 1] + _CUT


def identifier(value: str) -> str:
    """``value`` where it fits a column of ids, else a UUID made of it."""
    return text(value) if len(value) <= _ID else derived_id(value, "id")


def moment(nanoseconds: int) -> int:
    """Nanoseconds since the epoch, between 1970 and what 63 bits hold (2262)."""
    return nanoseconds if 0 <= nanoseconds <= MAX_BIG_INTEGER else min(max(nanoseconds, 0), MAX_BIG_INTEGER)


def number(value: int, limit: int) -> int:
    """``value`` between ``-limit`` and ``limit``."""
    return value if -limit <= value <= limit else min(max(value, -limit), limit)


def money(value: float) -> float | None:
    """An amount that a cost column holds; None where it is no number."""
    if not math.isfinite(value):
        return None
    return min(max(value, -MAX_COST_USD), MAX_COST_USD)


def json_text(value: Any) -> str:
    """``value`` as JSON that both databases take.

    NaN and infinity are null, bytes base64, integers of more than 64 bits and things of other types their text.
    """
    try:
        encoded = orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_plain(value, 0)).decode()
    if b"\\u0000" in encoded:
        return orjson.dumps(_plain(value, 0)).decode()
    return encoded.decode()


_DEEPEST = 100


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -MAX_BIG_INTEGER <= value <= 2 * MAX_BIG_INTEGER + 1:
        return value
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _plain_items(value, depth + 1) if depth < _DEEPEST else _CUT
    return text(str(value))


def _plain_items(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {text(str(key)): _plain(item, depth) for key, item in value.items()}
    return [_plain(item, depth) for item in value]
