"""What the scripted models of stock CMBAgent say: each agent its own replies, known by how its system prompt begins."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cmbagent_otel.testing import Reply, call_tool, call_tools, say
from cmbagent_otel.testing.script import Script, ToolCall, by_agent


def _is_newer() -> bool:
    """Whether the CMBAgent that is here has the layout with ``cmbagent.workflows``; nothing of it is imported."""
    found = importlib.util.find_spec("cmbagent")
    return any((Path(folder) / "workflows").is_dir() for folder in (found and found.submodule_search_locations) or ())


CONTROLLER = "controller" if _is_newer() else "control"
"""What this CMBAgent calls its controller; these scripts say ``control``."""

PROMPTS = {
    "plan_setter": "You are the plan setter agent",
    "planner": "You are the planner agent in the team",
    "planner_response_formatter": "you structure the response provided by the planner agent",
    "plan_recorder": "record_plan to record the plan",
    "plan_reviewer": "You are a plan reviewer",
    "reviewer_response_formatter": "format the response provided by the plan_reviewer agent",
    "review_recorder": "You must call your tool record_review",
    "control": f"You are the {CONTROLLER} agent in the team",
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


def agents(replies: Mapping[str, Iterable[Reply]]) -> Script:
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
    then = CONTROLLER if then == "control" else then
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


def one_shot(*, failures: int = 1) -> dict[str, list[Reply]]:
    """An engineer whose code fails that often, and then runs."""
    return {
        "engineer": [say("Here is my code.")] * (failures + 1),
        "engineer_response_formatter": [code(BROKEN_CODE)] * failures + [code(GOOD_CODE)],
        "executor_response_formatter": [executed("failure", "engineer")] * failures + [executed("success", "control")],
        "control": [status_call(1, "completed")],
        "terminator": [say("Done.")],
    }


PLAN = (("Compute the spectrum", "engineer"), ("Interpret it", "researcher"))


def planning(*, reviews: int = 1, steps: tuple[tuple[str, str], ...] = PLAN) -> dict[str, list[Reply]]:
    """A plan, reviewed that often."""
    text = "".join(
        f"- Step {number}:\n\t* sub-task: {task}\n\t* agent in charge: {agent}\n"
        for number, (task, agent) in enumerate(steps, 1)
    )
    recorded = call_tool("record_plan", {"plan_suggestion": f"**PLAN**\n{text}", "number_of_steps_in_plan": len(steps)})
    return {
        "plan_setter": [call_tool("record_plan_constraints", {"needed_agents": ["engineer", "researcher"]})],
        "planner": [say("My plan.")] * (reviews + 1),
        "planner_response_formatter": [plan(*steps)] * (reviews + 1),
        "plan_recorder": [recorded] * (reviews + 1),
        "plan_reviewer": [say("Mind the beam.")] * reviews,
        "reviewer_response_formatter": [_json(recommendations=["Mind the beam."])] * reviews,
        "review_recorder": [call_tool("record_review", {"plan_review": "Mind the beam."})] * reviews,
    }


def planning_and_control(*, carried_over: bool = False) -> dict[str, list[Reply]]:
    """Two steps after a plan with one review; the first step's code fails once."""
    second = {"agent": "researcher", "task": "Interpret it"}
    return {
        **planning(),
        **one_shot(),
        "control": [
            status_call(1, "in progress"),
            status_call(1, "completed"),
            status_call(2, "in progress", **second),
            status_call(2, "completed", **second),
        ],
        **({"control_starter": [call_tool("record_status_starter")]} if carried_over else {}),
        "researcher": [say("# It peaks at 220")],
        "researcher_response_formatter": [_json(filename="notes.md", markdown_block="# It peaks at 220")],
        "terminator": [say("Done.")] * 3,
    }


def _json(**fields: Any) -> Reply:
    return say(json.dumps(fields))
