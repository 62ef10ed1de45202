"""What a test sees of the spans."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from tests.scenarios.trace import Trace


class Recorder(SpanProcessor):
    """Keeps what begins and what ends."""

    def __init__(self) -> None:
        self.begun: list[Span] = []
        self.ended: list[ReadableSpan] = []

    @property
    def trace(self) -> Trace:
        """What has ended."""
        return Trace(self.ended)

    @property
    def left_open(self) -> list[str]:
        """What has not."""
        return [span.name for span in self.begun if span.end_time is None]

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Keep it."""
        self.begun.append(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it."""
        self.ended.append(span)
