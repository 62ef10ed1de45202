"""The forms of OpenAI's two APIs: one answer as a whole, as server-sent events, or as an error.

Ids and times are made from the request's number, so that the same script gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cmbagent_otel.testing.script import ModelRequest, Reply, Usage

PIECE = 16
"""Characters of text or arguments in one event of a stream."""


def error(status: int, message: str) -> bytes:
    """The body of an error."""
    kind = "rate_limit_exceeded" if status == 429 else "invalid_request_error" if status < 500 else "server_error"
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": kind}}).encode()


# -- chat completions ---------------------------------------------------------------------------------------


def chat_completion(request: ModelRequest, reply: Reply, usage: Usage) -> dict[str, Any]:
    """The whole answer of ``/v1/chat/completions``; as many equal choices as ``n`` asks for."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tool_calls:
        message["tool_calls"] = _chat_tool_calls(request, reply)
    choice = {"finish_reason": _finish_reason(reply), "logprobs": None, "message": message}
    return {
        **_chat_head(request, "chat.completion"),
        "choices": [{"index": index, **choice} for index in range(request.body.get("n") or 1)],
        "usage": _chat_usage(usage),
    }


def chat_stream(request: ModelRequest, reply: Reply, usage: Usage) -> Iterator[bytes]:
    """The events of a streamed chat completion; usage comes last, and only where it was asked for."""
    for delta in _chat_deltas(request, reply):
        yield _event(_chat_chunk(request, delta, None))
    yield _event(_chat_chunk(request, {}, _finish_reason(reply)))
    if (request.body.get("stream_options") or {}).get("include_usage"):
        head = _chat_head(request, "chat.completion.chunk")
        yield _event({**head, "choices": [], "usage": _chat_usage(usage)})
    yield b"data: [DONE]\n\n"


def _chat_deltas(request: ModelRequest, reply: Reply) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if reply.text else None}
    for piece in _pieces(reply.text or ""):
        yield {"content": piece}
    for index, call in enumerate(_chat_tool_calls(request, reply)):
        arguments = call["function"]["arguments"]
        yield {"tool_calls": [{"index": index, **call, "function": {**call["function"], "arguments": ""}}]}
        for piece in _pieces(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _chat_chunk(request: ModelRequest, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**_chat_head(request, "chat.completion.chunk"), "choices": [choice]}


def _chat_head(request: ModelRequest, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-scripted-{request.number}",
        "object": kind,
        "created": _created(request),
        "model": request.model,
        "system_fingerprint": "scripted",
    }


def _chat_tool_calls(request: ModelRequest, reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": call.call_id or _call_id(request, index),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(reply.tool_calls)
    ]


def _chat_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


# -- responses ----------------------------------------------------------------------------------------------


def response(request: ModelRequest, reply: Reply, usage: Usage) -> dict[str, Any]:
    """The whole answer of ``/v1/responses``."""
    incomplete = reply.finish_reason == "length"
    return {
        "id": f"resp_scripted_{request.number}",
        "object": "response",
        "created_at": _created(request),
        "status": "incomplete" if incomplete else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if incomplete else None,
        "instructions": request.body.get("instructions"),
        "max_output_tokens": request.body.get("max_output_tokens"),
        "metadata": request.body.get("metadata") or {},
        "model": request.model,
        "output": _output_items(request, reply),
        "parallel_tool_calls": True,
        "previous_response_id": request.body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "store": bool(request.body.get("store", True)),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": request.body.get("tool_choice") or "auto",
        "tools": request.body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
    }


def responses_stream(request: ModelRequest, reply: Reply, usage: Usage) -> Iterator[bytes]:
    """The events of a streamed response."""
    whole = response(request, reply, usage)
    started = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": started}]
    for index, item in enumerate(whole["output"]):
        events += _item_events(index, item)
    events.append({"type": f"response.{whole['status']}", "response": whole})
    for number, event in enumerate(events):
        yield f"event: {event['type']}\n".encode() + _event({**event, "sequence_number": number})


def _output_items(request: ModelRequest, reply: Reply) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if reply.text is not None:
        part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        message_id = f"msg_scripted_{request.number}"
        items.append(
            {"id": message_id, "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        )
    for index, call in enumerate(reply.tool_calls):
        items.append(
            {
                "id": f"fc_scripted_{request.number}_{index}",
                "type": "function_call",
                "status": "completed",
                "call_id": call.call_id or _call_id(request, index),
                "name": call.name,
                "arguments": call.arguments,
            }
        )
    return items


def _item_events(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    at = {"item_id": item["id"], "output_index": index}
    if item["type"] == "message":
        yield _item_event("added", index, {**item, "status": "in_progress", "content": []})
        yield from _text_events({**at, "content_index": 0}, item["content"][0])
    else:
        yield _item_event("added", index, {**item, "status": "in_progress", "arguments": ""})
        for piece in _pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **at, **done}
    yield _item_event("done", index, item)


def _item_event(moment: str, index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": f"response.output_item.{moment}", "output_index": index, "item": item}


def _text_events(at: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
    for piece in _pieces(part["text"]):
        yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": part}


# -- both ---------------------------------------------------------------------------------------------------


def _finish_reason(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _call_id(request: ModelRequest, index: int) -> str:
    return f"call_{request.number}_{index}"


def _created(request: ModelRequest) -> int:
    return 1_700_000_000 + request.number


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + PIECE] for at in range(0, len(text), PIECE))


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
