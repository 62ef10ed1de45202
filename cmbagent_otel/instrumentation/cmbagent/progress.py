"""Where a chat of CMBAgent stands: from the status of the run and from who speaks, to the step of each turn.

A step begins when somebody works on it, not when it is announced, so that nothing is made up: the
controller's own turns between two steps belong to the chat. An execution that fails ends the attempt;
whoever works next does the step again. A person who has spoken makes the next work a redo by feedback.
"""

from __future__ import annotations

from typing import Any

from cmbagent_otel import content, semconv
from cmbagent_otel.instrumentation.cmbagent.status import NOTHING, Status, read
from cmbagent_otel.instrumentation.cmbagent.steps import Steps, Task
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.scope import Node
from cmbagent_otel.semconv import NodeKind, RedoReason
from cmbagent_otel.tracing import Phase

PERSON = "admin"
END = "terminator"
CONTROLLERS = frozenset({"control", "controller", "control_starter"})
PLANNERS = frozenset(
    {"plan_setter", "planner", "planner_response_formatter", "plan_recorder", "task_improver", "task_recorder"}
)
REVIEWERS = frozenset({"plan_reviewer", "reviewer_response_formatter", "review_recorder"})
_NOT_AT_WORK = CONTROLLERS | PLANNERS | REVIEWERS | {PERSON, END}
_STATUS_TOOLS = "record_status"
"""How the names of the controller's tools begin."""
_TOOLS = "_Group_Tool_Executor"
"""Who says the results of tools."""

PLAN_REVIEW = "plan_review"
EXECUTION_FAILED = "execution_failed"
STEP_FAILED = "step_failed"
MAX_ATTEMPTS = "max_attempts"


class Progress:
    """The :class:`~cmbagent_otel.scope.Place` of the turns in one chat.

    Args:
        cmbagent: whose chat it is.
        phase: the phase that the steps are of.
        steps: of that phase.
        task: the step that the whole chat is about, where somebody else says so; it is then for them to end it.
    """

    def __init__(self, cmbagent: Any, phase: Node, steps: Steps, task: Task | None = None) -> None:
        self._cmbagent = cmbagent
        self._phase = phase
        self._steps = steps
        self._task = task
        self._review: Phase | None = None
        self._seen: Status = NOTHING
        self._told = False
        self._person_spoke = False
        self._last_agent = ""

    # -- told by the hooks -----------------------------------------------------------------------------

    def look(self, node_kind: str, name: str) -> Node | None:
        """A turn or a tool call begins."""
        try:
            self._take_note()
            if node_kind == NodeKind.AGENT:
                return self._turn(name)
            self._told = self._told or name.startswith(_STATUS_TOOLS)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
            fault("Progress.look", problem)
        return None

    def end(self, error: BaseException | None) -> None:
        """The chat is over."""
        try:
            self._take_note()
        finally:
            self._end_review(error)
            if error is not None:
                self._steps.end(error=error)
            elif self._task is None or self._verdict() == MAX_ATTEMPTS:
                self._steps.end(failed=self._verdict())
            if self._seen.plan_steps is not None:
                self._phase.span.set_attribute(semconv.PLAN_STEPS, self._seen.plan_steps)

    # -- what they mean --------------------------------------------------------------------------------

    def _take_note(self) -> None:
        """See what tools have changed since the last look."""
        now, before = read(self._cmbagent), self._seen
        told, self._told = self._told, False
        self._seen = now
        current = self._steps.current
        if current is None:
            return
        # The fork begins a later attempt's chat with the failures of the earlier ones counted.
        failed_again = before is not NOTHING and now.failures > before.failures
        says_failed = told and "failed" in now.word
        is_ours = self._task is None
        if told and is_ours and now.word and now.number == current.number:
            current.set_status(now.word)
        if is_ours and now.number is not None and now.number != current.number:
            self._steps.end()
        elif failed_again or (says_failed and is_ours):
            self._steps.end(failed=STEP_FAILED if says_failed else EXECUTION_FAILED)
        elif told and is_ours and "completed" in now.word:
            self._steps.end()

    def _turn(self, agent: str) -> Node | None:
        self._last_agent = agent
        if agent in REVIEWERS:
            return self._begin_review()
        self._end_review(None)
        if agent == PERSON:
            self._person_spoke = True
        elif agent not in _NOT_AT_WORK:
            self._work()
        return self._steps.node if agent != END else None

    def _work(self) -> None:
        """Somebody works: on the step under way, or on one that begins with it."""
        now, current = self._seen, self._steps.current
        spoke, self._person_spoke = self._person_spoke, False
        task = self._task or (Task(now.number, now.task, now.agent) if now.number is not None else None)
        if task is None or (current is not None and not spoke):
            return
        reason = hypothesis = None
        if spoke and self._steps.known(task.number):
            reason, hypothesis = RedoReason.FEEDBACK, self._said(PERSON)
        elif self._steps.has_failed(task.number):
            reason, hypothesis = RedoReason.FAILURE, self._suggestion()
        elif "progress" not in now.word:
            return  # nobody has said what this is work on
        self._steps.begin(task, limit=now.limit, reason=reason, hypothesis=hypothesis)

    def _verdict(self) -> str | None:
        """Why the attempt under way failed, if it did, now that the chat is over."""
        now = self._seen
        if self._last_agent != END:
            return semconv.INTERRUPTED
        return MAX_ATTEMPTS if now.limit is not None and now.failures >= now.limit else None

    def _begin_review(self) -> Node | None:
        if self._review is None:
            self._review = Phase(PLAN_REVIEW).begin(self._phase)
            if self._review.node is not None:
                self._review.node.scope.place = self
        return self._review.node

    def _end_review(self, error: BaseException | None) -> None:
        review, self._review = self._review, None
        if review is not None:
            review.finish(error)

    # -- content ---------------------------------------------------------------------------------------

    def _said(self, agent: str) -> str | None:
        """The last message of that agent in the chat, where content is recorded."""
        if not content.is_recorded():
            return None
        for messages in self._cmbagent.agents[0].agent.chat_messages.values():
            for message in reversed(messages):
                if message.get("name") == agent:
                    return str(message.get("content") or "").strip() or None
        return None

    def _suggestion(self) -> str | None:
        """What CMBAgent's reader of the failed execution suggests."""
        return (self._said(_TOOLS) or "").partition("Fix suggestion:")[2].strip() or None
