"""The scripted model server, asked by OpenAI's own client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from cmbagent_otel.testing import (
    ModelRequest,
    Reply,
    ScriptedModelServer,
    ToolCall,
    Usage,
    by_agent,
    call_tool,
    call_tools,
    count_tokens,
    fail,
    say,
)
from cmbagent_otel.testing.script import Script


class Client:
    """A server and a client of it, both closed at the end of the test."""

    def __init__(self, script: Script | list[Reply]) -> None:
        self.server = ScriptedModelServer(script)
        self.server.__enter__()
        self.openai = openai.OpenAI(base_url=self.server.base_url, api_key="sk-test", max_retries=2)

    def ask(self, text: str = "hi", *, system: str = "You are the adder", **options: object) -> str | None:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        completion = self.openai.chat.completions.create(model="m", messages=messages, **options)  # type: ignore[call-overload]
        content: str | None = completion.choices[0].message.content
        return content

    def close(self) -> None:
        self.openai.close()
        self.server.__exit__(None, None, None)


@pytest.fixture
def client_of() -> Iterator[type[Client]]:
    made: list[Client] = []

    class Closed(Client):
        def __init__(self, script: Script | list[Reply]) -> None:
            super().__init__(script)
            made.append(self)

    yield Closed
    for client in made:
        client.close()


def test_replies_come_in_the_order_of_the_script(client_of: type[Client]) -> None:
    client = client_of([say("one"), say("two")])
    assert [client.ask(), client.ask()] == ["one", "two"]


def test_the_request_is_kept_as_the_script_saw_it(client_of: type[Client]) -> None:
    client = client_of([say("hello")])
    client.ask("what is 1 + 2?", system="You are the adder\nand careful")
    (request,) = client.server.requests
    assert request.number == 1
    assert request.api == "chat"
    assert request.model == "m"
    assert request.system_prompt == "You are the adder\nand careful"
    assert request.last_message == "what is 1 + 2?"
    assert request.headers["authorization"] == "Bearer sk-test"
    assert not request.streamed


def test_what_is_billed_is_what_the_answers_say(client_of: type[Client]) -> None:
    client = client_of([say("four"), say("eight letters", cached_tokens=3)])
    usages = [
        client.openai.chat.completions.create(model="m", messages=[{"role": "user", "content": text}]).usage
        for text in ("1234", "12345678")
    ]
    assert [(usage.prompt_tokens, usage.completion_tokens) for usage in usages if usage] == [(4, 1), (5, 4)]
    assert client.server.billed == Usage(input_tokens=9, output_tokens=5, cached_tokens=3)


def test_the_clients_own_retry_after_an_error_gets_the_next_reply_and_only_that_is_billed(
    client_of: type[Client],
) -> None:
    client = client_of([fail(429), fail(500), say("at last")])
    assert client.ask("1234", system="") == "at last"
    assert [exchange.reply.status for exchange in client.server.exchanges] == [429, 500, 200]
    assert client.server.billed == client.server.exchanges[-1].usage


def test_a_script_that_has_run_dry_says_so_and_is_not_asked_again(client_of: type[Client]) -> None:
    client = client_of([])
    with pytest.raises(openai.BadRequestError, match="request 1 has no reply left; it ended with: 'hi'"):
        client.ask()
    assert len(client.server.requests) == 1


def test_each_agent_has_a_script_of_its_own(client_of: type[Client]) -> None:
    client = client_of(by_agent({"planner": [say("a plan")], "plan": [say("wrong")], "engineer": [say("code")]}))
    assert client.ask(system="You are the engineer.\nDo not plan.") == "code"
    assert client.ask(system="You are the planner.") == "a plan"


def test_an_agent_without_a_script_is_named(client_of: type[Client]) -> None:
    client = client_of(by_agent({"planner": [say("a plan")]}))
    with pytest.raises(openai.BadRequestError, match=r"is of none of \['planner'\]; its system prompt begins"):
        client.ask(system="You are the stranger.")


def test_a_function_can_choose_the_reply(client_of: type[Client]) -> None:
    def echo(request: ModelRequest) -> Reply:
        return say(f"{request.number}: {request.last_message}")

    assert client_of(echo).ask("echo me") == "1: echo me"


def test_tool_calls_are_numbered_by_request_unless_they_have_an_id(client_of: type[Client]) -> None:
    client = client_of([call_tools(("add", {"a": 1}), ToolCall("sub", "{}", "mine"), text="let me see")])
    message = client.openai.chat.completions.create(model="m", messages=[]).choices[0].message
    calls = [
        (call.id, call.function.name, call.function.arguments)
        for call in message.tool_calls or ()
        if call.type == "function"
    ]
    assert calls == [("call_1_0", "add", '{"a": 1}'), ("mine", "sub", "{}")]
    assert message.content == "let me see"


def test_arguments_given_as_text_are_sent_as_they_are(client_of: type[Client]) -> None:
    client = client_of([call_tool("add", '{"a": ')])
    message = client.openai.chat.completions.create(model="m", messages=[]).choices[0].message
    assert [call.function.arguments for call in message.tool_calls or () if call.type == "function"] == ['{"a": ']


TEXT = "a text that is longer than one piece of a stream, with ünïcode ∑ in it"


def test_a_streamed_answer_is_the_whole_one_in_pieces(client_of: type[Client]) -> None:
    client = client_of([say(TEXT)])
    chunks = list(
        client.openai.chat.completions.create(
            model="m", messages=[], stream=True, stream_options={"include_usage": True}
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == TEXT
    assert len(pieces) > 3
    assert chunks[-2].choices[0].finish_reason == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == client.server.billed[:2]


def test_a_stream_says_its_usage_only_when_asked_and_is_billed_all_the_same(client_of: type[Client]) -> None:
    client = client_of([say(TEXT)])
    chunks = list(client.openai.chat.completions.create(model="m", messages=[], stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert client.server.billed.output_tokens == count_tokens(TEXT)


def test_a_streamed_tool_call_comes_together(client_of: type[Client]) -> None:
    client = client_of([call_tool("add", {"first": 1_000_000, "second": 2_000_000})])
    arguments, names = "", []
    for chunk in client.openai.chat.completions.create(model="m", messages=[], stream=True):
        for call in chunk.choices[0].delta.tool_calls or ():
            if call.function:
                names.append(call.function.name)
                arguments += call.function.arguments or ""
    assert json.loads(arguments) == {"first": 1_000_000, "second": 2_000_000}
    assert names[0] == "add"
    assert set(names[1:]) == {None}


def test_the_responses_api_answers_with_text_tool_calls_and_usage(client_of: type[Client]) -> None:
    client = client_of([call_tool("add", {"a": 1}, text="let me see")])
    response = client.openai.responses.create(model="m", input="hi", instructions="You are the adder")
    assert response.output_text == "let me see"
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == client.server.billed[:2]
    assert client.server.requests[0].system_prompt == "You are the adder"


def test_a_streamed_response_ends_with_the_whole_one(client_of: type[Client]) -> None:
    client = client_of([call_tool("add", {"a": 1}, text=TEXT)])
    with client.openai.responses.stream(model="m", input="hi") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == TEXT == final.output_text
    assert final.output[1].type == "function_call"


def test_tool_results_are_billed_in_both_apis(client_of: type[Client]) -> None:
    client = client_of([say("ok"), say("ok")])
    client.openai.chat.completions.create(
        model="m", messages=[{"role": "tool", "content": "12345678", "tool_call_id": "c"}]
    )
    client.openai.responses.create(
        model="m", input=[{"type": "function_call_output", "call_id": "c", "output": "12345678"}]
    )
    assert [exchange.usage.input_tokens for exchange in client.server.exchanges] == [5, 5]


def test_a_choice_for_each_that_n_asks_for(client_of: type[Client]) -> None:
    client = client_of([say("same")])
    completion = client.openai.chat.completions.create(model="m", messages=[], n=2)
    assert [choice.message.content for choice in completion.choices] == ["same", "same"]


def test_many_threads_get_each_reply_once(client_of: type[Client]) -> None:
    client = client_of([say(str(number)) for number in range(50)])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _n: client.ask(), range(50)))
    assert sorted(answers, key=int) == [str(number) for number in range(50)]  # type: ignore[arg-type]
    assert sorted(request.number for request in client.server.requests) == list(range(1, 51))


@pytest.mark.parametrize(
    ("path", "body", "status"), [("/v1/embeddings", b"{}", 404), ("/v1/responses", b"not json", 400)]
)
def test_what_is_no_model_request_gets_an_error_and_reaches_no_script(
    client_of: type[Client], path: str, body: bytes, status: int
) -> None:
    client = client_of([])
    url = client.server.base_url.removesuffix("/v1") + path
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, body))
    with refused.value:
        assert refused.value.code == status
    assert client.server.requests == ()


def test_the_same_script_gives_the_same_bytes() -> None:
    def run() -> bytes:
        with ScriptedModelServer([say(TEXT)]) as server:
            request = urllib.request.Request(f"{server.base_url}/chat/completions", b'{"messages": [], "model": "m"}')
            with urllib.request.urlopen(request) as response:
                body: bytes = response.read()
                return body

    assert run() == run()
