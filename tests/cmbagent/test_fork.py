"""The hooks on the fork's own PhaseExecutionManager, and the re-enactment beside it, where the fork is at hand."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cmbagent_otel as otel
from cmbagent_otel import content, semconv
from cmbagent_otel.instrumentation import health
from cmbagent_otel.testing import Reply, ScriptedModelServer, call_tool, say
from cmbagent_otel.testing.script import by_agent
from tests.cmbagent import reenactment, scripts
from tests.cmbagent.stage import facts, installed, steps, surroundings
from tests.scenarios.stage import Recorder
from tests.scenarios.trace import Trace, attribute, lines

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]  # what the fork warns of is its own

_package = importlib.util.find_spec("cmbagent")
_folders = [Path(folder) for folder in (_package and _package.submodule_search_locations) or ()]
if not any((folder / "phases" / "execution_manager.py").exists() for folder in _folders):
    pytest.skip("not the fork: make test-cmbagent CMBAGENT_SOURCE=<a checkout of it>", allow_module_level=True)
# A fork that can't be imported fails here: what it lacks would else be told as a skip.
managers = importlib.import_module("cmbagent.phases.execution_manager")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    with installed(recorder):
        yield recorder
    assert health.health().faults == {}
    assert recorder.left_open == []


@pytest.fixture
def manager(tmp_path: Path) -> Any:
    from cmbagent.phases.base import PhaseContext
    from cmbagent.phases.hitl_control import HITLControlPhase, HITLControlPhaseConfig

    context = PhaseContext(
        workflow_id="deep_research",
        run_id=str(uuid.uuid4()),
        phase_id="p",
        task="Compute the spectrum",
        work_dir=str(tmp_path),
        shared_state={"_session_id": "lab"},
    )
    return managers.PhaseExecutionManager(
        context, HITLControlPhase(HITLControlPhaseConfig(max_redos=1, max_n_attempts=0))
    )


def with_manager_that_has(*methods: str) -> pytest.MarkDecorator:
    """For the states of the fork whose manager has these methods: the later one (1f77da3) lacks some of the earlier."""
    lacking = [method for method in methods if not hasattr(managers.PhaseExecutionManager, method)]
    return pytest.mark.skipif(
        bool(lacking), reason=f"the manager of this state of the fork has no {', '.join(lacking)}"
    )


def test_life_of_a_phase_is_phase_and_steps(recorder: Recorder, manager: Any) -> None:
    with manager:
        manager.start_step(1, "Compute")
        with otel.agent("engineer"):
            pass
        manager.complete_step(1, "Done")
        manager.start_step(2, "Interpret")
        manager.fail_step(2, "the beam is missing")
        manager.complete({"answer": 1})
    trace = Trace(recorder.ended)
    assert trace.outline() == lines("""
        invoke_workflow deep_research
          phase hitl_control
            step 1
              invoke_agent engineer
            step 2 ! step_failed
    """)
    assert {attribute(span, semconv.RUN_ID) for span in trace.spans} == {manager.context.run_id}
    assert [attribute(span, semconv.SESSION_ID) for span in trace.roots] == ["lab"]


@with_manager_that_has("create_redo_branch", "record_sub_agent_call")
def test_redo_branch_and_sub_agent_are_told_by_the_manager(recorder: Recorder, manager: Any) -> None:
    with manager:
        manager.start_step(1, "Compute")
        with otel.agent("engineer"):
            pass
        manager.create_redo_branch(1, 1, "Deconvolve the beam")
        with otel.agent("engineer"):
            pass
        manager.create_redo_branch(1, 2, "Deconvolve again")
        manager.record_sub_agent_call(1, "plot_judge", "judge", {"figure": 1})
        manager.complete_step(1, "Done")
        manager.complete({"answer": 1})
    trace = Trace(recorder.ended)
    assert trace.outline() == lines("""
        invoke_workflow deep_research
          phase hitl_control
            step 1
              invoke_agent engineer
            step 1 redo 1
              invoke_agent engineer
            step 1 redo 2
              invoke_agent plot_judge
    """)
    assert [facts(span).get("over_limit") for span in steps(trace)] == [None, None, True]


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("bs4", "markdownify", "pathvalidate", "pdfminer")),
    reason="the fork's agents want the extra of AG2 here: pip install 'ag2[websurfer]'",
)
def test_step_that_a_person_sends_back_is_done_again_by_the_forks_own_agents(
    recorder: Recorder, manager: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork's interactive phase itself: code fails, is sent back, fails, and runs."""
    from cmbagent.cmbagent import CMBAgent
    from cmbagent.database.websocket_approval_manager import WebSocketApprovalManager

    # Else questions that are alike are answered from the disk, and the script's order is lost.
    init = CMBAgent.__init__
    monkeypatch.setattr(CMBAgent, "__init__", lambda self, **given: init(self, **{**given, "cache_seed": None}))
    content.configure(recorded=True, on_spans=True, limit=65536)
    reviews = iter([("redo", "Use wavelets"), ("continue", None)])

    def ask(_: str, request: dict[str, Any]) -> None:
        threading.Timer(0.1, WebSocketApprovalManager.resolve, (request["approval_id"], *next(reviews))).start()

    context, phase = manager.context, manager.phase
    phase.config.approval_mode, phase.config.max_n_attempts = "after_step", 3
    context.api_keys = dict.fromkeys(("OPENAI", "GEMINI", "ANTHROPIC", "MISTRAL"), "sk-scripted")
    context.shared_state["_approval_manager"] = WebSocketApprovalManager(ask, context.run_id)
    context.input_data = {
        "final_plan": [{"sub_task": "Compute", "sub_task_agent": "engineer", "bullet_points": ["carefully"]}],
        "planning_context": {"number_of_steps_in_plan": 1, "agent_for_sub_task": "engineer", "max_n_attempts": 3},
    }
    with ScriptedModelServer(by_agent(said_by_the_agents())) as server, surroundings(server, tmp_path):
        result = asyncio.run(phase.execute(context))
    assert result.status.value == "completed", result.error
    trace = Trace(recorder.ended)
    assert [facts(span) for span in steps(trace)] == [
        {"number": 1, "attempt": 1, "name": "engineer", "type": "execution_failed"},
        {"number": 1, "attempt": 2, "name": "engineer", "reason": "feedback", "type": "execution_failed"},
        {"number": 1, "attempt": 3, "name": "engineer", "reason": "failure"},
    ]
    first, second, third = steps(trace)
    assert [attribute(span, semconv.REDO_HYPOTHESIS) for span in (second, third)] == [
        "**Step 1 redo requested:** Use wavelets",
        "Deconvolve the beam.",
    ]
    assert [link.context for span in (first, second, third) for link in span.links] == [first.context, second.context]
    assert trace.tokens == server.billed


def said_by_the_agents() -> dict[str, list[Reply]]:
    """Two chats: code that fails and goes to the controller, then code that fails and, mended, runs."""

    def status(word: str) -> Reply:
        return call_tool("record_status_closure", scripts.status_arguments(1, word))

    def executed(word: str, then: str) -> Reply:
        arguments = {"next_agent_suggestion": then, "execution_status": word, "fix_suggestion": "Deconvolve the beam."}
        return call_tool("post_execution_transfer_closure", arguments)

    said = {
        "control": [status("in progress"), status("completed")] * 2,
        "engineer": [say("Here is my code.")] * 3,
        "engineer_response_formatter": [
            scripts.code(code) for code in (scripts.BROKEN_CODE,) * 2 + (scripts.GOOD_CODE,)
        ],
        "executor_response_formatter": [
            executed("failure", "control"),
            executed("failure", "engineer"),
            executed("success", "control"),
        ],
        "terminator": [say("TERMINATE")] * 2,
    }
    prompts = {**scripts.PROMPTS, "control": "You are the control agent in the team"}
    return {prompts[name]: replies for name, replies in said.items()}


def test_phase_that_raises_has_failed(recorder: Recorder, manager: Any) -> None:
    def execute() -> None:
        with manager:
            manager.start_step(1, "Compute")
            raise KeyError

    with pytest.raises(KeyError):
        execute()
    assert "phase hitl_control ! phase_failed" in Trace(recorder.ended).outline()


def test_approval_of_the_fork_is_a_node(recorder: Recorder, manager: Any) -> None:
    from cmbagent.database.websocket_approval_manager import WebSocketApprovalManager

    approvals = WebSocketApprovalManager(lambda *_: None, manager.context.run_id)
    with manager:
        request = approvals.create_approval_request(
            run_id=manager.context.run_id,
            step_id="step_1",
            checkpoint_type="before_step",
            context_snapshot={},
            message="Go on?",
        )
        threading.Timer(0.1, WebSocketApprovalManager.resolve, (request.id, "approved")).start()
        assert asyncio.run(approvals.wait_for_approval_async(request.id)).resolution == "approved"
        manager.complete()
    assert Trace(recorder.ended).outline() == lines("""
        invoke_workflow deep_research
          phase hitl_control
            await_human_input admin
    """)


def test_limit_of_redos_of_the_fork_is_two() -> None:
    from cmbagent.phases.hitl_control import HITLControlPhaseConfig

    assert (HITLControlPhaseConfig().max_redos, HITLControlPhaseConfig().max_n_attempts) == (2, 3)


@pytest.mark.parametrize(
    "method",
    [
        "start",
        "start_step",
        "complete_step",
        "fail_step",
        "complete",
        "fail",
        *(
            pytest.param(method, marks=with_manager_that_has(method))
            for method in ("create_redo_branch", "record_sub_agent_call", "add_plan_step_nodes")
        ),
        "get_managed_cmbagent_kwargs",
    ],
)
def test_reenactment_takes_what_the_fork_takes(method: str) -> None:
    theirs = inspect.signature(getattr(managers.PhaseExecutionManager, method)).parameters
    ours = inspect.signature(getattr(reenactment.PhaseExecutionManager, method)).parameters
    assert [(name, one.default) for name, one in ours.items()] == [(name, one.default) for name, one in theirs.items()]
