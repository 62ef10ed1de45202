"""What is said in AG2 1.x's events, as text and in the form of the GenAI conventions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from cmbagent_otel import content

_OVERHEAD = 64
"""Characters that a part takes besides its text, about."""


def of_request(event: Any) -> str:
    """The words of a request."""
    return "\n".join(_of_input(part) for part in getattr(event, "parts", ()))


def of_response(response: Any) -> str:
    """The words of a model's answer."""
    return str(getattr(response, "content", None) or "")


def of_result(result: Any) -> str:
    """The words of a tool's result, or of its error."""
    error = getattr(result, "error", None)
    if error is not None:
        return str(error)
    return "\n".join(_of_input(part) for part in getattr(getattr(result, "result", None), "parts", ()))


def _of_input(part: Any) -> str:
    for name in ("content", "data", "url"):
        value = getattr(part, name, None)
        if isinstance(value, bytes):
            return f"[{getattr(part, 'media_type', 'binary')}, {len(value)} bytes]"
        if value is not None:
            return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return f"[{type(part).__name__}]"


def new_part(events: Sequence[Any]) -> Sequence[Any]:
    """The end of a history that the model has not answered yet."""
    for index in range(len(events) - 1, -1, -1):
        if hasattr(events[index], "finish_reason") and hasattr(events[index], "tool_calls"):
            return events[index + 1 :]
    return events


def as_messages(role: str, text: str) -> str:
    """One message, as JSON ready to be kept."""
    return json.dumps([{"role": role, "parts": [_text(text, content.limit())]}], ensure_ascii=False)


def as_conversation(events: Iterable[Any]) -> str:
    """Events as messages, as JSON ready to be kept; together no longer than one text."""
    left = content.limit()
    messages: list[dict[str, Any]] = []
    for event in events:
        for role, part, text in _parts(event):
            key = {"tool_call": "arguments", "tool_call_response": "response"}.get(part["type"], "content")
            messages.append({"role": role, "parts": [{**part, key: content.prepare(text, max(left, 0))}]})
            left -= len(text) + _OVERHEAD
            if left <= 0:
                return json.dumps(messages, ensure_ascii=False)
    return json.dumps(messages, ensure_ascii=False)


def _parts(event: Any) -> Iterable[tuple[str, dict[str, Any], str]]:
    if hasattr(event, "results"):
        for result in event.results:
            yield "tool", {"type": "tool_call_response", "id": str(result.parent_id)}, of_result(result)
    elif hasattr(event, "tool_calls"):
        if of_response(event):
            yield "assistant", {"type": "text"}, of_response(event)
        for call in event.tool_calls.calls:
            yield "assistant", {"type": "tool_call", "id": str(call.id), "name": str(call.name)}, str(call.arguments)
    elif hasattr(event, "parts"):
        yield "user", {"type": "text"}, of_request(event)


def _text(text: str, left: int) -> dict[str, str]:
    return {"type": "text", "content": content.prepare(text, left)}
