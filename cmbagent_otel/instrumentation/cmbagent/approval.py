"""The approvals that CMBAgent's extended fork waits for: a person is asked by its own page, not by an agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.calls import Call
from cmbagent_otel.instrumentation.cmbagent.progress import PERSON
from cmbagent_otel.semconv import NodeKind, NodeType, Operation


class ApprovalCall(Call):
    """A person is waited for."""

    __slots__ = ()

    def returned(self, result: Any) -> None:
        """What was asked, and what the person decided."""
        if not content.is_recorded():
            return
        said = (getattr(result, "resolution", None), getattr(result, "user_feedback", None))
        content.capture(self.node.span, semconv.HUMAN_PROMPT, str(getattr(result, "message", "")))
        content.capture(self.node.span, semconv.HUMAN_RESPONSE, ": ".join(str(word) for word in said if word))


def begin_approval(
    original: Callable[..., Any], manager: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ApprovalCall:
    """``wait_for_approval`` and its async twin."""
    node = scopes.start(
        f"{Operation.AWAIT_HUMAN_INPUT} {PERSON}",
        NodeType.APPROVAL,
        NodeKind.APPROVAL,
        {semconv.OPERATION_NAME: Operation.AWAIT_HUMAN_INPUT, semconv.AGENT_NAME: PERSON},
    )
    node.attach()
    return ApprovalCall(node)
