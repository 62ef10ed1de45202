"""What spans that are not ours say, in our words.

Four dialects are known: both AG2s' own tracing, OpenInference, and the OpenTelemetry GenAI conventions with
the names that they had before. Only a span of a model call becomes an LLM node, so tokens that AG2 and others
repeat on the agent and chat around it are counted once. Nothing is inferred beyond the span: no flow edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmbagent_otel import semconv
from cmbagent_otel.graph.values import structured
from cmbagent_otel.semconv import NodeKind, Operation
from cmbagent_otel.spans.record import SpanRecord


def translate(span: SpanRecord) -> Mapping[str, Any] | None:
    """Our attributes for a foreign span, to be laid over its own; None where no dialect knows it."""
    attributes = span.attributes
    found: tuple[str, dict[str, Any]] | None
    if semconv.AG2_SPAN_TYPE in attributes:
        found = _ag2(span)
    elif semconv.OPENINFERENCE_SPAN_KIND in attributes:
        found = _openinference(span)
    else:
        found = _genai(attributes)
    if found is None:
        return None
    kind, said = found
    if kind == NodeKind.LLM and attributes.get(semconv.LLM_INNER):
        kind = NodeKind.SPAN  # the model call around it is ours, and counted
    said = {key: value for key, value in said.items() if value is not None}
    return {**said, semconv.NODE_TYPE: kind, semconv.NODE_KIND: kind}


# -- OpenTelemetry GenAI ---------------------------------------------------------------------------------

_OPERATIONS: Mapping[str, str] = {
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
_EARLIER_NAMES: tuple[tuple[str, str], ...] = (
    (semconv.PROVIDER_NAME, semconv.DEPRECATED_SYSTEM),
    (semconv.USAGE_INPUT_TOKENS, semconv.DEPRECATED_PROMPT_TOKENS),
    (semconv.USAGE_OUTPUT_TOKENS, semconv.DEPRECATED_COMPLETION_TOKENS),
)


def _genai(attributes: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    kind = _OPERATIONS.get(str(attributes.get(semconv.OPERATION_NAME)))
    return None if kind is None else (kind, _renamed(attributes, _EARLIER_NAMES))


# -- AG2, classic and 1.x --------------------------------------------------------------------------------

_AG2_TYPES: Mapping[str, str] = {
    "conversation": NodeKind.CHAT,
    "multi_conversation": NodeKind.CHAT,
    "agent": NodeKind.AGENT,
    "llm": NodeKind.LLM,
    "tool": NodeKind.TOOL,
    "code_execution": NodeKind.CODE,
    "human_input": NodeKind.APPROVAL,
    "speaker_selection": NodeKind.SPEAKER_SELECTION,
}
_AG2_NAMES: tuple[tuple[str, str], ...] = (
    (semconv.USAGE_CACHE_READ_INPUT_TOKENS, semconv.AG2_CACHE_READ_INPUT_TOKENS),
    (semconv.USAGE_CACHE_WRITE_INPUT_TOKENS, semconv.AG2_CACHE_CREATION_INPUT_TOKENS),
    (semconv.USAGE_REASONING_OUTPUT_TOKENS, semconv.AG2_THINKING_TOKENS),
    (semconv.SPEAKER_SELECTED, semconv.AG2_SPEAKER_SELECTED),
    (semconv.PROCESS_EXIT_CODE, semconv.AG2_CODE_EXIT_CODE),
    (semconv.CODE_OUTPUT, semconv.AG2_CODE_OUTPUT),
    (semconv.HUMAN_PROMPT, semconv.AG2_HUMAN_PROMPT),
    (semconv.HUMAN_RESPONSE, semconv.AG2_HUMAN_RESPONSE),
)
# Model calls that AG2 1.x reports by their usage alone. Of `model_call` and `subtask` it has the calls too.
_AG2_UNSEEN_CALLS = ("compaction", "aggregation")
_AG2_CODE_TOOL = "run_code"


def _ag2(span: SpanRecord) -> tuple[str, dict[str, Any]]:
    attributes = span.attributes
    kind = _AG2_TYPES.get(str(attributes[semconv.AG2_SPAN_TYPE]), NodeKind.SPAN)
    said = _renamed(attributes, _AG2_NAMES)
    if kind == NodeKind.CHAT:
        return _chat(span, attributes.get(semconv.AGENT_NAME), said)
    if kind == NodeKind.TOOL and attributes.get(semconv.TOOL_NAME) == _AG2_CODE_TOOL:
        kind = NodeKind.CODE
    elif kind == NodeKind.CODE and semconv.AG2_CODE_EXIT_CODE not in attributes:
        kind = NodeKind.SPAN  # the agent was asked for code to run, and there was none
    elif attributes.get(semconv.AG2_USAGE_KIND) in _AG2_UNSEEN_CALLS:
        kind = NodeKind.LLM
    if attributes.get(semconv.PROVIDER_NAME) == "responses":
        said[semconv.PROVIDER_NAME] = "openai"  # the name of OpenAI's second API, not of a vendor
    reasons = attributes.get(semconv.RESPONSE_FINISH_REASONS)
    if isinstance(reasons, str):
        said[semconv.RESPONSE_FINISH_REASONS] = structured(reasons)
    return kind, said


def _chat(span: SpanRecord, name: Any, said: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A chat inside something is a chat; one that nothing encloses is the workflow of its trace."""
    if span.parent_span_id is None:
        return NodeKind.WORKFLOW, {**said, semconv.WORKFLOW_NAME: name}
    return NodeKind.CHAT, {**said, semconv.CHAT_NAME: name}


# -- OpenInference ---------------------------------------------------------------------------------------

_OPENINFERENCE_KINDS: Mapping[str, str] = {
    "LLM": NodeKind.LLM,
    "EMBEDDING": NodeKind.LLM,
    "AGENT": NodeKind.AGENT,
    "TOOL": NodeKind.TOOL,
}
_OPENINFERENCE_NAMES: tuple[tuple[str, str], ...] = (
    (semconv.AGENT_NAME, semconv.OPENINFERENCE_AGENT_NAME),
    (semconv.REQUEST_MODEL, semconv.OPENINFERENCE_EMBEDDING_MODEL_NAME),
    (semconv.REQUEST_MODEL, semconv.OPENINFERENCE_MODEL_NAME),
    (semconv.PROVIDER_NAME, semconv.OPENINFERENCE_SYSTEM),
    (semconv.PROVIDER_NAME, semconv.OPENINFERENCE_PROVIDER),
    (semconv.USAGE_INPUT_TOKENS, semconv.OPENINFERENCE_PROMPT_TOKENS),
    (semconv.USAGE_OUTPUT_TOKENS, semconv.OPENINFERENCE_COMPLETION_TOKENS),
    (semconv.USAGE_CACHE_READ_INPUT_TOKENS, semconv.OPENINFERENCE_CACHE_READ_TOKENS),
    (semconv.USAGE_CACHE_WRITE_INPUT_TOKENS, semconv.OPENINFERENCE_CACHE_WRITE_TOKENS),
    (semconv.USAGE_REASONING_OUTPUT_TOKENS, semconv.OPENINFERENCE_REASONING_TOKENS),
    (semconv.TOOL_NAME, semconv.OPENINFERENCE_TOOL_NAME),
    (semconv.TOOL_CALL_ID, semconv.OPENINFERENCE_TOOL_CALL_ID),
)
_OPENINFERENCE_CONTENT: Mapping[str, tuple[str, str]] = {
    NodeKind.TOOL: (semconv.TOOL_CALL_ARGUMENTS, semconv.TOOL_CALL_RESULT),
    NodeKind.AGENT: (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES),
    NodeKind.LLM: (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES),
}


def _openinference(span: SpanRecord) -> tuple[str, dict[str, Any]]:
    attributes = span.attributes
    kind = _OPENINFERENCE_KINDS.get(str(attributes[semconv.OPENINFERENCE_SPAN_KIND]), NodeKind.SPAN)
    said = _renamed(attributes, _OPENINFERENCE_NAMES)
    if kind == NodeKind.AGENT and semconv.OPENINFERENCE_RECIPIENT_NAME in attributes:
        return _chat(span, attributes.get(semconv.OPENINFERENCE_AGENT_NAME), said)
    if kind in _OPENINFERENCE_CONTENT:
        inputs, outputs = _OPENINFERENCE_CONTENT[kind]
        said[inputs] = attributes.get(semconv.OPENINFERENCE_INPUT)
        said[outputs] = attributes.get(semconv.OPENINFERENCE_OUTPUT)
    if (reason := attributes.get(semconv.OPENINFERENCE_FINISH_REASON)) is not None:
        said[semconv.RESPONSE_FINISH_REASONS] = (reason,)
    return kind, said


def _renamed(attributes: Mapping[str, Any], names: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Our key for each of theirs; the later of two with the same meaning wins."""
    return {ours: attributes[theirs] for ours, theirs in names if theirs in attributes}
