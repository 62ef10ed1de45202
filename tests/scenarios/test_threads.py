"""Threads and tasks: AG2's own stay in the trace, the program's in its workflow."""

from __future__ import annotations

import pytest

import cmbagent_otel as otel
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.semconv import NodeKind
from tests.scenarios.programs import chats, groups, threads
from tests.scenarios.stage import Perform, Play, Recorder
from tests.scenarios.trace import Trace, lines
from tests.scenarios.world import Program


def test_chat_in_ag2s_own_thread_is_as_in_the_programs(play: Play) -> None:
    assert play(threads.chat_in_the_background).trace.outline() == lines("""
        invoke_workflow adder
          invoke_agent adder
            chat gpt-4o-mini
            execute_tool add
          invoke_agent user
          invoke_agent adder
            chat gpt-4o-mini
    """)


@pytest.mark.parametrize("program", [threads.chat_in_the_background, threads.group_in_the_background], ids=str)
def test_thread_of_ag2_stays_under_the_block_that_started_it(
    hooks: AutogenInstrumentor, recorder: Recorder, perform: Perform, program: Program
) -> None:
    del hooks
    with otel.workflow("outer"), otel.workflow("inner"):  # two are open: there is nothing to fall back on
        perform(program)
    trace = Trace(recorder.ended)
    assert len(trace.roots) == 1
    assert [trace.parent_of(span) for span in trace.of(NodeKind.CHAT)] == ["invoke_workflow inner"]


@pytest.mark.parametrize("program", [threads.chats_in_a_thread_pool, threads.chats_side_by_side], ids=str)
def test_chats_of_the_programs_own_threads_and_tasks_are_one_trace_within_a_workflow(
    hooks: AutogenInstrumentor, recorder: Recorder, perform: Perform, program: Program
) -> None:
    del hooks
    with otel.workflow("survey"):
        perform(program)
    trace = Trace(recorder.ended)
    assert len(trace.roots) == 1
    assert [trace.parent_of(span) for span in trace.of(NodeKind.CHAT)] == ["invoke_workflow survey"] * 3


@pytest.mark.parametrize("program", [threads.chats_in_a_thread_pool, threads.chats_side_by_side], ids=str)
def test_chats_at_once_do_not_mix(play: Play, program: Program) -> None:
    trace = play(program).trace
    assert trace.outline() == "\n".join(
        line
        for number in sorted(range(3), key=lambda n: trace.named(f"invoke_workflow worker_{n}").start_time or 0)
        for line in (
            f"invoke_workflow worker_{number}",
            f"  invoke_agent worker_{number}",
            "    chat gpt-4o-mini",
        )
    )


def test_agents_asked_at_once_by_an_async_tool_hang_under_it(play: Play) -> None:
    trace = play(threads.agents_asked_at_once_by_an_async_tool).trace
    helpers = [span for span in trace.of(NodeKind.AGENT) if "helper" in span.name]
    assert [trace.parent_of(span) for span in helpers] == ["execute_tool ask_three"] * 3


@pytest.mark.parametrize(
    "program",
    [chats.two_agents_with_a_tool_async, groups.group_led_by_a_model_async, groups.handoffs_of_each_kind_async],
    ids=str,
)
def test_async_chat_is_one_trace_under_a_workflow(
    hooks: AutogenInstrumentor, recorder: Recorder, perform: Perform, program: Program
) -> None:
    del hooks
    with otel.workflow("outer"), otel.workflow("inner"):
        perform(program)
    assert len(Trace(recorder.ended).roots) == 1
