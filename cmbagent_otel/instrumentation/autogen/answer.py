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
    for name, key in (("model", semconv.RESPONSE_MODEL), ("id", semconv.RESPONSE_ID)):
        value = getattr(answer, name, None)
        if value:
            attributes[key] = str(value)
    reasons = finish_reasons(answer)
    if reasons:
        attributes[semconv.RESPONSE_FINISH_REASONS] = reasons
    return attributes


def finish_reasons(answer: Any) -> tuple[str, ...]:
    """One for each choice; the responses API has a status instead."""
    choices = getattr(answer, "choices", None)
    if choices is None:
        choices = [answer]
    reasons = [getattr(choice, "finish_reason", None) or getattr(choice, "status", None) for choice in choices]
    return tuple([str(reason) for reason in reasons if reason])


_DETAILS = (
    ("prompt_tokens_details", "cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("input_tokens_details", "cached_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("completion_tokens_details", "reasoning_tokens", semconv.USAGE_REASONING_OUTPUT_TOKENS),
    ("output_tokens_details", "reasoning_tokens", semconv.USAGE_REASONING_OUTPUT_TOKENS),
)
"""Details of the usage, what to read of them, and what it is; of two with one meaning, one is the responses API's."""


def billed_details(answer: Any) -> dict[str, Any]:
    """What of the tokens came from the vendor's cache, and what was reasoning, as attributes."""
    usage = _get(answer, "usage")
    found: dict[str, Any] = {}
    if usage is None:
        return found
    for group, name, key in _DETAILS:
        details = usage.get(group) if isinstance(usage, dict) else getattr(usage, group, None)
        tokens = None if details is None else _get(details, name)
        if tokens and isinstance(tokens, int):
            found[key] = tokens
    return found


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
