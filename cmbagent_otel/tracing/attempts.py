"""``step``, its attempts and its redos."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext

from cmbagent_otel import scope as scopes
from cmbagent_otel import semconv
from cmbagent_otel.errors import RedoLimitExceeded
from cmbagent_otel.failure import state_failure
from cmbagent_otel.resumption import Attempted
from cmbagent_otel.scope import Node, Scope
from cmbagent_otel.semconv import NodeKind, NodeType
from cmbagent_otel.tracing.block import Defaults, follow, said
from cmbagent_otel.tracing.parts import Part

_logger = logging.getLogger(__name__)


class _Attempts:
    """What all attempts of one step share. Thread-safe."""

    def __init__(self, number: int, goal: str | None, limit: int | None, expected: int | None) -> None:
        self.number = number
        self.goal = goal
        self.own_limit = limit
        self.expected = expected
        self.redos = 0
        self.context: Context | None = None
        self.scope: Scope | None = None
        self.source: str | None = None
        self.last: SpanContext | None = None
        self.last_attempt = 0
        self.lock = threading.Lock()

    @property
    def limit(self) -> int:
        if self.own_limit is not None:
            return self.own_limit
        return self.expected if self.expected is not None else Defaults.max_redos

    @property
    def attributes(self) -> dict[str, Any]:
        """What every attempt states."""
        stated: dict[str, Any] = {semconv.STEP_NUMBER: self.number}
        if self.goal is not None:
            stated[semconv.STEP_GOAL] = said(self.goal)
        return stated

    def go_on(self, earlier: Attempted) -> None:
        """Count on from an attempt of another process."""
        self.redos = earlier.attempt - 1
        self.source, self.last = earlier.source, earlier.span


class Attempt(Part):
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
    def source_id(self) -> str | None:
        """Node id of the first attempt; None before it has begun, or with tracing off."""
        return self._attempts.source

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
        return self.redo_seen(hypothesis=hypothesis, reason=reason)

    def redo_seen(self, *, hypothesis: str | None = None, reason: str | None = None) -> Redo:
        """The same for hooks, where the program has decided by itself: never refused. ``reason`` None: not known."""
        return Redo(self._attempts, hypothesis, reason)

    def set_failed(self, error_type: str) -> None:
        """Say that this attempt came to nothing, though it raised nothing; ``error_type`` is a short name of why."""
        if self._node is not None:
            state_failure(self._node.span, error_type)

    def set_status(self, word: str) -> None:
        """Keep the last word of the program on this attempt, such as ``in progress``."""
        if self._node is not None:
            self._node.span.set_attribute(semconv.STEP_STATUS, word)

    def set_summary(self, summary: str) -> None:
        """Say in a sentence what this attempt came to."""
        if self._node is not None:
            self._node.span.set_attribute(semconv.STEP_SUMMARY, said(summary) or "")

    def _finish(self, node: Node, error: BaseException | None) -> None:
        attempts = self._attempts
        if attempts.scope is not None:
            attempts.scope.siblings.end(node.id, self._follows, superseded=attempts.last_attempt > self.attempt)
        super()._finish(node, error)


class Step(Attempt):
    """The first attempt of a step of a phase.

    Args:
        number: its number in the plan.
        goal: what it is for.
        max_redos: how often the program allows it to be done again; one more raises.
        expected_redos: how often it may be done again before that is marked ``over_limit``; raises nothing.
    """

    def __init__(
        self,
        number: int,
        *,
        goal: str | None = None,
        max_redos: int | None = None,
        expected_redos: int | None = None,
    ) -> None:
        super().__init__(_Attempts(number, goal, max_redos, expected_redos))

    def __copy__(self) -> Step:
        mine = self._attempts
        return Step(mine.number, goal=mine.goal, max_redos=mine.own_limit, expected_redos=mine.expected)

    def _begin(self) -> Node:
        context, enclosing = self._where()
        attempts = self._attempts
        attempts.context, attempts.scope = context, enclosing
        if attempts.own_limit is None:
            attempts.own_limit = enclosing.max_redos
        attributes = {**attempts.attributes, semconv.STEP_ATTEMPT: 1}
        self._follows = follow(enclosing.siblings, attributes)
        node = scopes.start(
            f"step {attempts.number}", NodeType.STEP, NodeKind.STEP, attributes, context=context, scope=enclosing
        )
        attempts.source, attempts.last, attempts.last_attempt = node.id, node.span_context, 1
        return node


class Redo(Attempt):
    """A step done again; stands beside the attempt before, and is linked to it."""

    def __init__(self, attempts: _Attempts, hypothesis: str | None, reason: str | None) -> None:
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
        if attempts.scope is None and attempts.last is not None:
            attempts.context, attempts.scope = self._where()
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
            **attempts.attributes,
            semconv.STEP_ATTEMPT: self.attempt,
            semconv.REDO_NUMBER: number,
            semconv.REDO_BRANCH_NAME: f"redo_{number}",
            semconv.REDO_HYPOTHESIS: said(self.hypothesis),
        }
        if self._reason is not None:
            attributes[semconv.REDO_REASON] = self._reason
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


def restarted(step: Step, earlier: Attempted) -> Redo:
    """``step``, which another process has begun before: the attempt after that one."""
    step._attempts.go_on(earlier)  # noqa: SLF001 - of this module
    return step.redo_seen()
