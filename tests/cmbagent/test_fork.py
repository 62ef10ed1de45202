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
from cmbagent_otel import semconv
from cmbagent_otel.instrumentation import health
from tests.cmbagent import reenactment
from tests.cmbagent.stage import facts, installed, steps
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


def test_life_of_a_phase_is_phase_steps_and_redos(recorder: Recorder, manager: Any) -> None:
    with manager:
        manager.start_step(1, "Compute")
        with otel.agent("engineer"):
            pass
        manager.create_redo_branch(1, 1, "Deconvolve the beam")
        with otel.agent("engineer"):
            pass
        manager.create_redo_branch(1, 2, "Deconvolve again")
        manager.complete_step(1, "Done")
        manager.start_step(2, "Interpret")
        manager.record_sub_agent_call(2, "plot_judge", "judge", {"figure": 1})
        manager.fail_step(2, "the beam is missing")
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
            step 2 ! step_failed
              invoke_agent plot_judge
    """)
    assert [facts(span).get("over_limit") for span in steps(trace)] == [None, None, True, None]
    assert {attribute(span, semconv.RUN_ID) for span in trace.spans} == {manager.context.run_id}
    assert [attribute(span, semconv.SESSION_ID) for span in trace.roots] == ["lab"]


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
        "create_redo_branch",
        "record_sub_agent_call",
        "add_plan_step_nodes",
        "get_managed_cmbagent_kwargs",
    ],
)
def test_reenactment_takes_what_the_fork_takes(method: str) -> None:
    theirs = inspect.signature(getattr(managers.PhaseExecutionManager, method)).parameters
    ours = inspect.signature(getattr(reenactment.PhaseExecutionManager, method)).parameters
    assert [(name, one.default) for name, one in ours.items()] == [(name, one.default) for name, one in theirs.items()]
