"""The public blocks: ``workflow``, ``phase``, ``step`` with its ``redo``, ``agent`` and ``tool``.

Each works as a context manager, sync and async, and as a decorator of functions and coroutine functions.
Needs the OpenTelemetry API only. With tracing off the blocks record nothing and count redos all the same:
a redo is bookkeeping, not control flow.
"""

from __future__ import annotations

import copy
import functools
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext

from cmbagent_otel import scope as scopes
from cmbagent_otel import semconv
from cmbagent_otel.errors import RedoLimitExceeded
from cmbagent_otel.scope import Node, Scope, Siblings
from cmbagent_otel.semconv import NodeKind, NodeType, Operation

_P = ParamSpec("_P")
_R = TypeVar("_R")

_logger = logging.getLogger(__name__)

DEFAULT_MAX_REDOS = 2


class _Limits:
    max_redos = DEFAULT_MAX_REDOS
    run_id: str | None = None
    session_id: str | None = None


def set_defaults(*, max_redos: int, run_id: str | None, session_id: str | None) -> None:
    """What the settings say for blocks that do not say it themselves."""
    _Limits.max_redos, _Limits.run_id, _Limits.session_id = max_redos, run_id, session_id


class Block:
    """A span around a block of the program. Use it once; a decorator makes a new one for each call."""

    def __init__(self) -> None:
        self._node: Node | None = None

    @property
    def node_id(self) -> str | None:
        """The id of this block's row in ``dag_nodes``; None before it is entered, or with tracing off."""
        return self._node.id if self._node is not None else None

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
        if self._node is not None:
            self._finish(self._node, error)

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


class Workflow(Block):
    """A whole run; inside another run, a part of it."""

    def __init__(
        self, name: str, *, task: str | None = None, run_id: str | None = None, session_id: str | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self.task = task
        self.run_id = run_id
        """The run's id; known once the block is entered."""
        self.session_id = session_id
        self._siblings: Siblings | None = None
        self._follows: Sequence[str] = ()

    def _begin(self) -> Node:
        context, enclosing = scopes.enclosing(for_workflow=True)
        attributes: dict[str, Any] = {
            semconv.OPERATION_NAME: Operation.INVOKE_WORKFLOW,
            semconv.WORKFLOW_NAME: self.name,
        }
        if self.task is not None:
            attributes[semconv.WORKFLOW_TASK] = self.task
        run_id, session_id = self.run_id or _Limits.run_id, self.session_id or _Limits.session_id
        if enclosing is not None:
            self._siblings = enclosing.siblings
            self._follows = _follow(self._siblings, attributes)
            _logger.info("joined run %s", enclosing.run_id)
            if self.run_id not in (None, enclosing.run_id):
                _logger.warning(
                    "workflow %r asked for run %s inside run %s: it is part of the run around it. "
                    "Open it outside to make it a run of its own.",
                    self.name,
                    self.run_id,
                    enclosing.run_id,
                )
        elif session_id is not None:
            attributes[semconv.SESSION_ID] = session_id
        node = scopes.start(
            f"{Operation.INVOKE_WORKFLOW} {self.name}",
            NodeType.WORKFLOW,
            NodeKind.WORKFLOW,
            attributes,
            context=context,
            scope=enclosing,
            run_id=run_id,
            session_id=session_id,
        )
        self.run_id, self.session_id = node.scope.run_id, node.scope.session_id
        if enclosing is None:
            scopes.workflow_opened(node)
        return node

    def _finish(self, node: Node, error: BaseException | None) -> None:
        if self._siblings is not None:
            self._siblings.end(node.id, self._follows)
        scopes.workflow_closed(node)
        node.end(error)


class _Part(Block):
    """What stands inside a workflow; outside of one it opens one around itself."""

    def __init__(self) -> None:
        super().__init__()
        self._implicit: Workflow | None = None

    def _where(self) -> tuple[Context, Scope]:
        context, enclosing = scopes.enclosing()
        if enclosing is None:
            self._implicit = Workflow("workflow").__enter__()
            context, enclosing = scopes.enclosing()
        if enclosing is None:  # pragma: no cover - the workflow just opened encloses
            raise RuntimeError
        return context, enclosing

    def _finish(self, node: Node, error: BaseException | None) -> None:
        node.end(error)
        if self._implicit is not None:
            self._implicit.__exit__(None if error is None else type(error), error, None)
            self._implicit = None


class Phase(_Part):
    """A phase of a workflow, such as ``planning`` or ``control``."""

    def __init__(self, phase_type: str, *, max_redos: int | None = None) -> None:
        super().__init__()
        self.type = phase_type
        self.max_redos = max_redos
        self._siblings: Siblings | None = None
        self._follows: Sequence[str] = ()

    def _begin(self) -> Node:
        context, enclosing = self._where()
        self._siblings = enclosing.siblings
        attributes: dict[str, Any] = {semconv.PHASE_TYPE: self.type}
        self._follows = _follow(self._siblings, attributes)
        return scopes.start(
            f"phase {self.type}",
            self.type,
            NodeKind.PHASE,
            attributes,
            context=context,
            scope=enclosing,
            max_redos=self.max_redos,
        )

    def _finish(self, node: Node, error: BaseException | None) -> None:
        if self._siblings is not None:
            self._siblings.end(node.id, self._follows)
        super()._finish(node, error)


class _Attempts:
    """What all attempts of one step share. Thread-safe."""

    def __init__(self, number: int, goal: str | None, limit: int | None) -> None:
        self.number = number
        self.goal = goal
        self.own_limit = limit
        self.redos = 0
        self.context: Context | None = None
        self.scope: Scope | None = None
        self.source: str | None = None
        self.last: SpanContext | None = None
        self.last_attempt = 0
        self.lock = threading.Lock()

    @property
    def limit(self) -> int:
        return self.own_limit if self.own_limit is not None else _Limits.max_redos


class Attempt(_Part):
    """One attempt of a step."""

    def __init__(self, attempts: _Attempts) -> None:
        super().__init__()
        self._attempts = attempts
        self._follows: Sequence[str] = ()
        self.attempt = 1
        """Counted from 1."""

    @property
    def number(self) -> int:
        """The step's number in the plan."""
        return self._attempts.number

    @property
    def goal(self) -> str | None:
        """What the step is for."""
        return self._attempts.goal

    @property
    def redos_left(self) -> int:
        """How many more redos the limit allows: the program's own limit, else the default."""
        return max(0, self._attempts.limit - self._attempts.redos)

    def redo(self, *, hypothesis: str | None = None, reason: str = semconv.RedoReason.FAILURE) -> Redo:
        """Do the step again.

        Args:
            hypothesis: what is tried differently; unset: ``Redo attempt n``.
            reason: ``failure`` or ``feedback``.

        Raises:
            RedoLimitExceeded: the program set ``max_redos`` itself, and this would be one more.
        """
        attempts = self._attempts
        if attempts.own_limit is not None and attempts.redos >= attempts.own_limit:
            raise RedoLimitExceeded(
                f"step {attempts.number} was redone {attempts.redos} times, and max_redos={attempts.own_limit}. "
                "Look at redos_left before redo(), or raise max_redos."
            )
        return Redo(attempts, hypothesis, reason)

    def set_summary(self, summary: str) -> None:
        """Say in a sentence what this attempt came to."""
        if self._node is not None:
            self._node.span.set_attribute(semconv.STEP_SUMMARY, summary)

    def _finish(self, node: Node, error: BaseException | None) -> None:
        attempts = self._attempts
        if attempts.scope is not None:
            attempts.scope.siblings.end(node.id, self._follows, superseded=attempts.last_attempt > self.attempt)
        super()._finish(node, error)


class Step(Attempt):
    """The first attempt of a step of a phase."""

    def __init__(self, number: int, *, goal: str | None = None, max_redos: int | None = None) -> None:
        super().__init__(_Attempts(number, goal, max_redos))

    def __copy__(self) -> Step:
        return Step(self.number, goal=self.goal, max_redos=self._attempts.own_limit)

    def _begin(self) -> Node:
        context, enclosing = self._where()
        attempts = self._attempts
        attempts.context, attempts.scope = context, enclosing
        if attempts.own_limit is None:
            attempts.own_limit = enclosing.max_redos
        attributes: dict[str, Any] = {semconv.STEP_NUMBER: attempts.number, semconv.STEP_ATTEMPT: 1}
        if attempts.goal is not None:
            attributes[semconv.STEP_GOAL] = attempts.goal
        self._follows = _follow(enclosing.siblings, attributes)
        node = scopes.start(
            f"step {attempts.number}", NodeType.STEP, NodeKind.STEP, attributes, context=context, scope=enclosing
        )
        attempts.source, attempts.last, attempts.last_attempt = node.id, node.span_context, 1
        return node


class Redo(Attempt):
    """A step done again; stands beside the attempt before, and is linked to it."""

    def __init__(self, attempts: _Attempts, hypothesis: str | None, reason: str) -> None:
        super().__init__(attempts)
        self._hypothesis = hypothesis
        self._reason = reason
        self.over_limit = False

    @property
    def hypothesis(self) -> str:
        """What is tried differently."""
        return self._hypothesis if self._hypothesis is not None else f"Redo attempt {self.attempt - 1}"

    def __copy__(self) -> Redo:
        return Redo(self._attempts, self._hypothesis, self._reason)

    def _begin(self) -> Node:
        attempts = self._attempts
        if attempts.context is None or attempts.scope is None:
            raise RuntimeError("a step is redone after it was entered; open it with `with step(...)` first")
        with attempts.lock:
            attempts.redos += 1
            number = attempts.redos
            previous, attempts.last_attempt = attempts.last, number + 1
            self.attempt = number + 1
            self.over_limit = number > attempts.limit
            return self._start(number, previous)

    def _start(self, number: int, previous: SpanContext | None) -> Node:
        attempts = self._attempts
        if attempts.context is None or attempts.scope is None:  # pragma: no cover - _begin has looked
            raise RuntimeError
        attributes: dict[str, Any] = {
            semconv.STEP_NUMBER: attempts.number,
            semconv.STEP_ATTEMPT: self.attempt,
            semconv.REDO_NUMBER: number,
            semconv.REDO_BRANCH_NAME: f"redo_{number}",
            semconv.REDO_HYPOTHESIS: self.hypothesis,
            semconv.REDO_REASON: self._reason,
        }
        if attempts.goal is not None:
            attributes[semconv.STEP_GOAL] = attempts.goal
        if attempts.source is not None:
            attributes[semconv.REDO_SOURCE] = attempts.source
        if self.over_limit:
            attributes[semconv.REDO_OVER_LIMIT] = True
            _logger.warning(
                "step %s is redone for the %s. time, past the limit of %s; it is recorded with over_limit. "
                "Pass max_redos= to enforce a limit, or raise CMBAGENT_OTEL_MAX_REDOS.",
                attempts.number,
                number,
                attempts.limit,
            )
        links = []
        superseded = ""
        if previous is not None and previous.is_valid:
            links = [Link(previous, {semconv.LINK_KIND: semconv.LINK_REDO_OF})]
            superseded = scopes.id_of(previous) or ""
        attempts.scope.siblings.begin(supersedes=superseded)
        parent = trace.get_current_span(attempts.context)
        context = scopes.with_scope(trace.set_span_in_context(parent, context_api.get_current()), attempts.scope)
        node = scopes.start(
            f"step {attempts.number} redo {number}",
            NodeType.BRANCH_POINT,
            NodeKind.STEP,
            attributes,
            links=links,
            context=context,
            scope=attempts.scope,
        )
        attempts.last = node.span_context
        if attempts.source is None:
            attempts.source = node.id
        return node


class Agent(_Part):
    """An agent's turn, for code that no hook sees."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def _begin(self) -> Node:
        context, enclosing = self._where()
        return scopes.start(
            f"{Operation.INVOKE_AGENT} {self.name}",
            NodeType.SUB_AGENT if enclosing.in_agent else NodeType.AGENT,
            NodeKind.AGENT,
            {semconv.OPERATION_NAME: Operation.INVOKE_AGENT, semconv.AGENT_NAME: self.name},
            context=context,
            scope=enclosing,
        )


class Tool(_Part):
    """A tool call, for code that no hook sees."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def _begin(self) -> Node:
        context, enclosing = self._where()
        return scopes.start(
            f"{Operation.EXECUTE_TOOL} {self.name}",
            NodeType.TOOL,
            NodeKind.TOOL,
            {
                semconv.OPERATION_NAME: Operation.EXECUTE_TOOL,
                semconv.TOOL_NAME: self.name,
                semconv.TOOL_TYPE: "function",
            },
            context=context,
            scope=enclosing,
        )


def _follow(siblings: Siblings, attributes: dict[str, Any]) -> Sequence[str]:
    follows, dependency_type = siblings.begin()
    if follows:
        attributes[semconv.DAG_DEPENDS_ON] = follows
        attributes[semconv.DAG_DEPENDENCY_TYPE] = dependency_type
    return follows


workflow = Workflow
phase = Phase
step = Step
agent = Agent
tool = Tool
