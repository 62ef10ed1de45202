"""Tool calls: ``execute_function`` and its async twin. A call hangs under the turn that asked for it."""

from __future__ import annotations

import inspect
import time
import types
from collections.abc import Callable, Mapping
from typing import Any

import wrapt
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.failure import mark_failed
from cmbagent_otel.instrumentation.autogen import message as messages_of
from cmbagent_otel.instrumentation.autogen.handoff import note_tool_result
from cmbagent_otel.instrumentation.autogen.kinds import name_of
from cmbagent_otel.instrumentation.autogen.neighbours import TOOL, has_recorded
from cmbagent_otel.instrumentation.autogen.state import Chat, ChatCall, call_of, chat_of, is_own_super
from cmbagent_otel.instrumentation.calls import Call
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.scope import Node
from cmbagent_otel.semconv import ErrorType, NodeKind, NodeType, Operation

_LONGEST_NAME = 256
"""Characters of a tool's name that are kept: a model may say anything."""
_BAD_ARGUMENTS = "invalid_arguments"


class ToolCall(ChatCall):
    """A tool runs."""

    __slots__ = ("error_seen", "known")

    def __init__(self, node: Node, agent: Any, chat: Chat | None, *, known: bool) -> None:
        super().__init__(node, agent, chat)
        self.known = known
        """Whether the agent has a function of that name."""
        self.error_seen = False

    def failed(self, error: BaseException) -> None:
        """The function raised; AG2 itself keeps only the words."""
        self.error_seen = True
        try:
            mark_failed(self.node.span, error)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
            fault("ToolCall.failed", problem)

    def returned(self, result: Any) -> None:
        """The outcome, as AG2 tells it to the model."""
        succeeded, response = result
        span = self.node.span
        if not succeeded and not self.error_seen:
            span.set_attribute(semconv.ERROR_TYPE, _BAD_ARGUMENTS if self.known else ErrorType.TOOL_NOT_FOUND)
            span.set_status(Status(StatusCode.ERROR))
        said = response.get("content")
        if succeeded and self.chat is not None:
            note_tool_result(self.chat, said)
        if content.is_recorded():
            content.capture(span, semconv.TOOL_CALL_RESULT, messages_of.as_text(said))

    def close(self, error: BaseException | None) -> None:
        """End the span; under a group's tool executor it stays open for the executor's message."""
        executor = self.chat.executor if self.chat is not None else None
        if executor is not None and executor.instance is self.instance:
            node = self.node
            del self.node
            executor.hold(node, error)
        else:
            super().close(error)


class _Super(Call):
    """AG2's own method under an override that is traced already: no span, but it is there that the tool runs."""

    __slots__ = ()

    def __init__(self, traced: ToolCall, function: Callable[..., Any]) -> None:
        super().__init__(traced.node, function)

    def close(self, error: BaseException | None) -> None:
        """Leave the span to the override."""


class ExecutorCall(Call):
    """A group's tool executor answers: no turn; what it says is a message of the last tool that it ran."""

    __slots__ = ("chat", "held", "instance", "sender")

    def __init__(self, executor: Any, chat: Chat, sender: Any) -> None:
        self.instance = executor
        self.chat = chat
        self.sender = sender
        self.held: tuple[Node, int] | None = None
        self.function = None
        chat.executor = self

    def hold(self, node: Node, error: BaseException | None) -> None:
        """Keep the span of a tool that is done until it is known whether it was the last."""
        end_time = time.time_ns()
        node.leave()
        if error is not None:
            mark_failed(node.span, error)
        self._release()
        self.held = (node, end_time)

    def returned(self, result: Any) -> None:
        """The executor's message."""
        if self.held is not None and result is not None:
            messages_of.record(self.held[0].span, name_of(self.instance), "assistant", self.sender, result)
            self.chat.speaker = self.instance

    def close(self, error: BaseException | None) -> None:
        """End what is held."""
        self.chat.executor = None
        self._release()

    def _release(self) -> None:
        if self.held is not None:
            node, end_time = self.held
            self.held = None
            node.span.end(end_time)


def begin_tool(original: Callable[..., Any], agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """A tool call, under the turn whose model asked for it, else under what encloses it."""
    requested: Mapping[str, Any] = args[0] if args else kwargs["func_call"]
    call_id = args[1] if len(args) > 1 else kwargs.get("call_id")
    context, scope = scopes.enclosing()
    traced = call_of(scope)
    if isinstance(traced, ToolCall) and is_own_super(scope, NodeKind.TOOL, agent):
        return _Super(traced, _watched_by(traced, original)) if _is_ag2s(original) else None
    if has_recorded(context, TOOL):
        return None
    chat = chat_of(scope)
    asker = chat.asker(call_id) if chat is not None else None
    name = content.clean(str(requested.get("name", "")))[:_LONGEST_NAME]
    executor = name_of(agent)
    attributes: dict[str, Any] = {
        semconv.OPERATION_NAME: Operation.EXECUTE_TOOL,
        semconv.TOOL_NAME: name,
        semconv.TOOL_TYPE: "function",
        semconv.TOOL_EXECUTOR: executor,
        semconv.AGENT_NAME: executor,
    }
    if call_id is not None:
        attributes[semconv.TOOL_CALL_ID] = content.clean(str(call_id))[:_LONGEST_NAME]
    if asker is not None:
        attributes[semconv.TOOL_CALLER] = attributes[semconv.AGENT_NAME] = asker.name
        context = trace.set_span_in_context(asker.node.span, context)
        scope = asker.node.scope
    node = scopes.start(
        f"{Operation.EXECUTE_TOOL} {name}", NodeType.TOOL, NodeKind.TOOL, attributes, context=context, scope=scope
    )
    known = requested.get("name", "") in getattr(agent, "_function_map", ())
    call = ToolCall(node, agent, chat, known=known)
    if known and _is_ag2s(original):
        call.function = _watched_by(call, original)
    if content.is_recorded():
        given = requested.get("arguments")
        content.capture(node.span, semconv.TOOL_CALL_ARGUMENTS, messages_of.as_text(given))
    node.attach()
    return call


def _is_ag2s(method: Callable[..., Any]) -> bool:
    """Whether it is AG2's own: an override gets the agent itself, and may keep it."""
    return isinstance(method, types.MethodType) and method.__func__.__module__.startswith("autogen.")


def _watched_by(call: ToolCall, method: Any) -> Callable[..., Any]:
    return types.MethodType(method.__func__, _Watched(method.__self__, call))


class _Watched(wrapt.ObjectProxy):  # type: ignore[type-arg] # wrapt 1 has no type parameters
    """The agent, as its own ``execute_function`` sees it for one call: the tools tell us what they raise."""

    def __init__(self, agent: Any, call: ToolCall) -> None:
        super().__init__(agent)
        self._self_call = call

    @property
    def _function_map(self) -> Any:
        return _WatchedFunctions(self.__wrapped__._function_map, self._self_call)  # noqa: SLF001


class _WatchedFunctions(wrapt.ObjectProxy):  # type: ignore[type-arg] # as above
    def __init__(self, functions: Mapping[str, Any], call: ToolCall) -> None:
        super().__init__(functions)
        self._self_call = call

    def get(self, name: str, default: Any = None) -> Any:
        function = self.__wrapped__.get(name, default)
        return function if function is None else wrapt.FunctionWrapper(function, _watch(self._self_call))


def _watch(call: ToolCall) -> Callable[..., Any]:
    def wrapper(original: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        return awaited(result) if inspect.iscoroutine(result) else result

    async def awaited(coroutine: Any) -> Any:
        try:
            return await coroutine
        except BaseException as error:
            call.failed(error)
            raise

    return wrapper
