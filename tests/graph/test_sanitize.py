"""Whatever a span says, its rows are such that both databases take them."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from cmbagent_otel.graph.record import EventRecord, NodeRecord, SpanGraph
from cmbagent_otel.graph.sanitize import MAX_BIG_INTEGER, MAX_COST_USD, MAX_INTEGER, repair

_WORDS = st.one_of(
    st.sampled_from(["a", "a" * 36, "a" * 37, "a" * 51, "a" * 101, "\0", "\ud800", "Ω", ""]),
    st.text(st.characters(exclude_categories=())),
)
_NUMBERS = st.one_of(st.integers(), st.integers(0, 2**31), st.sampled_from([2**31, 2**63, -(2**63), -1]))


def _or_none(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | values


_NODES = st.builds(
    NodeRecord,
    *(_WORDS, _WORDS, st.booleans(), _or_none(_WORDS), st.booleans(), _WORDS, _or_none(_WORDS)),
    *(st.just("completed"), st.just({}), _WORDS, _WORDS, _WORDS, _NUMBERS, _or_none(_NUMBERS)),
    *(_or_none(_NUMBERS), _or_none(_NUMBERS), _or_none(st.floats()), _or_none(_NUMBERS)),
)
_EVENTS = st.builds(
    EventRecord,
    *(_WORDS, _WORDS, _WORDS, _WORDS, _WORDS, st.just("completed"), _NUMBERS, _WORDS, _WORDS),
    *(_or_none(_WORDS), _or_none(_WORDS), _or_none(_NUMBERS), _or_none(_NUMBERS), st.none(), st.none()),
    *(_or_none(_WORDS), st.just({})),
)


@given(_NODES, _EVENTS)
def test_each_value_fits_its_column(node: NodeRecord, event: EventRecord) -> None:
    node, _, (event,), _, _ = repair(SpanGraph(node, events=(event,)))
    texts = [node.id, node.run_id, node.parent_node_id, node.node_type, node.agent]
    texts += [event.id, event.node_id, event.event_type, event.event_subtype, event.agent_name, event.agent_role]
    for value, limit in zip(texts, [36, 36, 36, 50, 100, 36, 36, 50, 50, 100, 50], strict=True):
        assert value is None or len(value) <= limit
    for value in (*texts, node.trace_id, node.span_id, node.name, event.trace_id, event.span_id, event.error_message):
        if value is not None:
            assert "\0" not in value
            value.encode()  # half of a surrogate pair raises
    times = (node.start_time_unix_nano, node.end_time_unix_nano, event.time_unix_nano)
    for moment in (*times, event.start_time_unix_nano, event.end_time_unix_nano):
        assert moment is None or 0 <= moment <= MAX_BIG_INTEGER
    for tokens in (node.input_tokens, node.output_tokens):
        assert tokens is None or abs(tokens) <= MAX_BIG_INTEGER
    assert node.attempt is None or abs(node.attempt) <= MAX_INTEGER
    assert node.cost_usd is None or (math.isfinite(node.cost_usd) and abs(node.cost_usd) <= MAX_COST_USD)


@given(_NODES, _EVENTS)
def test_what_was_repaired_needs_no_repair(node: NodeRecord, event: EventRecord) -> None:
    repaired = repair(SpanGraph(node, events=(event,)))
    assert repair(repaired) == repaired


def test_what_needs_no_repair_is_left_as_it_is() -> None:
    node = NodeRecord(
        *("id", "run", *(True, None, False), "agent", None, "completed", {}, "0" * 32, "0" * 16, "name"),
        *(1, 2, 3, 4, 0.5, 1),
    )
    assert repair(SpanGraph(node)).node is node
