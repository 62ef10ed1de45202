"""What the public blocks say of a program, seen by a plain SDK exporter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import cmbagent_otel as otel
from cmbagent_otel import semconv
from cmbagent_otel.spans.record import default_run_id, node_id


class Spans:
    """The spans that ended, by name."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def __getitem__(self, name: str) -> ReadableSpan:
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, f"{len(found)} spans are named {name!r}"
        return found[0]


def _attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def _id(span: ReadableSpan) -> str:
    assert span.context is not None
    return node_id(f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}")


def _parent_id(span: ReadableSpan) -> str | None:
    if span.parent is None:
        return None
    return node_id(f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}")


@pytest.fixture
def spans() -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield Spans(exporter)
    provider.shutdown()


@pytest.fixture
def no_spans() -> None:
    """Tracing is off."""


def test_blocks_nest_as_parent_and_child_in_one_trace(spans: Spans) -> None:
    with (
        otel.workflow("planning_and_control", task="measure"),
        otel.phase("control"),
        otel.step(1, goal="simulate"),
        otel.agent("engineer"),
        otel.tool("camb"),
    ):
        pass
    chain = ["invoke_workflow planning_and_control", "phase control", "step 1", "invoke_agent engineer"]
    for parent, child in zip(chain, [*chain[1:], "execute_tool camb"], strict=True):
        assert _parent_id(spans[child]) == _id(spans[parent])
    assert spans["invoke_workflow planning_and_control"].parent is None
    assert len({span.context.trace_id for span in spans.all() if span.context}) == 1


def test_every_span_states_its_run_and_the_default_is_the_trace_id(spans: Spans) -> None:
    with otel.workflow("one_shot") as workflow, otel.phase("one_shot"), otel.step(1):
        pass
    root = spans["invoke_workflow one_shot"]
    assert root.context is not None
    assert workflow.run_id == default_run_id(f"{root.context.trace_id:032x}")
    assert {_attributes(span)[semconv.RUN_ID] for span in spans.all()} == {workflow.run_id}


def test_a_run_id_and_a_session_id_that_are_given_are_kept(spans: Spans) -> None:
    with otel.workflow("w", run_id="run-7", session_id="session-3"), otel.step(1):
        pass
    assert _attributes(spans["invoke_workflow w"])[semconv.SESSION_ID] == "session-3"
    assert _attributes(spans["step 1"])[semconv.RUN_ID] == "run-7"


def test_an_agent_under_another_agent_is_a_sub_agent_and_a_step_begins_anew(spans: Spans) -> None:
    with otel.workflow("w"), otel.agent("outer"), otel.agent("inner"), otel.step(1), otel.agent("of_the_step"):
        pass
    types = {span.name: _attributes(span)[semconv.NODE_TYPE] for span in spans.all()}
    assert types["invoke_agent outer"] == "agent"
    assert types["invoke_agent inner"] == "sub_agent"
    assert types["invoke_agent of_the_step"] == "agent"


def test_a_step_follows_the_steps_before_it_and_parallel_ones_are_called_so(spans: Spans) -> None:
    with otel.workflow("w"), otel.phase("control"):
        with otel.step(1):
            pass
        with otel.step(2), otel.phase("nothing in between"):
            pass
        first, second = otel.step(3), otel.step(4)
        first.__enter__()
        first._node.end()  # type: ignore[union-attr]
    first_id, second_id = _id(spans["step 1"]), _id(spans["step 2"])
    assert semconv.DAG_DEPENDS_ON not in _attributes(spans["step 1"])
    assert _attributes(spans["step 2"])[semconv.DAG_DEPENDS_ON] == (first_id,)
    assert _attributes(spans["step 3"])[semconv.DAG_DEPENDS_ON] == (second_id,)
    assert second.number == 4


def test_steps_that_overlap_follow_the_same_step_and_the_next_follows_both(spans: Spans) -> None:
    with otel.workflow("w"):
        with otel.step(1):
            pass
        with otel.phase("left"):
            left = trace.get_current_span()
        with ThreadPoolExecutor(2) as pool:
            import contextvars

            def run(number: int, inner: int | None) -> None:
                with otel.step(number):
                    if inner is not None:
                        pool.submit(contextvars.copy_context().run, _sibling, inner).result()

            def _sibling(number: int) -> None:
                # Beside the step around it, not under it: opened from the workflow's own context.
                outer.run(run, number, None)

            outer = contextvars.copy_context()
            contextvars.copy_context().run(run, 2, 3)
        with otel.step(4):
            pass
    del left
    phase = _id(spans["phase left"])
    assert _attributes(spans["step 2"])[semconv.DAG_DEPENDS_ON] == (phase,)
    assert _attributes(spans["step 3"])[semconv.DAG_DEPENDS_ON] == (phase,)
    assert _attributes(spans["step 2"])[semconv.DAG_DEPENDENCY_TYPE] == "sequential"
    assert _attributes(spans["step 3"])[semconv.DAG_DEPENDENCY_TYPE] == "parallel"
    followed = _attributes(spans["step 4"])[semconv.DAG_DEPENDS_ON]
    assert isinstance(followed, tuple)
    assert set(followed) == {_id(spans["step 2"]), _id(spans["step 3"])}


def test_a_redo_stands_beside_its_step_and_links_to_the_attempt_before(spans: Spans) -> None:
    with otel.workflow("w"), otel.phase("control"):
        with otel.step(5, goal="Power spectrum") as step:
            pass
        with step.redo(hypothesis="Deconvolve the beam first", reason="feedback") as again:
            pass
        with again.redo() as third:
            pass
        with otel.step(6):
            pass
    first, second, last = spans["step 5"], spans["step 5 redo 1"], spans["step 5 redo 2"]
    assert _parent_id(second) == _parent_id(first) == _parent_id(last) == _id(spans["phase control"])
    assert second.links[0].context == first.context
    assert last.links[0].context == second.context
    assert dict(second.links[0].attributes or {}) == {semconv.LINK_KIND: "redo_of"}
    stated = _attributes(second)
    assert stated[semconv.NODE_TYPE] == "branch_point"
    assert stated[semconv.REDO_SOURCE] == _id(first) == _attributes(last)[semconv.REDO_SOURCE]
    assert stated[semconv.REDO_BRANCH_NAME] == "redo_1"
    assert stated[semconv.REDO_HYPOTHESIS] == "Deconvolve the beam first"
    assert stated[semconv.REDO_REASON] == "feedback"
    assert stated[semconv.STEP_ATTEMPT] == 2
    assert stated[semconv.STEP_GOAL] == "Power spectrum"
    assert _attributes(last)[semconv.REDO_HYPOTHESIS] == "Redo attempt 2"
    assert semconv.DAG_DEPENDS_ON not in stated
    assert _attributes(spans["step 6"])[semconv.DAG_DEPENDS_ON] == (_id(last),)
    assert third.attempt == 3


def test_a_redo_begun_inside_the_failing_step_supersedes_it_too(spans: Spans) -> None:
    with otel.workflow("w"):
        with otel.step(1) as step, step.redo():
            pass
        with otel.step(2):
            pass
    assert _parent_id(spans["step 1 redo 1"]) == _id(spans["invoke_workflow w"])
    assert _attributes(spans["step 2"])[semconv.DAG_DEPENDS_ON] == (_id(spans["step 1 redo 1"]),)


@pytest.mark.parametrize("recorder", ["spans", "no_spans"])
def test_the_redo_limit_raises_only_where_the_program_set_it(recorder: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(recorder)
    with otel.workflow("w"), otel.phase("control", max_redos=1):
        with otel.step(1) as step:
            pass
        assert step.redos_left == 1
        with step.redo():
            pass
        assert step.redos_left == 0
        with pytest.raises(otel.RedoLimitExceeded, match="max_redos=1"):
            step.redo()
        with otel.step(2, max_redos=3) as generous:
            pass
        assert generous.redos_left == 3


def test_past_the_default_limit_a_redo_is_recorded_and_warned_of(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    with otel.workflow("w"):
        with otel.step(1) as step:
            pass
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                with step.redo():
                    pass
    assert semconv.REDO_OVER_LIMIT not in _attributes(spans["step 1 redo 2"])
    assert _attributes(spans["step 1 redo 3"])[semconv.REDO_OVER_LIMIT] is True
    assert len([record for record in caplog.records if "over_limit" in record.message]) == 1


def test_an_exception_leaves_error_and_its_type_up_to_where_it_is_handled_and_passes_unchanged(spans: Spans) -> None:
    problem = ValueError("a secret")
    with pytest.raises(ValueError, match="a secret") as caught, otel.workflow("w"), otel.step(1):
        raise problem
    assert caught.value is problem
    for name in ("step 1", "invoke_workflow w"):
        assert spans[name].status.status_code is StatusCode.ERROR
        assert _attributes(spans[name])[semconv.ERROR_TYPE] == "ValueError"
        assert "a secret" not in spans[name].to_json()


def test_a_normal_exit_of_the_program_is_no_error(spans: Spans) -> None:
    with pytest.raises(SystemExit), otel.workflow("w"):
        raise SystemExit(0)
    assert spans["invoke_workflow w"].status.status_code is StatusCode.UNSET


def test_a_workflow_inside_a_workflow_is_part_of_its_run(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with otel.workflow("outer", session_id="s") as outer, otel.phase("control"), otel.workflow("inner") as inner:
        pass
    assert inner.run_id == outer.run_id
    assert f"joined run {outer.run_id}" in caplog.text
    assert _parent_id(spans["invoke_workflow inner"]) == _id(spans["phase control"])
    assert semconv.SESSION_ID not in _attributes(spans["invoke_workflow inner"])


def test_a_step_outside_a_workflow_gets_one_that_ends_with_it(spans: Spans) -> None:
    with otel.step(1):
        pass
    assert _parent_id(spans["step 1"]) == _id(spans["invoke_workflow workflow"])


def test_blocks_decorate_functions_and_coroutine_functions_anew_for_each_call(spans: Spans) -> None:
    @otel.workflow("sync")
    def add(left: int, right: int) -> int:
        return left + right

    @otel.workflow("async")
    async def double(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    async def several() -> list[int]:
        return await asyncio.gather(*(double(value) for value in range(3)))

    assert [add(1, 2), add(3, 4)] == [3, 7]
    assert asyncio.run(several()) == [0, 2, 4]
    names = [span.name for span in spans.all()]
    assert names.count("invoke_workflow sync") == 2
    assert names.count("invoke_workflow async") == 3
    assert len({span.context.trace_id for span in spans.all() if span.context}) == 5


def test_tasks_that_run_at_once_keep_their_own_parents(spans: Spans) -> None:
    async def work(number: int) -> None:
        async with otel.step(number), otel.agent(f"a{number}"):
            await asyncio.sleep(0.001 * (5 - number))

    async def main() -> None:
        async with otel.workflow("w"):
            await asyncio.gather(*(work(number) for number in range(5)))

    asyncio.run(main())
    for number in range(5):
        assert _parent_id(spans[f"invoke_agent a{number}"]) == _id(spans[f"step {number}"])


def test_a_thread_without_a_trace_falls_back_on_the_only_open_workflow(spans: Spans) -> None:
    def work() -> None:
        with otel.agent("in_a_thread"):
            pass

    with otel.workflow("w"), otel.step(1), ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
    assert _parent_id(spans["invoke_agent in_a_thread"]) == _id(spans["invoke_workflow w"])


def test_without_a_provider_the_blocks_do_nothing_and_say_so() -> None:
    with otel.workflow("w") as workflow, otel.step(1) as step:
        pass
    assert step.node_id is None
    assert workflow.node_id is None


def test_spans_that_are_not_sampled_cost_no_bookkeeping_error() -> None:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
    with otel.workflow("w"):
        with otel.step(1) as step:
            pass
        with step.redo():
            pass
    assert step.redos_left == 1
