"""What the blocks share: a span around a part of the program, and what it follows."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from opentelemetry import context as context_api

from cmbagent_otel import scope as scopes
from cmbagent_otel import semconv
from cmbagent_otel.content import mask
from cmbagent_otel.lineage import Siblings
from cmbagent_otel.scope import Node

_P = ParamSpec("_P")
_R = TypeVar("_R")

DEFAULT_MAX_REDOS = 2


class Defaults:
    """What the settings say for blocks that do not say it themselves."""

    max_redos = DEFAULT_MAX_REDOS
    run_id: str | None = None
    session_id: str | None = None


def set_defaults(*, max_redos: int, run_id: str | None, session_id: str | None) -> None:
    """Set :class:`Defaults`."""
    Defaults.max_redos, Defaults.run_id, Defaults.session_id = max_redos, run_id, session_id


def said(text: str | None) -> str | None:
    """What the program says of itself, without its secrets; what is no text is OpenTelemetry's to refuse."""
    return mask(text) if isinstance(text, str) else text


class Block:
    """A span around a block of the program. Use it once; a decorator makes a new one for each call."""

    def __init__(self) -> None:
        self._node: Node | None = None

    @property
    def node_id(self) -> str | None:
        """The id of this block's row in ``dag_nodes``; None before it is entered, or with tracing off."""
        return self._node.id if self._node is not None else None

    @property
    def node(self) -> Node | None:
        """The block's span and scope, for hooks; None before it has begun."""
        return self._node

    def begin(self, within: Node) -> Self:
        """Begin under ``within`` and be nobody's current block: for what no block of code is. :meth:`finish` it."""
        token = context_api.attach(within.context)
        try:
            self._node = self._begin()
        finally:
            scopes.detach(token)
        return self

    def finish(self, error: BaseException | None = None) -> None:
        """The end of what :meth:`begin` began."""
        if self._node is not None:
            self._finish(self._node, error)

    def _begin(self) -> Node:
        raise NotImplementedError  # pragma: no cover - each block has its own

    def _finish(self, node: Node, error: BaseException | None) -> None:
        node.end(error)

    def __enter__(self) -> Self:
        self._node = self._begin().attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Run ``function`` inside such a block each time it is called."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced_coroutine(*args: _P.args, **kwargs: _P.kwargs) -> Any:
                async with copy.copy(self):
                    return await function(*args, **kwargs)

            return cast("Callable[_P, _R]", traced_coroutine)

        @functools.wraps(function)
        def traced(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with copy.copy(self):
                return function(*args, **kwargs)

        return traced


def follow(siblings: Siblings, attributes: dict[str, Any]) -> Sequence[str]:
    """Begin one more of ``siblings``: state in ``attributes`` what it follows, and return that for its end."""
    follows, dependency_type = siblings.begin()
    if follows:
        attributes[semconv.DAG_DEPENDS_ON] = follows
        attributes[semconv.DAG_DEPENDENCY_TYPE] = dependency_type
    return follows


def node_of(block: Block) -> Node:
    """The span and scope of a block that has begun."""
    if block.node is None:
        raise RuntimeError(f"{type(block).__name__} has not begun")
    return block.node
