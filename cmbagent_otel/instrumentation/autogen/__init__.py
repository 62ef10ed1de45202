"""Hooks into AG2 classic: whatever distribution brings the module ``autogen``, by its modules and methods.

Class-level wrappers only. Each point is found by name; what a version lacks is left out with a debug line.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from cmbagent_otel.instrumentation.autogen import chat, code, handoff, human, message, model, selection, tool, turn
from cmbagent_otel.instrumentation.autogen.agents import Newcomers, give_back_captured, is_being_imported
from cmbagent_otel.instrumentation.autogen.context import (
    CarryingThreading,
    carried_into_executor,
    carried_into_thread,
)
from cmbagent_otel.instrumentation.calls import Begin, Wrapper, around, around_async, passing_when_quiet, watching
from cmbagent_otel.instrumentation.instrumentor import HookInstrumentor
from cmbagent_otel.instrumentation.points import Point

_AGENT = "autogen.agentchat.conversable_agent"
_GROUP = "autogen.agentchat.groupchat"
_THREADED = (_AGENT, "autogen.agentchat.group.multi_agent_chat")
"""Modules of AG2 that start threads which run chats."""
_EXECUTORS = {
    "autogen.coding.local_commandline_code_executor": "LocalCommandLineCodeExecutor",
    "autogen.coding.docker_commandline_code_executor": "DockerCommandLineCodeExecutor",
    "autogen.coding.jupyter.jupyter_code_executor": "JupyterCodeExecutor",
    "autogen.coding.jupyter.embedded_ipython_code_executor": "EmbeddedIPythonCodeExecutor",
}


class AutogenInstrumentor(HookInstrumentor):
    """Traces AG2 classic. ``instrument()`` hooks it now, or when the program imports it."""

    framework = "AG2"
    module = "autogen"

    def _prepare(self) -> None:
        self._newcomers = Newcomers(self._installation, self._overridable(), self._sync(code.begin_code))

    def _uninstrument(self, **kwargs: Any) -> None:
        super()._uninstrument(**kwargs)
        self._newcomers.forget()
        give_back_captured()

    def _install(self) -> None:
        self._installation.put(self._points())
        self._installation.substitute(
            sys.modules[_AGENT], "ConversableAgent.a_generate_oai_reply", carried_into_executor
        )
        for module in _THREADED:
            if isinstance(getattr(sys.modules.get(module), "threading", None), type(threading)):
                self._installation.replace(sys.modules[module], "threading", CarryingThreading(threading))
        self._put_when_imported(
            Point(module, f"{name}.execute_code_blocks", self._sync(code.begin_code))
            for module, name in _EXECUTORS.items()
        )
        if not is_being_imported():
            self._newcomers.catch_up()

    def _points(self) -> list[Point]:
        switch = self._installation.switch
        agent = [Point(_AGENT, f"ConversableAgent.{name}", wrapper) for name, wrapper in self._overridable().items()]
        chats, a_chats = self._sync(chat.begin_chats), self._async(chat.begin_chats)
        look_at_send = passing_when_quiet(watching(message.look_at_send, switch))
        look_at_usage = passing_when_quiet(watching(model.look_at_usage, switch))
        return [
            *agent,
            Point(_AGENT, "ConversableAgent.__init__", watching(self._newcomers.look, switch)),
            Point(_AGENT, "ConversableAgent.send", look_at_send),
            Point(_AGENT, "ConversableAgent.a_send", look_at_send),
            Point(_AGENT, "ConversableAgent.initiate_chats", chats),
            Point(_AGENT, "ConversableAgent.a_initiate_chats", a_chats),
            *(
                Point(module, name, wrapper)
                for module in ("autogen.agentchat.chat", _AGENT, "autogen.agentchat", "autogen")
                for name, wrapper in (("initiate_chats", chats), ("a_initiate_chats", a_chats))
            ),
            Point(_AGENT, "ConversableAgent._run_async_in_thread", carried_into_thread(switch)),
            Point("autogen.oai.client", "OpenAIWrapper.create", self._sync(model.begin_model)),
            Point("autogen.oai.client", "OpenAIWrapper._update_usage", look_at_usage),
            Point("autogen.oai.client", "OpenAIClient.create", model.noting_failure(switch)),
            Point("openai._base_client", "SyncAPIClient._sleep_for_retry", watching(model.look_at_retry, switch)),
            Point(_GROUP, "GroupChat._auto_select_speaker", self._sync(selection.begin_selection)),
            Point(_GROUP, "GroupChat.a_auto_select_speaker", self._async(selection.begin_selection)),
            Point(
                "autogen.agentchat.group.group_utils",
                "determine_next_agent",
                watching(handoff.look_at_next_agent, switch),
            ),
            Point(
                "autogen.agentchat.group.group_tool_executor",
                "GroupToolExecutor.set_next_target",
                watching(handoff.look_at_target, switch),
            ),
        ]

    def _overridable(self) -> dict[str, Wrapper]:
        """Methods of an agent that subclasses override."""
        return {
            "initiate_chat": self._sync(chat.begin_chat),
            "a_initiate_chat": self._async(chat.begin_chat),
            "generate_reply": self._sync(turn.begin_turn),
            "a_generate_reply": self._async(turn.begin_turn),
            "get_human_input": self._sync(human.begin_human),
            "a_get_human_input": self._async(human.begin_human),
            "execute_function": self._sync(tool.begin_tool),
            "a_execute_function": self._async(tool.begin_tool),
            "execute_code_blocks": self._sync(code.begin_code),
        }

    def _sync(self, begin: Begin) -> Wrapper:
        return around(begin, self._installation.switch)

    def _async(self, begin: Begin) -> Wrapper:
        return around_async(begin, self._installation.switch)
