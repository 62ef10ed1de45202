"""LLM calls: ``OpenAIWrapper.create``, one span for each logical call, whatever the vendor's client tried."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.failure import type_name
from cmbagent_otel.instrumentation.autogen import answer
from cmbagent_otel.instrumentation.autogen import message as messages_of
from cmbagent_otel.instrumentation.autogen.kinds import name_of
from cmbagent_otel.instrumentation.autogen.neighbours import LLM, has_recorded
from cmbagent_otel.instrumentation.autogen.state import Chat, ChatCall, chat_of, is_own_super
from cmbagent_otel.instrumentation.calls import Switch, Wrapper
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.instrumentation.metrics import record_model_call
from cmbagent_otel.scope import Node
from cmbagent_otel.semconv import NodeKind, NodeType, Operation

_PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "google": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "openai": "openai",
    "responses": "openai",
}
"""AG2's ``api_type`` -> ``gen_ai.provider.name``; one that is not here is its own name."""
_REQUEST = (
    ("temperature", semconv.REQUEST_TEMPERATURE),
    ("top_p", semconv.REQUEST_TOP_P),
    ("max_tokens", semconv.REQUEST_MAX_TOKENS),
    ("seed", semconv.REQUEST_SEED),
)


class ModelCall(ChatCall):
    """A model is asked."""

    __slots__ = ("billed", "cached", "failures")

    def __init__(self, node: Node, wrapper: Any, chat: Chat | None) -> None:
        ChatCall.__init__(self, node, wrapper, chat)
        self.billed: list[Mapping[str, Any]] = []
        """Usage as AG2 read it from each answer of the vendor; several where a filter refused some."""
        self.cached = False
        self.failures = 0

    def attempt_failed(self, error_type: str, status_code: int | None) -> None:
        """The vendor did not answer; it may be asked again."""
        self.failures += 1
        attributes: dict[str, Any] = {semconv.LLM_ATTEMPT_NUMBER: self.failures, semconv.ERROR_TYPE: error_type}
        if status_code is not None:
            attributes[semconv.HTTP_STATUS_CODE] = status_code
        self.node.span.add_event(semconv.LLM_ATTEMPT_EVENT, attributes)

    def returned(self, result: Any) -> None:
        """The answer: who gave it, why it ended, and what it cost."""
        span = self.node.span
        attributes = answer.describe(result)
        entry = _entry_that_answered(self.instance, result)
        if entry is not None:
            attributes[semconv.REQUEST_MODEL] = str(entry.get("model") or "unknown")
            attributes[semconv.PROVIDER_NAME] = _provider({}, entry)
        if self.billed:
            attributes |= self._tokens()
            answer.add_details(result, attributes)
        elif self.cached:
            attributes[semconv.LLM_CACHED] = True
        span.set_attributes(attributes)
        if content.is_recorded():
            reason = next(iter(attributes.get(semconv.RESPONSE_FINISH_REASONS, ())), None)
            said = answer.messages(result)
            messages_of.keep(span, semconv.OUTPUT_MESSAGES, said, role="assistant", finish_reason=reason)

    def raised(self, error: BaseException) -> None:
        """Answers that were billed before it went wrong."""
        if self.billed:
            self.node.span.set_attributes(self._tokens())

    def close(self, error: BaseException | None) -> None:
        """End the span, with how often the vendor was asked if that was more than once."""
        attempts = self.failures + (error is None)
        if attempts > 1:
            self.node.span.set_attribute(semconv.LLM_ATTEMPTS, attempts)
        span = self.node.span
        ChatCall.close(self, error)
        record_model_call(span)

    def _tokens(self) -> dict[str, int]:
        given = said = 0
        for usage in self.billed:
            tokens = usage.get("prompt_tokens")
            given += tokens if isinstance(tokens, int) else 0
            tokens = usage.get("completion_tokens")
            said += tokens if isinstance(tokens, int) else 0
        return {semconv.USAGE_INPUT_TOKENS: given, semconv.USAGE_OUTPUT_TOKENS: said}


def begin_model(
    original: Callable[..., Any], wrapper: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ModelCall | None:
    """A logical call; the entry of the ``config_list`` that is asked first names model and vendor."""
    context, scope = scopes.enclosing()
    if is_own_super(scope, NodeKind.LLM, wrapper) or has_recorded(context, LLM):
        return None
    chat = chat_of(scope)
    entry = _first_entry(wrapper)
    model = str(kwargs.get("model") or entry.get("model") or "unknown")
    attributes: dict[str, Any] = {
        semconv.OPERATION_NAME: Operation.CHAT,
        semconv.REQUEST_MODEL: model,
        semconv.PROVIDER_NAME: _provider(kwargs, entry),
    }
    agent = kwargs.get("agent")
    if agent is not None:
        attributes[semconv.AGENT_NAME] = name_of(agent)
    _asked_for({**entry, **kwargs}, attributes)
    _server(wrapper, attributes)
    node = scopes.start(
        f"{Operation.CHAT} {model}",
        NodeType.LLM,
        NodeKind.LLM,
        attributes,
        kind=SpanKind.CLIENT,
        context=context,
        scope=scope,
    )
    call = ModelCall(node, wrapper, chat)
    if content.is_recorded():
        _capture_input(node, chat, agent, kwargs.get("messages") or ())
    node.attach()
    return call


def _asked_for(config: Mapping[str, Any], attributes: dict[str, Any]) -> None:
    """What shapes the answer."""
    for name, key in _REQUEST:
        value = config.get(name)
        if value is not None and isinstance(value, int | float):
            attributes[key] = value
    choices = config.get("n")
    if isinstance(choices, int) and choices != 1:
        attributes[semconv.REQUEST_CHOICE_COUNT] = choices
    if config.get("stream"):
        attributes[semconv.REQUEST_STREAM] = True


def look_at_usage(wrapper: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """``OpenAIWrapper._update_usage``: called once for each answer, without an actual usage where it was cached."""
    actual = kwargs["actual_usage"] if "actual_usage" in kwargs else args[0]
    call = _current()
    if call is None:
        return
    if actual is None:
        call.cached = True
    else:
        call.billed.append(actual)


def look_at_retry(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """``SyncAPIClient._sleep_for_retry`` of the OpenAI library: an attempt has failed, and there will be another."""
    call = _current()
    if call is None:
        return
    status_code = getattr(kwargs.get("response"), "status_code", None)
    problem = sys.exception()
    if status_code is not None:
        call.attempt_failed(str(status_code), status_code)
    else:
        call.attempt_failed(type_name(problem) if problem is not None else "_OTHER", None)


def noting_failure(switch: Switch) -> Wrapper:
    """Wrapper of ``OpenAIClient.create``: its last attempt has failed; AG2 may go on with the next of its configs."""

    def wrapper(original: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return original(*args, **kwargs)
        except Exception as error:
            try:
                call = _current() if switch.on else None
                if call is not None:
                    call.attempt_failed(type_name(error), getattr(error, "status_code", None))
            except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
                fault("noting_failure", problem)
            raise

    return wrapper


def _current() -> ModelCall | None:
    scope = scopes.scope_of()
    call = scope.extra if scope is not None else None
    return call if type(call) is ModelCall else None


def _entry_that_answered(wrapper: Any, response: Any) -> Mapping[str, Any] | None:
    """The entry of the ``config_list`` behind the answer, where it is not the first."""
    index = getattr(response, "config_id", None)
    if index is None:
        kept = getattr(wrapper, "_response_metadata", {}).get(getattr(response, "id", None))
        index = kept.get("config_id") if kept is not None else None
    if not index or not isinstance(index, int):
        return None
    entries: Sequence[Mapping[str, Any]] = getattr(wrapper, "_config_list", ())
    return entries[index] if 0 < index < len(entries) else None


def _first_entry(wrapper: Any) -> Mapping[str, Any]:
    entries: Sequence[Mapping[str, Any]] = getattr(wrapper, "_config_list", None) or ({},)
    return entries[getattr(wrapper, "_round_robin_index", 0) % len(entries)]


def _provider(config: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    api_type = config.get("api_type") or entry.get("api_type") or "openai"
    return _PROVIDERS.get(api_type) or _provider_named(str(api_type).lower())


def _provider_named(api_type: str) -> str:
    return _PROVIDERS.get(api_type.removesuffix("_v2"), api_type)


def _server(wrapper: Any, attributes: dict[str, Any]) -> None:
    clients = getattr(wrapper, "_clients", None)
    client = getattr(clients[0], "_oai_client", None) if clients else None
    if client is None:
        return
    url = getattr(client, "base_url", None)
    host = getattr(url, "host", None)
    if host:
        attributes[semconv.SERVER_ADDRESS] = host
        port = getattr(url, "port", None)
        if port:
            attributes[semconv.SERVER_PORT] = port
    elif isinstance(url, str):
        parts = urlsplit(url)
        if parts.hostname:
            attributes[semconv.SERVER_ADDRESS] = parts.hostname


def _capture_input(node: Node, chat: Chat | None, agent: Any, messages: Any) -> None:
    """The system prompt where it changed, and the part of the history that this agent's model has not seen."""
    name = name_of(agent) if agent is not None else ""
    seen = chat.seen if chat is not None else {}
    if messages and _role(messages[0]) == "system":
        words = messages_of.plain_text(messages[0])
        if seen.get(f"{name} system") != words:
            seen[f"{name} system"] = words
            content.keep_later(node.span, semconv.SYSTEM_INSTRUCTIONS, partial(messages_of.as_part, words), len(words))
    new = messages_of.new_part(messages, own_name=name, seen=seen.get(name))
    if messages:
        seen[name] = messages[-1]
    said = [message for message in new if _role(message) != "system"]
    messages_of.keep(node.span, semconv.INPUT_MESSAGES, said)


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None
