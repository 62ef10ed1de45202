"""Speaker selection, where a model selects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmbagent_otel import scope as scopes
from cmbagent_otel import semconv
from cmbagent_otel.instrumentation.autogen.kinds import name_of
from cmbagent_otel.instrumentation.autogen.state import ChatCall, chat_of, is_own_super
from cmbagent_otel.semconv import NodeKind, NodeType

_NAME = "speaker_selection"


class SelectionCall(ChatCall):
    """A model chooses who speaks next, in a small chat of AG2's own; of that only the model calls are kept."""

    __slots__ = ()

    def returned(self, result: Any) -> None:
        """Who was chosen."""
        self.node.span.set_attribute(semconv.SPEAKER_SELECTED, name_of(result))


def begin_selection(
    original: Callable[..., Any], groupchat: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> SelectionCall | None:
    """``GroupChat._auto_select_speaker`` and its async twin."""
    scope = scopes.enclosing()[1]
    if is_own_super(scope, NodeKind.SPEAKER_SELECTION, groupchat):
        return None
    node = scopes.start(_NAME, NodeType.SPEAKER_SELECTION, NodeKind.SPEAKER_SELECTION, {semconv.SPEAKER_METHOD: "auto"})
    call = SelectionCall(node, groupchat, chat_of(scope))
    node.attach()
    return call
