"""The steps of a phase: one at a time, each with its attempts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cmbagent_otel import content, resumption, semconv
from cmbagent_otel.resumption import Attempted
from cmbagent_otel.scope import Node
from cmbagent_otel.tracing import Attempt, Step, restarted


class Task(NamedTuple):
    """What a step is: its number and agent are structure, its goal a plan's words and so content."""

    number: int
    goal: str | None = None
    agent: str | None = None


class Steps:
    """The steps under ``phase``.

    They are spans, but nobody's current block: turns find theirs by
    :class:`~cmbagent_otel.instrumentation.cmbagent.progress.Progress`.

    Args:
        phase: whose steps they are.
        earlier: attempts of another process, if the run goes on from there; those made here are kept for the next.
    """

    def __init__(self, phase: Node, earlier: Iterable[Attempted] | None = None) -> None:
        self._phase = phase
        self._first: dict[int, Attempt] = {}
        self._failed: set[int] = set()
        self._earlier = {one.number: one for one in earlier or ()}
        self._kept = earlier is not None
        self.current: Attempt | None = None
        """The attempt under way."""

    @property
    def node(self) -> Node | None:
        """The span under way."""
        return self.current.node if self.current is not None else None

    def known(self, number: int | None) -> bool:
        """Whether there was an attempt at that step already."""
        return number in self._first

    def has_failed(self, number: int | None) -> bool:
        """Whether the last attempt at that step failed."""
        return number in self._failed

    def begin(
        self, task: Task, *, limit: int | None = None, reason: str | None = None, hypothesis: str | None = None
    ) -> Attempt:
        """Begin a step, or do it again if it was begun before; what is under way ends.

        Args:
            task: the step.
            limit: redos that CMBAgent allows; it enforces that itself.
            reason: of a redo, as far as it is known.
            hypothesis: what a person or model says is to be done differently; content.
        """
        self.end()
        first, earlier = self._first.get(task.number), self._earlier.get(task.number)
        attempt: Attempt
        if first is not None:
            attempt = first.redo_seen(reason=reason)
        else:
            step = Step(task.number, expected_redos=limit)
            attempt = step if earlier is None else restarted(step, earlier)
            self._first[task.number] = attempt
        attempt.begin(self._phase)
        self._failed.discard(task.number)
        self.current = attempt
        if attempt.node is not None:
            if task.agent is not None:
                attempt.node.span.set_attribute(semconv.AGENT_NAME, task.agent)
            if task.goal is not None:
                content.capture(attempt.node.span, semconv.STEP_GOAL, task.goal)
            if hypothesis is not None:
                content.capture(attempt.node.span, semconv.REDO_HYPOTHESIS, hypothesis)
            if self._kept and attempt.source_id is not None:
                done = Attempted(task.number, attempt.attempt, attempt.source_id, attempt.node.span_context)
                resumption.attempted(self._phase.scope.run_id, done)
        return attempt

    def end(self, *, failed: str | None = None, error: BaseException | None = None) -> None:
        """End the attempt under way, if there is one: failed with that error type, or by that error."""
        attempt, self.current = self.current, None
        if attempt is None:
            return
        if failed is not None:
            attempt.set_failed(failed)
        if failed is not None or error is not None:
            self._failed.add(attempt.number)
        attempt.finish(error)
