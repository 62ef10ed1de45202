"""Every scenario's trace becomes a sound graph, in whatever order its records come."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import Engine, text

import cmbagent_otel as otel
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.spans.from_sdk import from_sdk
from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store.writer import Writer
from tests.invariants import broken_invariants, check_invariants
from tests.scenarios import programs
from tests.scenarios.observed import Observed
from tests.scenarios.programs import groups
from tests.scenarios.stage import Perform, Recorder
from tests.scenarios.trace import Trace
from tests.scenarios.world import PROGRAMS

assert programs.__all__


def delivered(ended: list[SpanRecord]) -> list[SpanRecord]:
    """Start records and ended spans, shuffled."""
    started = [record._replace(end_time_unix_nano=None, status="UNSET", events=()) for record in ended]
    mixed = [*started, *ended]
    random.Random(len(mixed)).shuffle(mixed)
    return mixed


@pytest.mark.timeout(300)
def test_graph_of_every_scenario_is_sound(observed: Observed, engine: Engine) -> None:
    assert set(observed.spans) == set(PROGRAMS)
    written = 0
    for name, spans in observed.spans.items():
        Writer(engine).write(delivered(spans))
        assert broken_invariants(engine) == {}, name
        written += len(spans)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT COUNT(*) FROM dag_nodes")) == written, name


def test_rows_hold_each_model_call_message_and_handoff_once(
    hooks: AutogenInstrumentor, recorder: Recorder, perform: Perform, engine: Engine
) -> None:
    del hooks
    with otel.workflow("make_a_program"), otel.phase("control"), otel.step(1):
        _, world = perform(groups.handoffs_of_each_kind)
    trace = Trace(recorder.ended)
    spans = [record for span in recorder.ended if (record := from_sdk(span)) is not None]
    for _ in range(2):
        Writer(engine).write(delivered(spans))
    check_invariants(engine)

    def count(statement: str) -> int:
        with engine.connect() as connection:
            return int(connection.scalar(text(statement)) or 0)

    assert count("SELECT COUNT(*) FROM cost_records") == len(world.server.requests)
    assert count("SELECT SUM(input_tokens) FROM dag_nodes") == world.server.billed.input_tokens
    assert count("SELECT COUNT(*) FROM execution_events WHERE event_subtype = 'message'") == len(trace.messages)
    assert count("SELECT COUNT(*) FROM execution_events WHERE event_type = 'handoff'") == len(trace.handoffs) == 4
    assert count("SELECT COUNT(*) FROM dag_edges WHERE dependency_type = 'handoff'") == 4
