"""Span and trace ids from the system's random numbers.

The SDK takes them from the module ``random``: then a program that seeds it draws other numbers when it is traced.
"""

from __future__ import annotations

import secrets

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import INVALID_SPAN_ID, INVALID_TRACE_ID


class SystemRandomIdGenerator(RandomIdGenerator):
    """Random ids that leave the program's own random numbers alone."""

    def generate_span_id(self) -> int:
        """64 random bits."""
        return secrets.randbits(64) or INVALID_SPAN_ID + 1

    def generate_trace_id(self) -> int:
        """128 random bits."""
        return secrets.randbits(128) or INVALID_TRACE_ID + 1
