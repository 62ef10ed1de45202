"""The spans of a scenario, read as a person would tell them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import dedent
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan

from cmbagent_otel import semconv
from cmbagent_otel.scope import id_of
from cmbagent_otel.testing import Usage


class Trace:
    """Ended spans, and questions about them."""

    def __init__(self, spans: Sequence[ReadableSpan]) -> None:
        self.spans = sorted(spans, key=lambda span: (span.start_time, span.context.span_id))
        self._children: dict[int | None, list[ReadableSpan]] = {}
        for span in self.spans:
            self._children.setdefault(span.parent.span_id if span.parent else None, []).append(span)

    @property
    def traces(self) -> set[int]:
        """Trace ids."""
        return {span.context.trace_id for span in self.spans}

    @property
    def roots(self) -> list[ReadableSpan]:
        """Spans without a parent."""
        return self._children.get(None, [])

    @property
    def orphans(self) -> list[str]:
        """Spans whose parent is not there."""
        known = {span.context.span_id for span in self.spans}
        return [span.name for span in self.spans if span.parent is not None and span.parent.span_id not in known]

    def outline(self) -> str:
        """The tree, a span a line; ``!`` and the error's type behind those that failed."""
        return "\n".join(self._lines(None, 0))

    def _lines(self, parent: int | None, depth: int) -> Iterator[str]:
        for span in self._children.get(parent, []):
            failed = "" if span.status.is_unset else f" ! {attribute(span, semconv.ERROR_TYPE)}"
            yield f"{'  ' * depth}{span.name}{failed}"
            yield from self._lines(span.context.span_id, depth + 1)

    def of(self, kind: str) -> list[ReadableSpan]:
        """The spans of a :class:`~cmbagent_otel.semconv.NodeKind`, in order of their start."""
        return [span for span in self.spans if attribute(span, semconv.NODE_KIND) == kind]

    def named(self, name: str) -> ReadableSpan:
        """The only span of that name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def parent_of(self, span: ReadableSpan) -> str | None:
        """The name of a span's parent."""
        parent = span.parent
        return next((other.name for other in self.spans if parent and other.context.span_id == parent.span_id), None)

    @property
    def tokens(self) -> Usage:
        """The sum over all spans, whatever they are."""
        keys = (semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS, semconv.USAGE_CACHE_READ_INPUT_TOKENS)
        return Usage(*(sum(attribute(span, key) or 0 for span in self.spans) for key in keys))

    @property
    def messages(self) -> list[tuple[str, str | None]]:
        """Sender and recipient of each message, in order."""
        return [
            (moment.attributes[semconv.MESSAGE_SENDER], moment.attributes.get(semconv.MESSAGE_RECIPIENT))
            for moment in self.events(semconv.MESSAGE_EVENT)
        ]

    @property
    def handoffs(self) -> list[tuple[str, str, str]]:
        """From, to and kind of each handoff, in order; each is checked against the edge that its turn states."""
        found = []
        for span in self.of(semconv.NodeKind.AGENT):
            for moment in moments(span, semconv.HANDOFF_EVENT):
                source, target = (
                    moment.attributes[key] for key in (semconv.HANDOFF_SOURCE_AGENT, semconv.HANDOFF_TARGET_AGENT)
                )
                (turn,) = [
                    other for other in self.spans if id_of(other.context) == attribute(span, semconv.HANDOFF_FROM)
                ]
                assert attribute(turn, semconv.AGENT_NAME) == source
                assert attribute(span, semconv.AGENT_NAME) == target
                found.append((source, target, moment.attributes[semconv.HANDOFF_KIND]))
        return found

    def events(self, name: str) -> list[Moment]:
        """All span events of that name, in order of time."""
        found = [moment for span in self.spans for moment in moments(span, name)]
        return sorted(found, key=lambda moment: moment.timestamp)


class Moment(NamedTuple):
    """A span event."""

    timestamp: int
    attributes: dict[str, Any]


def moments(span: ReadableSpan, name: str) -> list[Moment]:
    """The events of that name on one span."""
    return [Moment(event.timestamp, dict(event.attributes or {})) for event in span.events if event.name == name]


def attribute(span: ReadableSpan, key: str) -> Any:
    """An attribute, or None."""
    return (span.attributes or {}).get(key)


def lines(text: str) -> str:
    """An outline as it stands in a test."""
    return dedent(text).strip()
