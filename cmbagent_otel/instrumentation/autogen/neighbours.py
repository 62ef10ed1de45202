"""AG2's own tracing beside ours: where the program put it on an agent, that is what it wants, and it wins there.

Its wrappers stand on single agents, outside of ours. So the span around a hooked call may already be the one that we
would make; then we make none, and there is one of each. Only where its spans go to the same place as ours: one that
is sent elsewhere takes nothing from our trace, and our spans keep their own parents.
"""

from __future__ import annotations

import sys

from opentelemetry import trace
from opentelemetry.context import Context

from cmbagent_otel import scope as scopes
from cmbagent_otel.destination import is_our_destination
from cmbagent_otel.semconv import AG2_SPAN_TYPE

_MODULE = "autogen.opentelemetry"
CONVERSATION = frozenset({"conversation"})
AGENT = frozenset({"agent"})
LLM = frozenset({"llm"})
TOOL = frozenset({"tool"})
CODE = frozenset({"code_execution"})
HUMAN = frozenset({"human_input"})


def has_recorded(context: Context, span_types: frozenset[str]) -> bool:
    """Whether the span around here is AG2's own for this very call, and goes where ours go."""
    if _MODULE not in sys.modules or scopes.is_ours(context):
        return False
    span = trace.get_current_span(context)
    attributes = getattr(span, "attributes", None)
    return attributes is not None and attributes.get(AG2_SPAN_TYPE) in span_types and is_our_destination(span)
