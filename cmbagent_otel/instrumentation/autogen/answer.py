"""What a model answered, in the three forms that AG2's clients give it: chat completion, response, unified response."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from cmbagent_otel import semconv
from cmbagent_otel.instrumentation.autogen.message import is_flat


def describe(answer: Any) -> dict[str, Any]:
    """Who answered and why the answer ended, as attributes."""
    attributes: dict[str, Any] = {}
    model = getattr(answer, "model", None)
    if model:
        attributes[semconv.RESPONSE_MODEL] = str(model)
    response_id = getattr(answer, "id", None)
    if response_id:
        attributes[semconv.RESPONSE_ID] = str(response_id)
    reasons = finish_reasons(answer)
    if reasons:
        attributes[semconv.RESPONSE_FINISH_REASONS] = reasons
    return attributes


def finish_reasons(answer: Any) -> tuple[str, ...]:
    """One for each choice; the responses API has a status instead."""
    choices = getattr(answer, "choices", None)
    said: list[str] = []
    for choice in (answer,) if choices is None else choices:
        reason = getattr(choice, "finish_reason", None) or getattr(choice, "status", None)
        if reason:
            said.append(str(reason))
    return tuple(said)


_DETAILS = (
    ("prompt_tokens_details", "cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("input_tokens_details", "cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("completion_tokens_details", "reasoning_tokens", semconv.USAGE_REASONING_OUTPUT_TOKENS),
    ("output_tokens_details", "reasoning_tokens", semconv.USAGE_REASONING_OUTPUT_TOKENS),
)
"""Details of the usage, what to read of them, and what it is; of two with one meaning, one is the responses API's."""
_WITH_DETAILS = frozenset(group for group, _, _ in _DETAILS)


def add_details(answer: Any, attributes: dict[str, Any]) -> None:
    """Add what of the billed tokens came from the vendor's cache, and what was reasoning."""
    usage = _get(answer, "usage")
    # What an OpenAI model lacks it looks for in Python, at length.
    fields = usage if isinstance(usage, dict) else getattr(usage, "__dict__", None)
    if not fields or _WITH_DETAILS.isdisjoint(fields):
        return
    for group, name, key in _DETAILS:
        details = fields.get(group)
        tokens = None if details is None else _get(details, name)
        if tokens and isinstance(tokens, int):
            attributes[key] = tokens


def messages(answer: Any) -> list[Any]:
    """What was said, each as AG2 writes a message."""
    choices = getattr(answer, "choices", None)
    if choices is not None:
        return [_plain(choice.message) for choice in choices if getattr(choice, "message", None) is not None]
    unified = getattr(answer, "messages", None)
    if unified is not None:
        return [_plain(message) for message in unified]
    return [_item(_plain(item)) for item in getattr(answer, "output", None) or ()]


def _item(item: Any) -> Any:
    """An output item of the responses API."""
    if isinstance(item, Mapping) and item.get("type") == "function_call":
        call = {"id": item.get("call_id"), "function": {"name": item.get("name"), "arguments": item.get("arguments")}}
        return {"role": "assistant", "tool_calls": [call]}
    return item


def _plain(value: Any) -> Any:
    fields = getattr(value, "__dict__", None)
    if type(fields) is dict and is_flat(fields):
        return fields  # what a dump of it would copy
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump()
    # What clients of the program's own answer with, if they follow AG2's documentation.
    return vars(value) if isinstance(value, SimpleNamespace) else value


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
