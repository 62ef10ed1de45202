"""Hooks into AG2 1.x, the module ``ag2``: a middleware of ours around every turn, whoever makes the agent.

The agent itself is not changed: for one turn at a time AG2 sees it with our middleware in front of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined] # it has no types

from cmbagent_otel import scope as scopes
from cmbagent_otel import settings
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.instrumentation.ag2.attempts import look_at_retry
from cmbagent_otel.instrumentation.ag2.middleware import look_at_unknown_tool
from cmbagent_otel.instrumentation.ag2.network import Posts
from cmbagent_otel.instrumentation.ag2.turns import with_our_middleware
from cmbagent_otel.instrumentation.calls import watching
from cmbagent_otel.instrumentation.points import Installation, Point, when_imported

_logger = logging.getLogger(__name__)


class Ag2Instrumentor(BaseInstrumentor):  # type: ignore[misc] # as above
    """Traces AG2 1.x. ``instrument()`` hooks it now, or when the program imports it."""

    def __init__(self) -> None:
        if not hasattr(self, "_installation"):  # the base class makes one instance of us, and calls this each time
            self._installation = Installation("ag2")
            self._posts = Posts()

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: what is hooked is found by module and method."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Hook AG2. A second call wraps nothing twice.

        Args:
            kwargs: ``tracer_provider`` takes the place of the global one.
        """
        if self.is_instrumented_by_opentelemetry and self._installation.switch.on:
            _logger.info("AG2 1.x hooks already installed")
            return
        super().instrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        if _is_disabled():
            _logger.debug("OTEL_SDK_DISABLED is set: no hooks for AG2 1.x")
            return
        provider = kwargs.get("tracer_provider")
        if provider is not None:
            scopes.use_provider(provider)
        self._installation.switch.on = True
        when_imported("ag2", self._install)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._installation.remove()

    def _install(self) -> None:
        switch = self._installation.switch
        if not switch.on:
            return
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
        for module, points in self._network_points().items():
            when_imported(module, partial(self._put, points))
        _logger.info("AG2 1.x hooks installed successfully (%d points)", len(self._installation))

    def _put(self, points: list[Point]) -> None:
        if self._installation.switch.on:
            self._installation.put(points)

    def _network_points(self) -> dict[str, list[Point]]:
        """Imported only by programs that use the network."""
        switch = self._installation.switch
        hub, agent = "ag2.network.client.hub_client", "ag2.network.client.agent_client"
        return {
            hub: [Point(hub, "HubClient.post_envelope", watching(self._posts.look_at_post, switch))],
            agent: [Point(agent, "AgentClient.receive", self._posts.received_there(switch))],
        }


def _is_disabled() -> bool:
    try:
        return settings.load().sdk_disabled
    except SettingsError:
        return False
