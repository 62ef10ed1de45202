"""Hooks into AG2 1.x, the module ``ag2``: a middleware of ours around every turn, whoever makes the agent.

The agent itself is not changed: for one turn at a time AG2 sees it with our middleware in front of its own.
"""

from __future__ import annotations

from cmbagent_otel.instrumentation.ag2.attempts import look_at_retry
from cmbagent_otel.instrumentation.ag2.middleware import look_at_unknown_tool
from cmbagent_otel.instrumentation.ag2.network import Posts
from cmbagent_otel.instrumentation.ag2.turns import with_our_middleware
from cmbagent_otel.instrumentation.calls import watching
from cmbagent_otel.instrumentation.instrumentor import HookInstrumentor
from cmbagent_otel.instrumentation.points import Point


class Ag2Instrumentor(HookInstrumentor):
    """Traces AG2 1.x. ``instrument()`` hooks it now, or when the program imports it."""

    framework = "AG2 1.x"
    module = "ag2"

    def _prepare(self) -> None:
        self._posts = Posts()

    def _install(self) -> None:
        switch = self._installation.switch
        self._installation.put(
            [
                Point("ag2.agent", "Agent._drive_scope", with_our_middleware(switch)),
                Point(
                    "ag2.events.tool_events",
                    "ToolErrorEvent.from_call",
                    watching(look_at_unknown_tool, switch),
                ),
                Point("openai._base_client", "AsyncAPIClient._sleep_for_retry", watching(look_at_retry, switch)),
            ]
        )
        # Imported only by programs that use the network.
        hub, agent = "ag2.network.client.hub_client", "ag2.network.client.agent_client"
        self._put_when_imported(
            [
                Point(hub, "HubClient.post_envelope", watching(self._posts.look_at_post, switch)),
                Point(agent, "AgentClient.receive", self._posts.received_there(switch)),
            ]
        )
