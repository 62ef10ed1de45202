"""Saying on a span that it failed, and why: the type of the error always, its words only behind the content gate."""

from __future__ import annotations

import asyncio

from opentelemetry.trace import Span, Status, StatusCode

from cmbagent_otel import content, semconv

_NOT_ERRORS: tuple[type[BaseException], ...] = (GeneratorExit,)


def mark_failed(span: Span, error: BaseException) -> None:
    """Say that ``error`` ended the span: ERROR and ``error.type``; its words only behind the content gate."""
    if isinstance(error, _NOT_ERRORS) or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return
    span.set_attribute(semconv.ERROR_TYPE, type_name(error))
    span.set_status(Status(StatusCode.ERROR))
    if not isinstance(error, asyncio.CancelledError):
        content.capture(span, semconv.ERROR_MESSAGE, str(error))


def state_failure(span: Span, error_type: str) -> None:
    """Say that the span failed though nothing was raised; ``error_type`` is a short name of why."""
    span.set_attribute(semconv.ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR))


def type_name(error: BaseException) -> str:
    """The fully qualified name of an exception's class, bare for built-in ones."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
