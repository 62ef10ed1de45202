"""Contract tests of the hooks for the fork's PhaseExecutionManager, against a re-enactment of its interface."""

from __future__ import annotations

import asyncio
import functools
import sys
import types
from typing import Any

import pytest
from autogen import ConversableAgent

import cmbagent_otel as otel
from cmbagent_otel import content, semconv
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.scope import id_of
from cmbagent_otel.semconv import NodeKind, NodeType
from tests.cmbagent import reenactment
from tests.cmbagent.reenactment import CMBAgent, PhaseExecutionManager, WorkflowExecutor, new_context, new_phase, turn
from tests.cmbagent.stage import facts, installed, steps
from tests.scenarios.stage import Recorder
from tests.scenarios.trace import Trace, attribute, lines


def chat_of(*agents: str) -> CMBAgent:
    def chat(_: dict[str, Any]) -> None:
        for agent in agents:
            turn(agent)

    cmbagent = CMBAgent(managed_mode=True)
    cmbagent.chat = chat
    return cmbagent


def outline(recorder: Recorder) -> str:
    return Trace(recorder.ended).outline()


def test_lifecycle_of_the_manager_is_phase_and_steps(recorder: Recorder) -> None:
    manager = PhaseExecutionManager(new_context(), new_phase("control"))
    manager.start()
    for number in (1, 2):
        manager.start_step(number, "Compute")
        chat_of("engineer", "control").solve("task", initial_agent="control", step=number)
        manager.complete_step(number, "Done")
    assert manager.complete({"answer": 1}).output_data == {"answer": 1}
    assert outline(recorder) == lines("""
        invoke_workflow deep_research
          phase control
            step 1
              invoke_agent engineer
              invoke_agent control
            step 2
              invoke_agent engineer
              invoke_agent control
    """)
    first, second = steps(Trace(recorder.ended))
    assert attribute(second, semconv.DAG_DEPENDS_ON) == (id_of(first.context),)


def test_run_and_session_are_those_of_the_context(recorder: Recorder) -> None:
    context = new_context("11111111-2222-3333-4444-555555555555", {"_session_id": "lab"})
    with PhaseExecutionManager(context, new_phase("planning")) as manager:
        manager.complete()
    with PhaseExecutionManager(context, new_phase("control")) as manager:
        manager.complete()
    trace = Trace(recorder.ended)
    assert {attribute(span, semconv.RUN_ID) for span in trace.spans} == {"11111111-2222-3333-4444-555555555555"}
    assert [attribute(span, semconv.SESSION_ID) for span in trace.roots] == ["lab", "lab"]


def test_executor_makes_one_trace_of_its_phases(recorder: Recorder) -> None:
    async def phase(context: Any) -> None:
        await asyncio.sleep(0)
        with PhaseExecutionManager(context, new_phase("control")) as manager:
            manager.complete()

    executor = WorkflowExecutor(
        reenactment.new_workflow("Deep Research"), "task", [phase, phase], {"_session_id": "lab"}
    )
    context = asyncio.run(executor.run())
    trace = Trace(recorder.ended)
    assert trace.outline() == lines("""
        invoke_workflow Deep Research
          phase control
          phase control
    """)
    assert attribute(trace.roots[0], semconv.RUN_ID) == context.run_id
    assert attribute(trace.roots[0], semconv.SESSION_ID) == "lab"


def test_executions_that_fail_within_a_step_are_redos_by_failure(recorder: Recorder) -> None:
    def chat(variables: dict[str, Any]) -> None:
        turn("engineer")
        variables["n_attempts"] += 1
        turn("engineer")
        turn("control")

    cmbagent = CMBAgent(managed_mode=True)
    cmbagent.chat = chat
    with PhaseExecutionManager(new_context(), new_phase("control", max_n_attempts=3)) as manager:
        manager.start_step(1, "Compute")
        cmbagent.solve("task", shared_context={"agent_for_sub_task": "engineer"}, step=1)
        manager.complete_step(1)
        manager.complete()
    assert [facts(span) for span in steps(Trace(recorder.ended))] == [
        {"number": 1, "attempt": 1, "name": "engineer", "type": "execution_failed"},
        {"number": 1, "attempt": 2, "name": "engineer", "reason": "failure"},
    ]


def test_solve_that_raises_and_is_called_again_is_a_redo_by_failure(recorder: Recorder) -> None:
    def chat(_: dict[str, Any]) -> None:
        turn("engineer")
        raise ConnectionError

    broken = CMBAgent(managed_mode=True)
    broken.chat = chat
    with PhaseExecutionManager(new_context(), new_phase("control")) as manager:
        manager.start_step(1, "Compute")
        with pytest.raises(ConnectionError):
            broken.solve("task", step=1)
        chat_of("engineer").solve("task", step=1)
        manager.complete_step(1)
        manager.complete()
    assert [facts(span) for span in steps(Trace(recorder.ended))] == [
        {"number": 1, "attempt": 1, "type": "ConnectionError"},
        {"number": 1, "attempt": 2, "reason": "failure"},
    ]


@pytest.mark.parametrize(("gate", "hypothesis"), [(False, "Redo attempt 1"), (True, "Deconvolve the beam")])
def test_step_that_a_person_sends_back_is_a_redo_by_feedback(recorder: Recorder, gate: bool, hypothesis: str) -> None:
    content.configure(recorded=gate, on_spans=gate, limit=65536)
    phase = new_phase("hitl_control", max_redos=2, max_n_attempts=3)
    with PhaseExecutionManager(new_context(), phase) as manager:
        manager.start_step(1, "Compute")
        chat_of("engineer").solve("task", step=1)
        phase._accumulated_feedback = "Deconvolve the beam"
        chat_of("engineer").solve("task", step=1)
        manager.complete_step(1)
        manager.complete()
    first, second = steps(Trace(recorder.ended))
    assert facts(first) == {"number": 1, "attempt": 1}
    assert facts(second) == {"number": 1, "attempt": 2, "reason": "feedback"}
    assert attribute(second, semconv.REDO_HYPOTHESIS) == hypothesis
    assert attribute(second, semconv.REDO_SOURCE) == id_of(first.context)


@pytest.mark.parametrize(("gate", "said"), [(False, None), (True, "rejected: Deconvolve the beam")])
def test_approval_that_a_phase_waits_for_is_a_node_of_its_step(recorder: Recorder, gate: bool, said: str) -> None:
    content.configure(recorded=gate, on_spans=gate, limit=65536)
    approvals = reenactment.WebSocketApprovalManager()

    async def execute() -> None:
        with PhaseExecutionManager(new_context(), new_phase("hitl_control")) as manager:
            manager.start_step(1, "Compute")
            assert await approvals.wait_for_approval_async("a") is reenactment.DECIDED
            with pytest.raises(TimeoutError):
                approvals.wait_for_approval("never")
            manager.complete_step(1)
            manager.complete()

    asyncio.run(execute())
    trace = Trace(recorder.ended)
    assert trace.outline() == lines("""
        invoke_workflow deep_research
          phase hitl_control
            step 1
              await_human_input admin
              await_human_input admin ! TimeoutError
    """)
    decided, waited = trace.of(NodeKind.APPROVAL)
    assert attribute(decided, semconv.HUMAN_RESPONSE) == said
    assert attribute(waited, semconv.HUMAN_RESPONSE) is None


def test_redo_branch_and_the_chat_after_it_are_one_redo(recorder: Recorder) -> None:
    with PhaseExecutionManager(new_context(), new_phase("hitl_control")) as manager:
        manager.start_step(1, "Compute")
        chat_of("engineer").solve("task", step=1)
        assert manager.create_redo_branch(1, 1, "Deconvolve the beam") is None
        chat_of("engineer").solve("task", step=1)
        manager.complete_step(1)
        manager.complete()
    assert [span.name for span in steps(Trace(recorder.ended))] == ["step 1", "step 1 redo 1"]


def test_steps_past_the_forks_own_limits_are_marked_and_not_refused(recorder: Recorder) -> None:
    with PhaseExecutionManager(new_context(), new_phase("control", max_redos=1)) as manager:
        manager.start_step(1, "Compute")
        manager.create_redo_branch(1, 1)
        manager.create_redo_branch(1, 2)
        manager.complete_step(1)
        manager.complete()
    assert [facts(span).get("over_limit") for span in steps(Trace(recorder.ended))] == [None, None, True]


def test_sub_agent_is_a_node_under_its_step(recorder: Recorder) -> None:
    with PhaseExecutionManager(new_context(), new_phase("control")) as manager:
        manager.start_step(1, "Compute")
        manager.record_sub_agent_call(1, "plot_judge", "judge", {"figure": 1})
        manager.complete_step(1)
        manager.complete()
    trace = Trace(recorder.ended)
    (judge,) = trace.of(NodeKind.AGENT)
    assert trace.parent_of(judge) == "step 1"
    assert attribute(judge, semconv.NODE_TYPE) == NodeType.SUB_AGENT
    assert attribute(judge, semconv.AGENT_ACTION) == "judge"


def test_plan_is_told_by_its_number_of_steps(recorder: Recorder) -> None:
    with PhaseExecutionManager(new_context(), new_phase("planning")) as manager:
        manager.add_plan_step_nodes([{"sub_task": "Compute"}, {"sub_task": "Interpret"}])
        manager.complete()
    (phase,) = Trace(recorder.ended).of(NodeKind.PHASE)
    assert attribute(phase, semconv.PLAN_STEPS) == 2
    assert "Interpret" not in phase.to_json()


def test_failed_step_and_failed_phase_are_errors_and_their_words_content(recorder: Recorder) -> None:
    manager = PhaseExecutionManager(new_context(), new_phase("control"))
    manager.start()
    manager.start_step(1, "Compute")
    manager.fail_step(1, "the beam is missing")
    assert manager.fail("step 1 failed").status == "failed"
    assert outline(recorder) == lines("""
        invoke_workflow deep_research
          phase control ! phase_failed
            step 1 ! step_failed
    """)
    assert "beam" not in "".join(span.to_json() for span in recorder.ended)


def test_exception_in_the_block_of_the_manager_fails_the_phase(recorder: Recorder) -> None:
    def execute() -> None:
        with PhaseExecutionManager(new_context(), new_phase("control")) as manager:
            manager.start_step(1, "Compute")
            raise KeyError

    with pytest.raises(KeyError):
        execute()
    assert "phase control ! phase_failed" in outline(recorder)


def test_step_that_nobody_ended_was_cut_off_and_one_passed_over_was_not(recorder: Recorder) -> None:
    with PhaseExecutionManager(new_context(), new_phase("control")) as manager:
        manager.start_step(1, "Compute")
        manager.start_step(2, "Interpret")
        manager.complete()
    assert [facts(span).get("type") for span in steps(Trace(recorder.ended))] == [None, "interrupted"]


def test_one_shot_phase_without_steps_of_its_manager_takes_those_of_the_chat(recorder: Recorder) -> None:
    with PhaseExecutionManager(new_context(), new_phase("one_shot")) as manager:
        shared = {"current_plan_step_number": 1, "current_status": "In progress"}
        chat_of("engineer", "terminator").solve("task", mode="one_shot", shared_context=shared)
        manager.complete()
    assert outline(recorder) == lines("""
        invoke_workflow deep_research
          phase one_shot
            step 1
              invoke_agent engineer
            invoke_agent terminator
    """)


def test_manager_within_a_workflow_of_the_program_joins_its_run(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    manager = PhaseExecutionManager(new_context(), new_phase("control"))
    with otel.workflow("mine") as mine, manager:
        manager.start_step(1, "Compute")
        chat_of("engineer").solve("task", step=1)
        manager.complete_step(1)
        manager.complete()
    trace = Trace(recorder.ended)
    assert {attribute(span, semconv.RUN_ID) for span in trace.spans} == {mine.run_id}
    assert len(trace.roots) == 1
    assert f"joined run {mine.run_id}" in caplog.text


@pytest.mark.usefixtures("recorder")
def test_managed_cmbagent_gets_its_parameters_unchanged() -> None:
    with PhaseExecutionManager(new_context(shared_state={"_session_id": "lab"}), new_phase("control")) as manager:
        cmbagent = CMBAgent(**manager.get_managed_cmbagent_kwargs())
        manager.complete()
    assert cmbagent.session_id == "lab"


def test_uninstrumented_manager_makes_no_spans() -> None:
    recorder = Recorder()
    with reenactment.imported():
        with installed(recorder):
            pass
        with PhaseExecutionManager(new_context(), new_phase("control")) as manager:
            manager.complete()
    assert recorder.begun == []


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_hooks_of_the_fork_itself_do_not_double_ours(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fork patches AG2's ``generate_reply`` by a plain wrapper, before or after ours is put in."""
    seen: list[str] = []
    # The first thing patched is the last one undone: what stands here now, not the hook that theirs is put round.
    monkeypatch.setattr(ConversableAgent, "generate_reply", ConversableAgent.generate_reply)

    def install_ag2_hooks() -> None:
        original = ConversableAgent.generate_reply

        @functools.wraps(original)
        def enhanced_generate_reply(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(self.name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(ConversableAgent, "generate_reply", enhanced_generate_reply)

    recorder = Recorder()
    if first == "theirs":
        install_ag2_hooks()
    with reenactment.imported(), installed(recorder):
        if first == "ours":
            install_ag2_hooks()
            AutogenInstrumentor()._install()
        listener = ConversableAgent("listener", llm_config=False, human_input_mode="NEVER", default_auto_reply="Yes.")
        speaker = ConversableAgent("speaker", llm_config=False, human_input_mode="NEVER", default_auto_reply="And?")
        speaker.initiate_chat(listener, message="Ready?", max_turns=2, silent=True)
    assert [span.name for span in Trace(recorder.ended).of(NodeKind.AGENT)] == [f"invoke_agent {name}" for name in seen]
    assert seen == ["listener", "speaker", "listener"]


def test_workflow_function_is_hooked_wherever_it_is_held_and_given_back() -> None:
    recorder = Recorder()
    program = types.ModuleType("a_users_program")
    program.__dict__["shoot"] = reenactment.one_shot
    sys.modules["a_users_program"] = program
    try:
        with reenactment.imported():
            held = sys.modules["cmbagent.workflows"]
            with installed(recorder):
                assert program.shoot("task", agent="researcher") == "researcher: task"
                assert held.one_shot("task") == "engineer: task"
            assert program.shoot is held.one_shot is reenactment.one_shot
    finally:
        del sys.modules["a_users_program"]
    roots = Trace(recorder.ended).roots
    assert [span.name for span in roots] == ["invoke_workflow one_shot"] * 2
    assert [attribute(span, semconv.AGENT_NAME) for span in roots] == ["researcher", "engineer"]


def test_call_that_python_refuses_is_refused_as_ever() -> None:
    recorder = Recorder()
    refused = pytest.raises(TypeError, match="unexpected keyword argument 'engineer'")
    with reenactment.imported(), installed(recorder), refused:
        sys.modules["cmbagent.workflows"].one_shot("task", engineer="me")
    assert recorder.begun == []
