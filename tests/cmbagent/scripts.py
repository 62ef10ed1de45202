"""What the scripted models of stock CMBAgent say: each agent its own replies, known by how its system prompt begins."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from cmbagent_otel.testing import Reply, call_tool, call_tools, say
from cmbagent_otel.testing.script import Script, ToolCall, by_agent

PROMPTS = {
    "plan_setter": "You are the plan setter agent",
    "planner": "You are the planner agent in the team",
    "planner_response_formatter": "you structure the response provided by the planner agent",
    "plan_recorder": "record_plan to record the plan",
    "plan_reviewer": "You are a plan reviewer",
    "reviewer_response_formatter": "format the response provided by the plan_reviewer agent",
    "review_recorder": "You must call your tool record_review",
    "control": "You are the control agent in the team",
    "control_starter": "You are the control_starter agent in the team",
    "engineer": "You are the engineer agent",
    "engineer_response_formatter": "format the response provided by the engineer agent",
    "executor_response_formatter": "You call your tool post_execution_transfer",
    "researcher": "You are the researcher agent in the team",
    "researcher_response_formatter": "format the response provided by the researcher agent",
    "terminator": "Terminate the session",
}
"""Agent -> words in the first line of its system prompt."""

BROKEN_CODE = "raise ValueError('the beam is not deconvolved')"
GOOD_CODE = "open('data/spectrum.txt', 'w').write('2.7')\nprint('peak at 220')"


def agents(replies: dict[str, Iterable[Reply]]) -> Script:
    """A script of several agents."""
    return by_agent({PROMPTS[name]: said for name, said in replies.items()})


def code(source: str, filename: str = "spectrum.py") -> Reply:
    """What the formatter of the engineer's code says."""
    return _json(
        filename=filename,
        relative_path="codebase",
        code_explanation="It computes the spectrum.",
        modification_summary=None,
        python_code=source,
    )


def executed(status: str, then: str) -> Reply:
    """What the reader of an execution's output decides."""
    arguments = {"next_agent_suggestion": then, "execution_status": status, "fix_suggestion": "Deconvolve the beam."}
    return call_tool("post_execution_transfer", arguments)


def status_call(number: int, status: str, agent: str = "engineer", task: str = "Compute the spectrum") -> Reply:
    """What the controller says of a step."""
    return call_tool("record_status", status_arguments(number, status, agent, task))


def status_calls(*arguments: dict[str, Any]) -> Reply:
    """Several words of the controller in one message."""
    return call_tools(*(ToolCall("record_status", json.dumps(given)) for given in arguments))


def status_arguments(
    number: int, status: str, agent: str = "engineer", task: str = "Compute the spectrum"
) -> dict[str, Any]:
    """The arguments of one word of the controller."""
    return {
        "current_status": status,
        "current_plan_step_number": number,
        "current_sub_task": task,
        "current_instructions": "- carefully",
        "agent_for_sub_task": agent,
    }


def plan(*sub_tasks: tuple[str, str]) -> Reply:
    """The plan, formatted."""
    return _json(
        sub_tasks=[
            {"sub_task": task, "sub_task_agent": agent, "bullet_points": ["carefully"]} for task, agent in sub_tasks
        ]
    )


def _json(**fields: Any) -> Reply:
    return say(json.dumps(fields))
