"""What CMBAgent knows of a run: the context variables that all agents of a chat share.

Its tools (``record_status``, ``post_execution_transfer``, ``record_plan``) write there. Reading the outcome,
not the calls, is the same for all its layouts, and takes what a tool made of a model's words, not the words.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Status(NamedTuple):
    """A look at the context variables; None where CMBAgent has said nothing (yet) that makes sense."""

    number: int | None
    """The step of the plan that is worked on."""
    word: str
    """The controller's last word on it: ``in progress``, ``completed``, ``failed``; lower case, maybe empty."""
    task: str | None
    agent: str | None
    failures: int
    """Executions that failed within the step."""
    limit: int | None
    """How many of those CMBAgent allows."""
    plan_steps: int | None


NOTHING = Status(None, "", None, None, 0, None, None)


def read(cmbagent: Any) -> Status:
    """The status of the chat that ``cmbagent`` is having."""
    variables = cmbagent.agents[0].agent.context_variables
    if variables is None:
        return NOTHING
    return Status(
        _integer(variables.get("current_plan_step_number")),
        str(variables.get("current_status") or "").strip().lower(),
        _text(variables.get("current_sub_task")),
        _text(variables.get("agent_for_sub_task")),
        _integer(variables.get("n_attempts")) or 0,
        _integer(variables.get("max_n_attempts")),
        _integer(variables.get("number_of_steps_in_plan")),
    )


def _integer(value: object) -> int | None:
    """A model may say ``"2"`` or ``2.0`` for 2."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
