"""Messages: an event for each, on the turn that said it, and their form in the GenAI conventions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import NoneType
from typing import Any

import orjson
from opentelemetry import trace
from opentelemetry.trace import Span

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.autogen.kinds import USER, known, name_of
from cmbagent_otel.instrumentation.autogen.state import chat_within
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.chance import new_uuid

_TEXTS = frozenset({"content", "arguments", "response"})
_FLAT = frozenset({str, int, float, bool, NoneType})
_LONGEST_NAME = 256
_OVERHEAD = 64
"""Characters that a part takes besides its text, about."""


def look_at_send(sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """``ConversableAgent.send`` and its async twin: an event for what no turn has said, such as a chat's first message.

    AG2 also sends copies: a manager to each agent of its group, and a resumed history. Those are silent and
    ask for no reply.
    """
    silent = kwargs["silent"] if "silent" in kwargs else len(args) > 3 and args[3]
    request_reply = kwargs["request_reply"] if "request_reply" in kwargs else args[2] if len(args) > 2 else None
    if silent and request_reply is False:
        return
    context, scope = scopes.enclosing()
    chat = chat_within(scope)
    if chat is not None and chat.speaker is sender:
        chat.speaker = None  # its turn has recorded the message
        return
    if scope is None or scope.kind == NodeKind.SPEAKER_SELECTION:
        return
    message = args[0] if args else kwargs.get("message")
    recipient = args[1] if len(args) > 1 else kwargs.get("recipient")
    name, kind = known(sender)
    record(trace.get_current_span(context), name, "user" if kind is USER else "assistant", recipient, message)


def record(span: Span, sender: str, role: str, recipient: Any, message: Any) -> None:
    """Add the event of one message to ``span``; ``role`` is what the sender has where the message states none."""
    if not span.is_recording():
        return
    attributes = {
        semconv.EVENT_ID: new_uuid(),
        semconv.MESSAGE_SENDER: sender,
        semconv.MESSAGE_ROLE: _role(message, role),
    }
    if recipient is not None:
        attributes[semconv.MESSAGE_RECIPIENT] = name_of(recipient)
    if content.is_recorded():
        content.capture_event(span, semconv.MESSAGE_EVENT, attributes, semconv.MESSAGE_CONTENT, plain_text(message))
    else:
        span.add_event(semconv.MESSAGE_EVENT, attributes)


def _role(message: Any, default: str) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    return str(role) if role else default


def plain_text(message: Any) -> str:
    """The words of a message; tool calls and results as JSON."""
    if isinstance(message, str):
        return message
    if not isinstance(message, dict):
        return str(message)
    said = message.get("content")
    if isinstance(said, str) and said:
        return said
    return to_json([_part_texts(part) for part in _parts(message)])


def new_part(messages: Sequence[Any], *, own_name: str, seen: Any) -> Sequence[Any]:
    """The end of a history that its agent has not yet answered: after its own last message, or the one last seen."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message is seen or (
            isinstance(message, dict) and message.get("role") == "assistant" and message.get("name") in (None, own_name)
        ):
            return messages[index + 1 :]
    return messages


def keep(
    span: Span, key: str, messages: Sequence[Any], *, role: str = "user", finish_reason: str | None = None
) -> None:
    """Record messages under ``key``, in the form of the GenAI conventions; formed now where they may yet change."""
    taken: list[Any] = []
    characters = 0
    for message in messages:
        if type(message) is dict and is_flat(message):
            taken.append(message.copy())
            said = message.get("content")
            characters += len(said) if type(said) is str else 0
        elif type(message) is str:
            taken.append(message)
            characters += len(message)
        else:
            content.keep(span, key, as_messages(messages, role=role, finish_reason=finish_reason))
            return
    content.keep_later(span, key, partial(as_messages, taken, role=role, finish_reason=finish_reason), characters)


def is_flat(fields: Mapping[str, Any]) -> bool:
    """Whether nothing in ``fields`` can change from within."""
    return _FLAT.issuperset(map(type, fields.values()))


def as_messages(messages: Iterable[Any], *, role: str = "user", finish_reason: str | None = None) -> str:
    """Messages in the form of the GenAI conventions, as JSON ready to be kept: masked, and no longer than one text."""
    room = _Room(content.limit())
    formed: list[dict[str, Any]] = []
    left_out = 0
    for message in messages:
        if room.left <= 0:
            left_out += 1
            continue
        one: dict[str, Any] = {
            "role": _role(message, role),
            "parts": [room.fit(part) for part in _parts(message)],
        }
        name = message.get("name") if isinstance(message, dict) else None
        if name:
            one["name"] = str(name)
        if finish_reason is not None:
            one["finish_reason"] = finish_reason
        formed.append(one)
    if left_out:
        formed.append({"role": "system", "parts": [{"type": "text", "content": f"… [{left_out} messages more]"}]})
    return to_json(formed)


def as_part(text: str) -> str:
    """One text in the form of the GenAI conventions, as JSON ready to be kept."""
    return to_json([{"type": "text", "content": content.prepare(text)}])


class _Room:
    """How many characters still fit."""

    def __init__(self, left: int) -> None:
        self.left = left

    def fit(self, part: Mapping[str, Any]) -> dict[str, str]:
        self.left -= _OVERHEAD
        fitting: dict[str, str] = {}
        for key, value in part.items():
            if value is None:
                continue
            text = as_text(value)
            if key in _TEXTS:
                fitting[key] = content.prepare(text, max(self.left, 0))
                self.left -= len(fitting[key])
            else:
                fitting[key] = text[:_LONGEST_NAME]
        return fitting


def _parts(message: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(message, dict):
        yield {"type": "text", "content": str(message)}
        return
    said = message.get("content")
    if message.get("tool_responses"):
        for response in message["tool_responses"]:
            yield _response(response)
    elif message.get("tool_call_id"):
        yield _response(message)
    elif isinstance(said, str):
        yield {"type": "text", "content": said}
    elif said is not None:
        yield from (_item(item) for item in (said if isinstance(said, Iterable) else (said,)))
    for call in message.get("tool_calls") or ():
        yield {"type": "tool_call", "id": call.get("id"), **_function(call.get("function"))}
    if message.get("function_call"):
        yield {"type": "tool_call", **_function(message["function_call"])}


def _response(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": message.get("content")}


def _function(call: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"name": call.get("name"), "arguments": call.get("arguments")} if call else {}


def _item(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"type": "text", "content": str(item)}
    if isinstance(item.get("text"), str):
        return {"type": "text", "content": item["text"]}
    kind = str(item.get("type", "generic"))
    url = item.get("image_url")
    url = url.get("url") if isinstance(url, dict) else url
    return {"type": kind} if url is None else _image(url)


def _image(image: Any) -> dict[str, Any]:
    """An image by its address; one that is here itself by its type and size."""
    if not isinstance(image, str):  # of Pillow
        size = " x ".join(str(length) for length in getattr(image, "size", ()))
        return {"type": "blob", "modality": "image", "content": f"[image, {size} pixels]" if size else "[image]"}
    if not image.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": image}
    mime_type = image[len("data:") :].partition(",")[0].partition(";")[0]
    return {"type": "blob", "modality": mime_type.partition("/")[0], "mime_type": mime_type, "content": image}


def _part_texts(part: Mapping[str, Any]) -> dict[str, str]:
    return {key: as_text(value) for key, value in part.items() if value is not None}


def as_text(value: Any) -> str:
    """``value`` if it is text, else as JSON."""
    return value if isinstance(value, str) else to_json(value)


def to_json(value: Any) -> str:
    """``value`` as JSON, whatever is in it."""
    try:
        return orjson.dumps(value, default=_as_words).decode()
    except TypeError:  # lone surrogates, great integers, keys of all kinds
        return json.dumps(value, default=_as_words, ensure_ascii=False)


def _as_words(value: Any) -> str:
    """What JSON has no form for."""
    return f"[{len(value)} bytes]" if isinstance(value, bytes | bytearray) else str(value)
