"""What a node is told of those around it: whom it follows, and in which step it belongs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from cmbagent_otel import semconv

if TYPE_CHECKING:
    from cmbagent_otel.scope import Node


class Siblings:
    """The children of one node that follow each other, and which of them a next one follows.

    The frontier holds the node ids of those that are finished, that no redo has superseded, and that no
    other finished one follows.
    """

    __slots__ = ("_frontier", "_lock", "_open")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._frontier: dict[str, None] = {}

    def begin(self, *, supersedes: str | None = None) -> tuple[tuple[str, ...], str]:
        """Start one more; returns the ids that it follows and the type of those dependencies.

        A redo follows the attempt that it ``supersedes`` by an edge of its own, so none is returned for it.
        """
        with self._lock:
            others = self._open
            self._open += 1
            if supersedes is not None:
                self._frontier.pop(supersedes, None)
                return (), semconv.EdgeType.CONDITIONAL
            kind = semconv.EdgeType.PARALLEL if others else semconv.EdgeType.SEQUENTIAL
            return tuple(self._frontier), kind

    def end(self, own_id: str | None, follows: Sequence[str], *, superseded: bool = False) -> None:
        """Finish the one of that id, which follows those; one already superseded leaves the frontier as it is."""
        with self._lock:
            self._open -= 1
            if own_id is None or superseded:
                return
            for follower in follows:
                self._frontier.pop(follower, None)
            self._frontier[own_id] = None


class Place(Protocol):
    """Where in a phase the program stands while one chat goes on through several of its steps.

    CMBAgent moves from step to step by tools that its agents call, so no block of its code is a step.
    """

    def look(self, node_kind: str, name: str) -> Node | None:
        """Told of each turn in the chat, and of each tool call, before it begins.

        Args:
            node_kind: ``agent`` or ``tool``.
            name: of the agent or the tool.

        Returns:
            The step that a turn belongs to, or None where it belongs to the chat. Never raises.
        """
