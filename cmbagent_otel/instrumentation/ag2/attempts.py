"""Attempts of a model call: what failed before an answer came, or none did."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from cmbagent_otel import scope as scopes
from cmbagent_otel import semconv
from cmbagent_otel.failure import type_name
from cmbagent_otel.scope import Node


class ModelAttempts:
    """The failed attempts of one logical call."""

    __slots__ = ("failures", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.failures = 0
        node.scope.extra = self

    def failed(self, error_type: str, status_code: int | None) -> None:
        """The vendor did not answer; it may be asked again."""
        self.failures += 1
        attributes: dict[str, Any] = {semconv.LLM_ATTEMPT_NUMBER: self.failures, semconv.ERROR_TYPE: error_type}
        if status_code is not None:
            attributes[semconv.HTTP_STATUS_CODE] = status_code
        self.node.span.add_event(semconv.LLM_ATTEMPT_EVENT, attributes)

    def total(self, *, answered: bool) -> int:
        """How often the vendor was asked."""
        return self.failures + answered


def current() -> ModelAttempts | None:
    """Those of the model call around here."""
    scope = scopes.scope_of()
    found = scope.extra if scope is not None else None
    return found if isinstance(found, ModelAttempts) else None


def look_at_retry(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """``AsyncAPIClient._sleep_for_retry`` of the OpenAI library: an attempt has failed, and there will be another."""
    attempts = current()
    if attempts is None:
        return
    status_code = getattr(kwargs.get("response"), "status_code", None)
    problem = sys.exception()
    if status_code is not None:
        attempts.failed(str(status_code), status_code)
    else:
        attempts.failed(type_name(problem) if problem is not None else "_OTHER", None)


class Innermost:
    """Middleware next to the model client: under a retrying middleware it sees each attempt."""

    def __init__(self, event: Any, context: Any) -> None:
        self.initial_event = event
        self.context = context

    async def on_turn(self, call_next: Callable[..., Awaitable[Any]], event: Any, context: Any) -> Any:
        """Pass."""
        return await call_next(event, context)

    async def on_llm_call(self, call_next: Callable[..., Awaitable[Any]], events: Any, context: Any) -> Any:
        """Note an attempt that failed."""
        try:
            return await call_next(events, context)
        except Exception as error:
            attempts = current()
            if attempts is not None:
                attempts.failed(type_name(error), getattr(error, "status_code", None))
            raise

    async def on_tool_execution(self, call_next: Callable[..., Awaitable[Any]], event: Any, context: Any) -> Any:
        """Pass."""
        return await call_next(event, context)

    async def on_human_input(self, call_next: Callable[..., Awaitable[Any]], event: Any, context: Any) -> Any:
        """Pass."""
        return await call_next(event, context)
