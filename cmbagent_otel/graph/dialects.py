"""What spans that are not ours say, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind, Operation
from cmbagent_otel.spans.record import SpanRecord

_OPERATIONS: dict[str, str] = {
    Operation.CHAT: NodeKind.LLM,
    Operation.TEXT_COMPLETION: NodeKind.LLM,
    Operation.GENERATE_CONTENT: NodeKind.LLM,
    Operation.EMBEDDINGS: NodeKind.LLM,
    Operation.INVOKE_AGENT: NodeKind.AGENT,
    Operation.INVOKE_WORKFLOW: NodeKind.WORKFLOW,
    Operation.EXECUTE_TOOL: NodeKind.TOOL,
    Operation.EXECUTE_CODE: NodeKind.CODE,
    Operation.AWAIT_HUMAN_INPUT: NodeKind.APPROVAL,
}


def translate(span: SpanRecord) -> Mapping[str, Any] | None:
    """Our attributes for a foreign span, to be laid over its own; None where no dialect knows it."""
    kind = _OPERATIONS.get(str(span.attributes.get(semconv.OPERATION_NAME)))
    return None if kind is None else {semconv.NODE_TYPE: kind, semconv.NODE_KIND: kind}
