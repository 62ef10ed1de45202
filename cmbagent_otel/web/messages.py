"""What was said, as texts with a speaker: the many forms that messages have in the rows, read into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Said:
    """One text of one speaker."""

    speaker: str
    text: str
    kind: str = "text"
    """``text``, ``call`` (a tool is asked for), ``result`` (it answered) or ``data``."""


def said(messages: Any) -> list[Said]:
    """The messages of a call: OpenTelemetry's (role and parts), OpenAI's (role and content), or plain text."""
    if messages is None:
        return []
    found = messages if isinstance(messages, list | tuple) else [messages]
    return [part for message in found for part in _parts(message)]


def as_text(value: Any) -> str:
    """Any value as people read it: text as it is, the rest as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return str(value)


def _parts(message: Any) -> Iterator[Said]:
    if not isinstance(message, Mapping):
        yield Said("", as_text(message))
        return
    if "type" in message and "role" not in message:
        yield _part("", message)
        return
    speaker = str(message.get("name") or message.get("role") or "")
    parts = message.get("parts")
    content = message.get("content")
    calls = message.get("tool_calls")
    if isinstance(parts, Sequence) and not isinstance(parts, str):
        for part in parts:
            yield _part(speaker, part)
    elif isinstance(content, Sequence) and not isinstance(content, str):
        for part in content:
            yield _part(speaker, part)
    elif content is not None:
        yield Said(speaker, as_text(content))
    elif not calls:
        yield Said(speaker, as_text({key: value for key, value in message.items() if key not in ("role", "name")}))
    for call in calls if isinstance(calls, Sequence) and not isinstance(calls, str) else ():
        yield _openai_call(speaker, call)


def _part(speaker: str, part: Any) -> Said:
    if not isinstance(part, Mapping):
        return Said(speaker, as_text(part))
    kind = part.get("type")
    if kind in ("text", "reasoning") or (kind is None and "content" in part):
        text = part.get("content", part.get("text"))
        return Said(f"{speaker}, thinking" if kind == "reasoning" else speaker, as_text(text))
    if kind == "tool_call":
        return Said(speaker, f"{part.get('name')}({_arguments(part.get('arguments'))})", "call")
    if kind == "tool_call_response":
        return Said(speaker, as_text(part.get("response", part.get("result"))), "result")
    return Said(speaker, as_text(part), "data")


def _openai_call(speaker: str, call: Any) -> Said:
    function = call.get("function") if isinstance(call, Mapping) else None
    if isinstance(function, Mapping):
        return Said(speaker, f"{function.get('name')}({_arguments(function.get('arguments'))})", "call")
    return Said(speaker, as_text(call), "data")


def _arguments(arguments: Any) -> str:
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else orjson.dumps(arguments, default=str).decode()
