"""The content gate: what people, models and programs said is recorded only where the user opened it.

``SPAN_*`` puts content on the spans that every exporter sees. ``EVENT_ONLY`` keeps it off them: it waits
here, by span id, until our own processor takes it for our tables.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from opentelemetry.trace import Span

_HELD_SPANS = 4096
"""Spans whose content may wait; past it the oldest lose theirs, so that spans never ended cost no memory."""


class _Gate:
    __slots__ = ("held", "limit", "lock", "on_spans", "recorded")

    def __init__(self) -> None:
        self.recorded = False
        self.on_spans = False
        self.limit = 65536
        self.lock = threading.Lock()
        self.held: OrderedDict[int, dict[str, Any]] = OrderedDict()


_gate = _Gate()


def configure(*, recorded: bool, on_spans: bool, limit: int) -> None:
    """Open or shut the gate; ``limit`` bounds one text, in characters."""
    _gate.recorded, _gate.on_spans, _gate.limit = recorded, on_spans, limit


def reset() -> None:
    """Shut the gate and forget what waits."""
    global _gate  # noqa: PLW0603 - a process has one
    _gate = _Gate()


def is_recorded() -> bool:
    """Whether content is recorded at all; look before building what would be thrown away."""
    return _gate.recorded


def capture(span: Span, key: str, value: str) -> None:
    """Record content under ``key``, if the gate is open and the span is recorded."""
    if not _gate.recorded or not span.is_recording():
        return
    text = prepare(value)
    if _gate.on_spans:
        span.set_attribute(key, text)
        return
    with _gate.lock:
        _gate.held.setdefault(span.get_span_context().span_id, {})[key] = text
        if len(_gate.held) > _HELD_SPANS:
            _gate.held.popitem(last=False)


def take(span_id: int) -> dict[str, Any] | None:
    """What waits for the span of that id, which then waits no longer."""
    if not _gate.held:
        return None
    with _gate.lock:
        return _gate.held.pop(span_id, None)


def prepare(text: str) -> str:
    """``text`` cut to the limit, with a mark where it was."""
    if len(text) <= _gate.limit:
        return text
    return f"{text[: _gate.limit]}… [{len(text) - _gate.limit} characters more]"
