"""The spectral index of a simulated sky, by planning and control with AG2.

A planner proposes steps, a reviewer looks at them, a person approves. Then each step is worked on by an
engineer, whose code is run, and a judge, who looks at what came out; a step that failed is done again
with the judge's hypothesis. Only workflow, phase, step and redo are said here; agents, model calls, tools,
code, handoffs and messages are seen by the hooks.
"""

from pathlib import Path
from typing import Annotated, Any

from autogen import ConversableAgent, UserProxyAgent
from autogen.agentchat import initiate_group_chat
from autogen.agentchat.group import (
    AgentTarget,
    ContextVariables,
    OnCondition,
    ReplyResult,
    StringLLMCondition,
    TerminateTarget,
)
from autogen.agentchat.group.patterns import DefaultPattern
from autogen.coding import LocalCommandLineCodeExecutor

import cmbagent_otel as otel

TASK = "Measure the spectral index of a simulated sky that was seen through a Gaussian beam."
TRUTH = (
    "The sky is a ring of 256 pixels with P(k) = k^-2; the beam has sigma = 0.02 rad. Use Python's standard library."
)


class PlanRejectedError(Exception):
    """The person did not approve the plan."""


class StepFailedError(Exception):
    """The judge did not accept what came out of a step; the message is the judge's hypothesis."""


def measure_spectral_index(llm_config: dict[str, Any], work_dir: Path) -> str:
    """Plan the work, do it step by step, and return the last judgement.

    Raises:
        PlanRejectedError: The person answered anything but ``approve``.
        StepFailedError: A step failed more often than it may be redone.
    """
    with otel.workflow("planning_and_control", task=TASK):
        with otel.phase("planning"):
            plan = make_plan(llm_config)
        judgement = ""
        with otel.phase("control", max_redos=2):
            for number, goal in enumerate(plan, start=1):
                judgement = carry_out(number, goal, llm_config, work_dir)
        return judgement


def make_plan(llm_config: dict[str, Any]) -> list[str]:
    """Let the planner plan, the reviewer review, and the person decide."""

    def record_plan(
        steps: Annotated[list[str], "one sentence for each step"], context_variables: ContextVariables
    ) -> ReplyResult:
        """Write the plan down and hand it to the reviewer."""
        context_variables["plan"] = steps
        return ReplyResult(message="\n".join(steps), target=AgentTarget(reviewer), context_variables=context_variables)

    planner = ConversableAgent(
        "planner",
        system_message=f"You are the planner. Plan the task in exactly three steps and record them. {TRUTH}",
        llm_config=llm_config,
        functions=[record_plan],
    )
    reviewer = ConversableAgent(
        "reviewer",
        system_message="You are the reviewer. Transfer a sound plan to the person; else say what is wrong with it.",
        llm_config=llm_config,
    )
    person = UserProxyAgent("person", human_input_mode="ALWAYS", code_execution_config=False)
    reviewer.handoffs.add_llm_condition(
        OnCondition(target=AgentTarget(person), condition=StringLLMCondition("The plan is sound."))
    )
    reviewer.handoffs.set_after_work(AgentTarget(planner))
    person.handoffs.set_after_work(TerminateTarget())

    pattern = DefaultPattern(
        initial_agent=planner, agents=[planner, reviewer, person], group_manager_args={"llm_config": False}
    )
    chat, context, _last = initiate_group_chat(pattern, messages=TASK, max_rounds=12)
    answer = str(chat.chat_history[-1]["content"])
    if answer.strip().lower() != "approve":
        raise PlanRejectedError(answer)
    plan: list[str] = context["plan"]
    return plan


def carry_out(number: int, goal: str, llm_config: dict[str, Any], work_dir: Path) -> str:
    """Do a step, and do it again with the judge's hypothesis as often as it may be redone."""
    step = otel.step(number, goal=goal)
    try:
        with step:
            return work_on(goal, llm_config, work_dir)
    except StepFailedError as failure:
        failed = failure
    while step.redos_left:
        hypothesis = str(failed)
        try:
            with step.redo(hypothesis=hypothesis, reason="failure"):
                return work_on(f"{goal}\nThe last attempt failed. {hypothesis}.", llm_config, work_dir)
        except StepFailedError as failure:
            failed = failure
    raise failed


def work_on(task: str, llm_config: dict[str, Any], work_dir: Path) -> str:
    """Let the engineer write code, run it, and let the judge look at what came out."""

    def record_judgement(
        accepted: Annotated[bool, "whether the goal of the step is met"],
        remark: Annotated[str, "the result in a sentence; if not accepted, what to try differently"],
        context_variables: ContextVariables,
    ) -> ReplyResult:
        """Say whether the step is done; this ends the work on it."""
        context_variables["accepted"], context_variables["remark"] = accepted, remark
        return ReplyResult(message=remark, target=TerminateTarget(), context_variables=context_variables)

    engineer = ConversableAgent(
        "engineer",
        system_message="You are the engineer. Answer with one block of Python that prints its results and exits "
        f"with an error if they are not as expected. Files of earlier steps are in the folder. {TRUTH}",
        llm_config=llm_config,
    )
    executor = ConversableAgent(
        "executor",
        llm_config=False,
        human_input_mode="NEVER",
        code_execution_config={"executor": LocalCommandLineCodeExecutor(timeout=60, work_dir=work_dir)},
    )
    judge = ConversableAgent(
        "judge",
        system_message="You are the judge. Look at the exit code and the output, and record your judgement.",
        llm_config=llm_config,
        functions=[record_judgement],
    )
    engineer.handoffs.set_after_work(AgentTarget(executor))
    executor.handoffs.set_after_work(AgentTarget(judge))

    pattern = DefaultPattern(
        initial_agent=engineer, agents=[engineer, executor, judge], group_manager_args={"llm_config": False}
    )
    _chat, context, _last = initiate_group_chat(pattern, messages=task, max_rounds=8)
    remark = str(context.get("remark", "The judge said nothing"))
    if not context.get("accepted", False):
        raise StepFailedError(remark)
    return remark
