"""The content gate: what people, models and programs said is recorded only where the user opened it.

``SPAN_*`` puts content on the spans that every exporter sees. ``EVENT_ONLY`` keeps it off them: it waits
here, by span id, until our own processor takes it for our tables. Secrets are masked and texts are cut
before either; what waits is so when it is taken, which costs the program's thread nothing.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from opentelemetry.trace import Span

from cmbagent_otel import semconv
from cmbagent_otel.spans.record import SpanEvent, SpanRecord

_logger = logging.getLogger(__name__)

_HELD_CHARACTERS = 32 * 1024 * 1024
"""What may wait, in characters; past it the oldest spans lose theirs, so that spans never ended cost no memory."""
_MASK = "[masked]"
_LOOK_BEYOND = 512
"""Characters past the limit that are looked at for secrets, so that one at the cut is known as one."""


class _Held:
    """What waits for one span."""

    __slots__ = ("attributes", "characters", "events")

    def __init__(self) -> None:
        self.attributes: dict[str, Callable[[], str]] = {}
        self.events: dict[str, dict[str, Callable[[], str]]] = {}
        """Event id -> key -> what forms the text."""
        self.characters = 0


class _Gate:
    __slots__ = ("characters", "held", "limit", "lock", "on_spans", "recorded")

    def __init__(self) -> None:
        self.recorded = False
        self.on_spans = False
        self.limit = 65536
        self.lock = threading.Lock()
        self.held: OrderedDict[int, _Held] = OrderedDict()
        self.characters = 0


_gate = _Gate()


def configure(*, recorded: bool, on_spans: bool, limit: int) -> None:
    """Open or shut the gate; ``limit`` bounds one text, in characters."""
    _gate.recorded, _gate.on_spans, _gate.limit = recorded, on_spans, limit


def reset() -> None:
    """Shut the gate and forget what waits."""
    global _gate  # noqa: PLW0603 - a process has one
    _gate = _Gate()
    _whole.cache_clear()


def is_recorded() -> bool:
    """Whether content is recorded at all; look before building what would be thrown away."""
    return _gate.recorded


def limit() -> int:
    """The bound of one text, in characters."""
    return _gate.limit


def capture(span: Span, key: str, value: str) -> None:
    """Record content under ``key``, if the gate is open and the span is recorded."""
    if _gate.recorded:
        keep_later(span, key, partial(prepare, value), len(value))


def keep(span: Span, key: str, text: str) -> None:
    """Record under ``key`` what :func:`prepare` has made, if the gate is open and the span is recorded."""
    keep_later(span, key, partial(str, text), len(text))


def keep_later(span: Span, key: str, form: Callable[[], str], characters: int) -> None:
    """Record under ``key`` what ``form`` makes with :func:`prepare`, if the gate is open and the span is recorded.

    Args:
        span: what it is content of.
        key: its attribute.
        form: called now or, on another thread, later: what it holds must not change.
        characters: how many it holds, about; more than one text may have is formed now, and let go.
    """
    if not _gate.recorded or not span.is_recording():
        return
    if _gate.on_spans:
        span.set_attribute(key, clean(form()))
        return
    form, characters = _waiting(form, characters)
    with _gate.lock:
        _hold(span, characters).attributes[key] = form


def _waiting(form: Callable[[], str], characters: int) -> tuple[Callable[[], str], int]:
    if characters <= _gate.limit:
        return form, characters
    text = form()
    return partial(str, text), len(text)


def capture_event(span: Span, name: str, attributes: Mapping[str, Any], key: str, value: str | None) -> None:
    """Add an event to the span, with ``value`` under ``key`` if the gate is open.

    ``attributes`` carry the event's id: by it the content that waits here finds its event again.
    """
    if value is None or not _gate.recorded or not span.is_recording():
        span.add_event(name, attributes)
        return
    if _gate.on_spans:
        span.add_event(name, {**attributes, key: prepare(value)})
        return
    span.add_event(name, attributes)
    form, characters = _waiting(partial(prepare, value), len(value))
    with _gate.lock:
        _hold(span, characters).events[attributes[semconv.EVENT_ID]] = {key: form}


def _hold(span: Span, characters: int) -> _Held:
    span_id = span.get_span_context().span_id
    held = _gate.held.get(span_id)
    if held is None:
        held = _gate.held[span_id] = _Held()
    held.characters += characters
    _gate.characters += characters
    while _gate.characters > _HELD_CHARACTERS and len(_gate.held) > 1:
        _, dropped = _gate.held.popitem(last=False)
        _gate.characters -= dropped.characters
    return held


def complete(record: SpanRecord) -> SpanRecord:
    """The record with what waited for its span, which then waits no longer."""
    if not _gate.held:
        return record
    with _gate.lock:
        held = _gate.held.pop(int(record.span_id, 16), None)
        if held is None:
            return record
        _gate.characters -= held.characters
    return record._replace(
        attributes=_formed(record.attributes, held.attributes),
        events=tuple(_complete_event(event, held.events) for event in record.events),
    )


def _complete_event(event: SpanEvent, held: Mapping[str, dict[str, Callable[[], str]]]) -> SpanEvent:
    found = held.get(event.attributes.get(semconv.EVENT_ID, ""))
    return event if found is None else event._replace(attributes=_formed(event.attributes, found))


def _formed(attributes: Mapping[str, Any], held: Mapping[str, Callable[[], str]]) -> dict[str, Any]:
    formed = dict(attributes)
    for key, form in held.items():
        try:
            formed[key] = clean(form())
        except Exception:
            _logger.exception("cmbagent-otel: %s could not be formed, and is left out", key)
    return formed


def prepare(text: str, bound: int | None = None) -> str:
    """``text`` as it is recorded: valid Unicode, secrets masked, cut to the limit with a mark where it was.

    In the place of data URLs, which hold images and the like, stand their type and size.
    """
    if bound is None:
        bound = _gate.limit
    if len(text) <= bound:
        return _whole(text)
    text = _without_data(text)
    over = len(text) - bound
    if over <= 0:
        return _whole(text)
    return clean(f"{mask(text[: bound + _LOOK_BEYOND])[:bound]}… [{over} characters more]")


@lru_cache(maxsize=64)  # what a model says is said again by its turn, as a message, and to the next who answers
def _whole(text: str) -> str:
    return clean(mask(_without_data(text)))


def _without_data(text: str) -> str:
    return _DATA_URL.sub(_type_and_size, text) if "data:" in text else text


_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?P<how>(?:;[^\s,;\"']*)*),(?P<data>[^\s\"'<>()\\]*)")


def _type_and_size(match: re.Match[str]) -> str:
    size = len(match["data"])
    if match["how"].endswith(";base64"):
        size = len(match["data"].rstrip("=")) * 3 // 4
    return f"[{match['type']}, {size} bytes]"


def clean(text: str) -> str:
    """``text`` without lone surrogates, which no exporter can encode."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


# Each pattern is tried only where one of its marks stands in the text, and the marks of a group are looked for only
# where the group's own sign does: most texts have few of the signs.
_SECRETS: dict[str, tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]] = {
    "-": (
        (("sk-", "pk-", "rk-"), re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{12,}")),
        (("glpat-",), re.compile(r"\bglpat-[A-Za-z0-9_-]{16,}")),
        (("xox",), re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}")),
        (
            ("PRIVATE KEY",),
            re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        ),
    ),
    "_": (
        (("sk_", "pk_", "rk_"), re.compile(r"\b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}")),
        (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}")),
        (("github_pat_",), re.compile(r"\bgithub_pat_[A-Za-z0-9_]{20,}")),
        (("hf_",), re.compile(r"\bhf_[A-Za-z0-9]{20,}")),
        (("gsk_",), re.compile(r"\bgsk_[A-Za-z0-9]{20,}")),
    ),
    ":": ((("://",), re.compile(r"(?<=://)[^\s/:@\"']{0,256}:[^\s/@\"']{1,256}(?=@)")),),
    "A": (
        (("AKIA", "ASIA"), re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
        (("AIza",), re.compile(r"\bAIza[0-9A-Za-z_-]{30,}")),
        (("EARER ",), re.compile(r"(?<=EARER )[A-Za-z0-9._~+/=-]{8,}")),
    ),
    "earer ": ((("earer ",), re.compile(r"(?<=earer )[A-Za-z0-9._~+/=-]{8,}")),),
    "asic ": ((("asic ",), re.compile(r"(?<=[Bb]asic )[A-Za-z0-9+/]{12,}={0,2}")),),
    "eyJ": ((("eyJ",), re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),),
}
_MARKED = tuple(
    (sign, tuple((mark, pattern) for marks, pattern in group for mark in marks)) for sign, group in _SECRETS.items()
)
_ASSIGNED = re.compile(
    r"(?:=>|[:=])(?P<space>\s*)\\?(?P<quote>[\"']?)(?P<value>[^\s\"'\\,;}{\[\]()&<>]{8,}|(?<=[\"'])[^\"'\\\n]{8,})"
)
_SECRET_NAME = re.compile(
    r"(?i)(?:api|access|secret|private|account|signing|encryption)[_-]?key|secret|passw(?:or)?d|credential|authorization"
    r"|(?:^|[^a-z]|access|auth|refresh|api|bearer|id|session)[_-]?token"
)
_LONGEST_NAME = 40
_NO_SECRET = re.compile(r"\d{1,9}(?:\.\d*)?|[Bb](?:earer|asic)")


def mask(text: str) -> str:
    """``text`` with API keys, tokens, passwords and private keys masked."""
    for sign, group in _MARKED:
        if sign in text:
            for mark, pattern in group:
                if mark in text:
                    text = pattern.sub(_MASK, text)
    if "=" in text or ":" in text:
        text = _ASSIGNED.sub(_mask_assigned, text)
    return text


def _mask_assigned(match: re.Match[str]) -> str:
    """Mask what is assigned to something named like a secret, but no plain word of prose."""
    whole, value = match.group(), match["value"]
    before = match.string[max(0, match.start() - _LONGEST_NAME) : match.start()].rstrip(" \t\\\"'")
    name = before[max(before.rfind(separator) for separator in " \t\n,;{[(") + 1 :]
    if not _SECRET_NAME.search(name) or _NO_SECRET.fullmatch(value) or value == _MASK:
        return whole
    if match["space"] and not match["quote"] and value.isalpha():
        return whole
    return whole[: -len(value)] + _MASK
