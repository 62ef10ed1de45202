"""The outermost middleware: a span for each turn, model call, tool call and wait for a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.failure import mark_failed
from cmbagent_otel.instrumentation.ag2 import words
from cmbagent_otel.instrumentation.ag2.attempts import ModelAttempts
from cmbagent_otel.instrumentation.ag2.network import take_handoff, turn_ended
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.instrumentation.metrics import record_model_call
from cmbagent_otel.scope import Node, Scope
from cmbagent_otel.semconv import ErrorType, NodeKind, NodeType, Operation
from cmbagent_otel.spans.chance import new_uuid

_Next: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
_LONGEST_NAME = 256
_PROVIDERS = {
    "Anthropic": "anthropic",
    "Bedrock": "aws.bedrock",
    "Dashscope": "dashscope",
    "Gemini": "gcp.gemini",
    "Mistral": "mistral_ai",
    "Ollama": "ollama",
    "OpenAI": "openai",
    "VertexAI": "gcp.vertex_ai",
    "XAI": "x_ai",
}
"""How the name of AG2's model configuration begins -> ``gen_ai.provider.name``."""


class Outermost:
    """Around everything that the turn does. Each turn has one of its own."""

    def __init__(self, agent: Any, event: Any, context: Any) -> None:
        self.initial_event = event
        self.context = context
        self._agent = agent
        self._name = str(agent.name)

    @classmethod
    def of(cls, agent: Any) -> Callable[[Any, Any], Outermost]:
        """What makes it for a turn of ``agent``."""
        return partial(cls, agent)

    async def on_turn(self, call_next: _Next, event: Any, context: Any) -> Any:
        """An agent's turn."""
        return await _around(call_next, event, context, self._begin_turn, self._turn_returned)

    async def on_llm_call(self, call_next: _Next, events: Any, context: Any) -> Any:
        """A model call, with all its attempts."""
        return await _around(call_next, events, context, self._begin_model, self._model_returned)

    async def on_tool_execution(self, call_next: _Next, event: Any, context: Any) -> Any:
        """A tool call; AG2 gives its error back as a value."""
        return await _around(call_next, event, context, self._begin_tool, self._tool_returned)

    async def on_human_input(self, call_next: _Next, event: Any, context: Any) -> Any:
        """A wait for a person."""
        return await _around(call_next, event, context, self._begin_human, self._human_returned)

    # -- turns -----------------------------------------------------------------------------------------

    def _begin_turn(self, event: Any) -> Node:
        context, scope = scopes.enclosing()
        attributes: dict[str, Any] = {semconv.OPERATION_NAME: Operation.INVOKE_AGENT, semconv.AGENT_NAME: self._name}
        handoff = self._state_handoff(trace.get_current_span(context).get_span_context(), scope, attributes)
        node = scopes.start(
            f"{Operation.INVOKE_AGENT} {self._name}",
            NodeType.SUB_AGENT if scope is not None and scope.in_agent else NodeType.AGENT,
            NodeKind.AGENT,
            attributes,
        )
        node.scope.extra = _Turn(self._name)
        if handoff is not None:
            node.span.add_event(semconv.HANDOFF_EVENT, handoff)
        asked = words.of_request(event)
        _message(node, _asker(scope), self._name, "user", asked)
        if content.is_recorded():
            content.keep_later(node.span, semconv.INPUT_MESSAGES, partial(words.as_messages, "user", asked), len(asked))
        return node

    def _state_handoff(
        self, source: SpanContext, scope: Scope | None, attributes: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Put into the turn's ``attributes`` who handed over to it; returns the attributes of the event."""
        kind = take_handoff()
        turn = scope.extra if scope is not None else None
        source_id = scopes.id_of(source)
        if kind is None or source_id is None or not isinstance(turn, _Turn) or turn.name == self._name:
            return None
        attributes[semconv.HANDOFF_KIND] = kind
        attributes[semconv.HANDOFF_FROM] = source_id
        return {
            semconv.EVENT_ID: new_uuid(),
            semconv.HANDOFF_SOURCE_AGENT: turn.name,
            semconv.HANDOFF_TARGET_AGENT: self._name,
            semconv.HANDOFF_KIND: kind,
        }

    def _turn_returned(self, node: Node, response: Any) -> None:
        turn_ended(node.context)
        said = words.of_response(response)
        _message(node, self._name, None, "assistant", said)
        if content.is_recorded():
            form = partial(words.as_messages, "assistant", said)
            content.keep_later(node.span, semconv.OUTPUT_MESSAGES, form, len(said))

    # -- models ----------------------------------------------------------------------------------------

    def _begin_model(self, events: Any) -> Node:
        config = getattr(self._agent, "config", None)
        model = _model(config)
        attributes: dict[str, Any] = {
            semconv.OPERATION_NAME: Operation.CHAT,
            semconv.REQUEST_MODEL: model,
            semconv.AGENT_NAME: self._name,
        }
        provider = _provider(type(config).__name__)
        if provider is not None:
            attributes[semconv.PROVIDER_NAME] = provider
        if getattr(config, "streaming", False) is True:
            attributes[semconv.REQUEST_STREAM] = True
        node = scopes.start(f"{Operation.CHAT} {model}", NodeType.LLM, NodeKind.LLM, attributes, kind=SpanKind.CLIENT)
        ModelAttempts(node)
        if content.is_recorded():
            content.keep(node.span, semconv.INPUT_MESSAGES, words.as_conversation(words.new_part(events)))
        return node

    def _model_returned(self, node: Node, response: Any) -> None:
        attributes: dict[str, Any] = {
            key: str(value)
            for name, key in (("model", semconv.RESPONSE_MODEL), ("response_id", semconv.RESPONSE_ID))
            if (value := getattr(response, name, None))
        }
        if response.provider and _provider(type(getattr(self._agent, "config", None)).__name__) is None:
            attributes[semconv.PROVIDER_NAME] = str(response.provider)
        if response.finish_reason:
            attributes[semconv.RESPONSE_FINISH_REASONS] = [str(response.finish_reason)]
        for name, key in _TOKENS:
            tokens = getattr(response.usage, name, None)
            if tokens:
                attributes[key] = int(tokens)
        node.span.set_attributes(attributes)
        if content.is_recorded():
            content.keep(node.span, semconv.OUTPUT_MESSAGES, words.as_conversation([response]))

    # -- tools -----------------------------------------------------------------------------------------

    def _begin_tool(self, event: Any) -> Node:
        return _begin_tool(event, self._name)

    def _tool_returned(self, node: Node, result: Any) -> None:
        error = getattr(result, "error", None)
        if isinstance(error, BaseException):
            mark_failed(node.span, error)
        if content.is_recorded():
            content.capture(node.span, semconv.TOOL_CALL_RESULT, words.of_result(result))

    # -- people ----------------------------------------------------------------------------------------

    def _begin_human(self, event: Any) -> Node:
        node = scopes.start(
            f"{Operation.AWAIT_HUMAN_INPUT} {self._name}",
            NodeType.APPROVAL,
            NodeKind.APPROVAL,
            {semconv.OPERATION_NAME: Operation.AWAIT_HUMAN_INPUT, semconv.AGENT_NAME: self._name},
        )
        if content.is_recorded():
            content.capture(node.span, semconv.HUMAN_PROMPT, str(event.content))
        return node

    def _human_returned(self, node: Node, answer: Any) -> None:
        if content.is_recorded():
            content.capture(node.span, semconv.HUMAN_RESPONSE, str(getattr(answer, "content", answer)))


_TOKENS = (
    ("prompt_tokens", semconv.USAGE_INPUT_TOKENS),
    ("completion_tokens", semconv.USAGE_OUTPUT_TOKENS),
    ("cache_read_input_tokens", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("cache_creation_input_tokens", semconv.USAGE_CACHE_WRITE_INPUT_TOKENS),
    ("thinking_tokens", semconv.USAGE_REASONING_OUTPUT_TOKENS),
)


class _Turn:
    """What the calls below a turn know of it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _begin_tool(call: Any, agent: str) -> Node:
    name = content.clean(str(call.name))[:_LONGEST_NAME]
    node = scopes.start(
        f"{Operation.EXECUTE_TOOL} {name}",
        NodeType.TOOL,
        NodeKind.TOOL,
        {
            semconv.OPERATION_NAME: Operation.EXECUTE_TOOL,
            semconv.TOOL_NAME: name,
            semconv.TOOL_TYPE: "function",
            semconv.TOOL_CALL_ID: content.clean(str(call.id))[:_LONGEST_NAME],
            semconv.TOOL_CALLER: agent,
            semconv.TOOL_EXECUTOR: agent,
            semconv.AGENT_NAME: agent,
        },
    )
    if content.is_recorded():
        content.capture(node.span, semconv.TOOL_CALL_ARGUMENTS, str(call.arguments))
    return node


def look_at_unknown_tool(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """``ToolErrorEvent.from_call``: of a tool that nobody has, AG2 tells the model without asking any middleware."""
    scope = scopes.enclosing()[1]
    turn = scope.extra if scope is not None else None
    if cls.__name__ != "ToolNotFoundEvent" or not isinstance(turn, _Turn) or scopes.is_quiet():
        return
    node = _begin_tool(args[0] if args else kwargs["call"], turn.name)
    node.span.set_attribute(semconv.ERROR_TYPE, ErrorType.TOOL_NOT_FOUND)
    node.span.set_status(Status(StatusCode.ERROR))
    node.end()


def _asker(scope: Scope | None) -> str:
    found = scope.extra if scope is not None else None
    return found.name if isinstance(found, _Turn) else "user"


async def _around(
    call_next: _Next, given: Any, context: Any, begin: Callable[[Any], Node], returned: Callable[[Node, Any], None]
) -> Any:
    """The next middleware, exactly once, within a span; our own faults never reach the program."""
    try:
        node = begin(given).attach()
    except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
        fault(begin.__qualname__, problem)
        return await call_next(given, context)
    try:
        result = await call_next(given, context)
    except BaseException as error:
        _end(node, error)
        raise
    try:
        returned(node, result)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
        fault(returned.__qualname__, problem)
    _end(node, None)
    return result


def _end(node: Node, error: BaseException | None) -> None:
    try:
        attempts = node.scope.extra
        is_model = isinstance(attempts, ModelAttempts) and attempts.node is node
        if is_model:
            total = attempts.total(answered=error is None)
            if total > 1:
                node.span.set_attribute(semconv.LLM_ATTEMPTS, total)
            node.scope.extra = None
        node.end(error)
        if is_model:
            record_model_call(node.span)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
        fault("_end", problem)


def _message(node: Node, sender: str, recipient: str | None, role: str, text: str) -> None:
    if not node.span.is_recording():
        return
    attributes = {
        semconv.EVENT_ID: new_uuid(),
        semconv.MESSAGE_SENDER: sender,
        semconv.MESSAGE_ROLE: role,
    }
    if recipient is not None:
        attributes[semconv.MESSAGE_RECIPIENT] = recipient
    content.capture_event(node.span, semconv.MESSAGE_EVENT, attributes, semconv.MESSAGE_CONTENT, text)


def _model(config: Any) -> str:
    """The model that a configuration names; one of the program's own need not."""
    try:
        return str(getattr(config, "model", None) or "unknown")
    except NotImplementedError:
        return "unknown"


def _provider(config_class: str) -> str | None:
    return next((name for start, name in _PROVIDERS.items() if config_class.startswith(start)), None)
