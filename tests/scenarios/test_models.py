"""Models: who was asked, what it cost, how often, and what came from a cache."""

from __future__ import annotations

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind
from tests.scenarios.programs import models
from tests.scenarios.stage import Play
from tests.scenarios.trace import attribute, moments
from tests.scenarios.world import Program


def test_model_call_names_model_vendor_server_and_agent(play: Play) -> None:
    _, world, trace = play(models.answer_with_cached_tokens)
    (call,) = trace.of(NodeKind.LLM)
    assert call.name == "chat gpt-4o-mini"
    assert call.kind.name == "CLIENT"
    assert attribute(call, semconv.OPERATION_NAME) == "chat"
    assert attribute(call, semconv.PROVIDER_NAME) == "openai"
    assert attribute(call, semconv.REQUEST_MODEL) == attribute(call, semconv.RESPONSE_MODEL) == "gpt-4o-mini"
    assert attribute(call, semconv.AGENT_NAME) == "teller"
    assert attribute(call, semconv.RESPONSE_FINISH_REASONS) == ("stop",)
    assert attribute(call, semconv.SERVER_ADDRESS) == "127.0.0.1"
    assert str(attribute(call, semconv.SERVER_PORT)) in world.server.base_url
    assert attribute(call, semconv.USAGE_CACHE_READ_INPUT_TOKENS) == 7


@pytest.mark.parametrize("program", [models.streamed_answer, models.streamed_tool_call], ids=str)
def test_streamed_answer_has_its_tokens_and_says_that_it_was_streamed(play: Play, program: Program) -> None:
    _, world, trace = play(program)
    assert {attribute(call, semconv.REQUEST_STREAM) for call in trace.of(NodeKind.LLM)} == {True}
    assert all(request.streamed for request in world.server.requests)


@pytest.mark.parametrize(
    ("program", "reasons"),
    [
        (models.answer_by_the_responses_api, [("completed",)]),
        (models.answer_by_the_unified_client, [("tool_calls",), ("stop",)]),
    ],
    ids=str,
)
def test_answer_in_another_form_is_read_as_well(
    play: Play, content_on: None, program: Program, reasons: list[tuple[str]]
) -> None:
    del content_on
    calls = play(program).trace.of(NodeKind.LLM)
    assert [attribute(call, semconv.RESPONSE_FINISH_REASONS) for call in calls] == reasons
    assert {attribute(call, semconv.PROVIDER_NAME) for call in calls} == {"openai"}
    assert "TERMINATE" in attribute(calls[-1], semconv.OUTPUT_MESSAGES)


def test_each_attempt_that_failed_is_an_event_of_the_one_call(play: Play) -> None:
    _, world, trace = play(models.model_tried_again)
    (call,) = trace.of(NodeKind.LLM)
    assert len(world.server.requests) == 3
    assert attribute(call, semconv.LLM_ATTEMPTS) == 3
    assert [
        (moment.attributes[semconv.LLM_ATTEMPT_NUMBER], moment.attributes[semconv.HTTP_STATUS_CODE])
        for moment in moments(call, semconv.LLM_ATTEMPT_EVENT)
    ] == [(1, 500), (2, 429)]


def test_answer_of_the_second_config_is_ascribed_to_it(play: Play) -> None:
    trace = play(models.second_entry_of_the_config_list).trace
    (call,) = trace.of(NodeKind.LLM)
    assert call.name == "chat gpt-4o"
    assert attribute(call, semconv.REQUEST_MODEL) == "gpt-4o-mini"
    (failed,) = moments(call, semconv.LLM_ATTEMPT_EVENT)
    assert failed.attributes[semconv.ERROR_TYPE] == "openai.BadRequestError"
    assert attribute(call, semconv.LLM_ATTEMPTS) == 2


def test_cached_answer_is_marked_and_bills_nothing(play: Play) -> None:
    _, world, trace = play(models.cached_answer)
    asked, cached = trace.of(NodeKind.LLM)
    assert len(world.server.requests) == 1
    assert attribute(asked, semconv.LLM_CACHED) is None
    assert attribute(cached, semconv.LLM_CACHED) is True
    assert attribute(cached, semconv.USAGE_INPUT_TOKENS) is None
    assert attribute(cached, semconv.RESPONSE_MODEL) == "gpt-4o-mini"


def test_model_asked_without_an_agent_is_a_trace_of_its_own(play: Play) -> None:
    assert play(models.model_without_an_agent).trace.outline() == "chat gpt-4o-mini"


@pytest.mark.parametrize("program", [models.odd_text, models.picture], ids=str)
def test_odd_text_and_pictures_pass_with_content_on(play: Play, content_on: None, program: Program) -> None:
    del content_on
    trace = play(program).trace
    for span in trace.spans:
        for value in (span.attributes or {}).values():
            str(value).encode("utf-8")
        for event in span.events:
            str(event.attributes).encode("utf-8")
