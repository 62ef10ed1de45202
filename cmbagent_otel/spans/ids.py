"""Span and trace ids from random numbers of our own.

The SDK takes them from the module ``random``: then a program that seeds it draws other numbers when it is traced.
"""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from cmbagent_otel.spans.chance import bits


class SystemRandomIdGenerator(RandomIdGenerator):
    """Random ids that leave the program's own random numbers alone."""

    def generate_span_id(self) -> int:
        """64 random bits, not all 0."""
        return bits(64) or 1

    def generate_trace_id(self) -> int:
        """128 random bits, not all 0."""
        return bits(128) or 1
