"""Handoffs: AG2's decision that another agent goes on, stated by the turn that it leads to.

Only what AG2 itself calls a transition is one: a condition met by a model or by context variables, a tool
that names a target, an agent's after-work, a guardrail. Taking turns in a group is none, nor is a turn of the
manager or of the tool executor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmbagent_otel import scope as scopes
from cmbagent_otel import semconv
from cmbagent_otel.instrumentation.autogen.kinds import EXECUTOR, kind_of, name_of
from cmbagent_otel.instrumentation.autogen.state import Chat, chat_of
from cmbagent_otel.semconv import HandoffKind, NodeKind
from cmbagent_otel.spans.chance import new_uuid


def state_handoff(chat: Chat, agent: Any, attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Put into a turn's ``attributes`` where it was handed over from; returns the attributes of the event."""
    kind, chat.transition = chat.transition, None
    source = chat.last_turn
    if kind is None or source is None or source.agent is agent:
        return None
    attributes[semconv.HANDOFF_KIND] = kind
    source_id = source.node.id
    if source_id is not None:
        attributes[semconv.HANDOFF_FROM] = source_id
    return {
        semconv.EVENT_ID: new_uuid(),
        semconv.HANDOFF_SOURCE_AGENT: source.name,
        semconv.HANDOFF_TARGET_AGENT: name_of(agent),
        semconv.HANDOFF_KIND: kind,
    }


def note_tool_result(chat: Chat, result: Any) -> None:
    """A tool may say who comes next: a model's handoff returns the target, a tool of the program a ``ReplyResult``."""
    names = {base.__name__ for base in type(result).__mro__}
    if "TransitionTarget" in names:
        chat.target_kind = HandoffKind.LLM_CONDITION
    elif "ReplyResult" in names and getattr(result, "target", None) is not None:
        chat.target_kind = HandoffKind.REPLY_RESULT


def look_at_target(executor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """``GroupToolExecutor.set_next_target``: called in a turn whose condition is met, or by a guardrail."""
    scope = scopes.enclosing()[1]
    chat = chat_of(scope)
    if scope is not None and chat is not None and chat.executor is None:
        in_turn = scope.kind == NodeKind.AGENT
        chat.target_kind = HandoffKind.CONTEXT_CONDITION if in_turn else HandoffKind.GUARDRAIL


def look_at_next_agent(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Any], None] | None:
    """``determine_next_agent``: by what it decides, in its own order of rules."""
    chat = chat_of(scopes.enclosing()[1])
    if chat is None:
        return None
    given = dict(zip(_NEXT_AGENT_PARAMETERS, args, strict=False)) | kwargs
    last_message = given["groupchat"].messages[-1]
    if not given["use_initial_agent"] and "tool_calls" in last_message:
        return None  # the tool executor comes first, the decision after it
    kind, chat.target_kind = chat.target_kind, None
    chat.transition = None
    if given["use_initial_agent"] or _has_no_turn(chat, given["last_speaker"]):
        return None
    if given["tool_executor"].has_next_target():

        def targeted(result: Any) -> None:
            chat.transition = None if result is None else kind or HandoffKind.TARGET

        return targeted

    def after_work(result: Any) -> None:
        # A string names a way to choose the speaker: then a model or a person chooses, and nobody handed over.
        chat.transition = None if result is None or isinstance(result, str) else HandoffKind.AFTER_WORK

    return None if _goes_back(given, last_message) else after_work


def _has_no_turn(chat: Chat, last_speaker: Any) -> bool:
    """Whether the last speaker's turn was not seen, as where the program set a reply of its own on the agent."""
    turn = chat.last_turn
    return turn is not None and turn.agent is not last_speaker and kind_of(last_speaker) is not EXECUTOR


def _goes_back(given: dict[str, Any], last_message: Any) -> bool:
    """Whether the turn falls to the agent that asked for the tool, or asked the user."""
    user = given["user_agent"]
    return last_message.get("role") == "tool" or (
        user is not None and given["last_speaker"] is user and not _has_after_work(user)
    )


_NEXT_AGENT_PARAMETERS = (
    "last_speaker",
    "groupchat",
    "initial_agent",
    "use_initial_agent",
    "tool_executor",
    "group_agent_names",
    "user_agent",
    "group_after_work",
)


def _has_after_work(agent: Any) -> bool:
    handoffs = agent.handoffs
    return bool(getattr(handoffs, "after_works", None) or getattr(handoffs, "after_work", None))
