"""The content gate: shut, nothing that was said is on a span; open, it is there, masked, cut, and not over and over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from cmbagent_otel import content, semconv
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.from_sdk import from_sdk
from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.testing import call_tool, say
from tests.scenarios.programs import chats, code, groups, people
from tests.scenarios.programs.chats import assistant, with_tools
from tests.scenarios.stage import Perform, Play, Recorder
from tests.scenarios.trace import Trace, attribute, moments
from tests.scenarios.world import World, program, seen

KEY = "sk-live-abcdefghijklmnopqrstuvwx"


def texts(span: ReadableSpan, key: str) -> list[str]:
    """The texts of the messages under ``key``."""
    parts = [part for message in json.loads(attribute(span, key)) for part in message["parts"]]
    return [part.get("content", part.get("response", part.get("arguments"))) for part in parts]


def all_words(trace: Trace) -> str:
    """Everything on the spans."""
    return "".join(span.to_json(indent=None) for span in trace.spans)


@program(call_tool("add", {"a": 1, "b": 2}), say(f"The key is {KEY}. TERMINATE"), listed=False)
def secret_is_told(world: World) -> Any:
    asking, adder = with_tools(world)
    return seen(asking.initiate_chat(adder, message=f"My key is {KEY}, my password: correct-horse-9."))


def test_shut_gate_keeps_every_word_off_the_spans(play: Play) -> None:
    words = all_words(play(secret_is_told).trace)
    for said in ("The key is", "My key is", "TERMINATE", "You are adder", "correct-horse"):
        assert said not in words


@pytest.mark.usefixtures("content_on")
def test_secrets_are_masked_where_the_gate_is_open(play: Play) -> None:
    words = all_words(play(secret_is_told).trace)
    assert "My key is [masked]" in words
    assert KEY not in words
    assert "correct-horse-9" not in words


@pytest.mark.usefixtures("content_on")
def test_llm_config_is_never_recorded(play: Play) -> None:
    words = all_words(play(chats.two_agents_with_a_tool).trace)
    assert "sk-scripted" not in words
    assert "api_key" not in words
    assert "config_list" not in words


@pytest.mark.usefixtures("content_on")
def test_turn_has_what_it_answers_and_what_it_says(play: Play) -> None:
    first, _, last = play(chats.two_agents_with_a_tool).trace.of(NodeKind.AGENT)
    assert texts(first, semconv.INPUT_MESSAGES) == ["What is 1 + 2?"]
    assert json.loads(texts(first, semconv.OUTPUT_MESSAGES)[0]) == {"a": 1, "b": 2}
    assert texts(last, semconv.INPUT_MESSAGES) == ["3"]
    assert texts(last, semconv.OUTPUT_MESSAGES) == ["The sum is 3. TERMINATE"]


@pytest.mark.usefixtures("content_on")
def test_turn_in_a_group_has_what_was_said_since_it_last_spoke(play: Play) -> None:
    trace = play(groups.group_in_turn).trace
    assert [texts(span, semconv.INPUT_MESSAGES) for span in trace.of(NodeKind.AGENT)] == [
        ["Write a line."],
        ["Write a line.", "A rose."],
        ["A rose.", "Too short."],
    ]


@pytest.mark.usefixtures("content_on")
def test_message_event_has_the_words(play: Play) -> None:
    trace = play(chats.two_agents_with_a_tool).trace
    said = [moment.attributes[semconv.MESSAGE_CONTENT] for moment in trace.events(semconv.MESSAGE_EVENT)]
    assert said[0] == "What is 1 + 2?"
    assert json.loads(said[1])[0]["name"] == "add"
    assert said[2:] == ["3", "The sum is 3. TERMINATE"]


@pytest.mark.usefixtures("content_on")
def test_tool_has_its_arguments_its_result_and_its_error(play: Play) -> None:
    tool = play(chats.tool_that_raises).trace.named("execute_tool divide")
    assert json.loads(attribute(tool, semconv.TOOL_CALL_ARGUMENTS)) == {"a": 1, "b": 0}
    assert attribute(tool, semconv.TOOL_CALL_RESULT) == "Error: division by zero"
    assert attribute(tool, semconv.ERROR_MESSAGE) == "division by zero"


@pytest.mark.usefixtures("content_on")
def test_code_has_its_source_and_its_output(play: Play) -> None:
    failed, passed = play(code.code_by_command_line).trace.of(NodeKind.CODE)
    assert attribute(failed, semconv.CODE_SOURCE) == "import sys; print(6 * 7); sys.exit(3)"
    assert attribute(failed, semconv.CODE_OUTPUT).strip() == "42"
    assert attribute(passed, semconv.CODE_SOURCE) == "# python\nprint('first')\n\n# python\nprint('second')"


@pytest.mark.usefixtures("content_on")
def test_person_has_the_question_and_the_answer(play: Play) -> None:
    asked, _ = play(people.person_answers).trace.of(NodeKind.APPROVAL)
    assert "end the conversation" in attribute(asked, semconv.HUMAN_PROMPT)
    assert attribute(asked, semconv.HUMAN_RESPONSE) == "yes"


@pytest.mark.usefixtures("content_on")
def test_model_call_has_the_system_prompt_once_and_then_only_what_is_new(play: Play) -> None:
    trace = play(chats.eight_turns).trace
    prompts = [attribute(span, semconv.SYSTEM_INSTRUCTIONS) for span in trace.of(NodeKind.LLM)]
    assert json.loads(prompts[0])[0]["content"] == "You are teller."
    assert set(prompts[1:]) == {None}
    assert {len(texts(span, semconv.INPUT_MESSAGES)) for span in trace.of(NodeKind.LLM)} == {1}


def long_chat(turns: int) -> Any:
    """A program of so many turns, each of a thousand characters."""

    @program(*(say(f"{turn} " + "x" * 1000) for turn in range(turns)), listed=False)
    def long(world: World) -> Any:
        one, two = assistant(world, "one"), assistant(world, "two")
        return seen(one.initiate_chat(two, message="Go.", max_turns=turns // 2, silent=True))

    return long


@pytest.mark.usefixtures("content_on")
def test_content_grows_with_the_number_of_turns_and_not_with_its_square(
    hooks: Any, recorder: Recorder, perform: Perform
) -> None:
    del hooks
    sizes = []
    for turns in (10, 40):
        recorder.ended.clear()
        perform(long_chat(turns))
        sizes.append(len(all_words(Trace(recorder.ended))))
    assert sizes[1] / sizes[0] < 4.4


def led_by_a_model(rounds: int) -> Any:
    """A group of so many rounds, whose speakers a model chooses."""

    @program(
        script=lambda: lambda request: say("poet" if "role play" in request.system_prompt else "x" * 1000), listed=False
    )
    def led(world: World) -> Any:
        asking, manager = groups.group(world, speaker_selection_method="auto", allow_repeat_speaker=True)
        manager.groupchat.max_round = rounds
        return seen(asking.initiate_chat(manager, message="Write.", silent=True))

    return led


@pytest.mark.usefixtures("content_on")
def test_content_of_speaker_selection_grows_with_the_number_of_rounds(
    hooks: Any, recorder: Recorder, perform: Perform
) -> None:
    del hooks
    sizes = []
    for rounds in (10, 40):
        recorder.ended.clear()
        perform(led_by_a_model(rounds))
        sizes.append(len(all_words(Trace(recorder.ended))))
    assert sizes[1] / sizes[0] < 4.6


def test_long_text_is_cut_with_a_mark(hooks: Any, recorder: Recorder, perform: Perform) -> None:
    del hooks
    content.configure(recorded=True, on_spans=True, limit=500)
    perform(long_chat(4))
    content.reset()
    trace = Trace(recorder.ended)
    said = texts(trace.of(NodeKind.AGENT)[0], semconv.OUTPUT_MESSAGES)[0]
    assert said.endswith(" characters more]")
    assert len(said) < 600
    assert all(len(str(value)) < 1200 for span in trace.spans for value in (span.attributes or {}).values())


def test_content_for_our_tables_alone_stays_off_the_spans_and_is_found_again(
    hooks: Any, recorder: Recorder, perform: Perform
) -> None:
    del hooks
    content.configure(recorded=True, on_spans=False, limit=65536)
    perform(chats.two_agents_with_a_tool)
    trace = Trace(recorder.ended)
    assert "What is 1 + 2?" not in all_words(trace)
    records = [content.complete(record) for span in trace.spans if (record := from_sdk(span)) is not None]
    content.reset()
    chat, turn = records[0], records[1]
    assert chat.events[0].attributes[semconv.MESSAGE_CONTENT] == "What is 1 + 2?"
    assert json.loads(turn.attributes[semconv.INPUT_MESSAGES])[0]["parts"][0]["content"] == "What is 1 + 2?"
    assert moments(trace.spans[0], semconv.MESSAGE_EVENT)[0].attributes.get(semconv.MESSAGE_CONTENT) is None


@program(*chats.ADDS, listed=False)
def history_is_rewritten(world: World) -> Any:
    """What was said is changed in place once the chat is over, as programs do that shorten their histories."""
    asking, adder = with_tools(world)
    told = seen(asking.initiate_chat(adder, message="What is 1 + 2?"))
    for agent in (asking, adder):
        for messages in agent.chat_messages.values():
            for message in messages:
                message["content"] = "rewritten"
                for call in message.get("tool_calls") or ():
                    call["function"]["arguments"] = "rewritten"
    return told


@pytest.mark.parametrize(
    "scenario",
    [chats.two_agents_with_a_tool, history_is_rewritten, groups.group_in_turn, long_chat(6), secret_is_told],
    ids=["tool", "rewritten", "group", "long", "secret"],
)
def test_what_waits_for_our_tables_is_what_the_spans_would_have_said(
    hooks: Any, recorder: Recorder, perform: Perform, scenario: Any
) -> None:
    del hooks
    content.configure(recorded=True, on_spans=True, limit=2000)
    perform(scenario)
    said, written = list(recorder.ended), len(recorder.ended)
    content.configure(recorded=True, on_spans=False, limit=2000)
    perform(scenario)
    waited = [content.complete(record) for span in recorder.ended[written:] if (record := from_sdk(span)) is not None]
    content.reset()
    on_spans = [record for span in said if (record := from_sdk(span)) is not None]
    assert [_content(record) for record in waited] == [_content(record) for record in on_spans]
    assert any(_content(record)[1] for record in waited)


def _content(record: SpanRecord) -> tuple[str, dict[str, Any], list[Any]]:
    kept = {key: value for key, value in record.attributes.items() if key in semconv.CONTENT_KEYS}
    return record.name, kept, [event.attributes.get(semconv.MESSAGE_CONTENT) for event in record.events]


def test_what_cannot_be_formed_is_left_out_and_the_rest_of_its_span_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    content.configure(recorded=True, on_spans=False, limit=65536)
    span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("name", attributes={"a": 1})
    content.keep_later(span, semconv.INPUT_MESSAGES, lambda: str(1 / 0), 10)
    content.capture(span, semconv.OUTPUT_MESSAGES, "said")
    record = from_sdk(span)  # type: ignore[arg-type]
    assert record is not None
    assert content.complete(record).attributes == {"a": 1, semconv.OUTPUT_MESSAGES: "said"}
    assert semconv.INPUT_MESSAGES in caplog.text
    content.reset()
