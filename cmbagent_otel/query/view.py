"""The read model: the rows of a run as a tree, shared by the command line, the exports and the web. Pure.

Nothing is ever dropped: each row is one :class:`Node` of the tree, whatever its parents, times, type or
status are, and what is odd about it is said in its ``notes``. The same rows give the same view in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cmbagent_otel.query.rows import EdgeRow, NodeRow, RunRow
from cmbagent_otel.query.totals import Totals
from cmbagent_otel.semconv import Status

STALE = "stale"
"""Shown for what runs by its row, while the run has had no news for :data:`STALE_AFTER_SECONDS`."""
STALE_AFTER_SECONDS = 300.0

ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.INTERRUPTED, "cancelled", "skipped"})
NOT_STARTED = frozenset({Status.PENDING, "draft"})


class Note(StrEnum):
    """What is odd about a node, in words for people."""

    UNATTACHED = "its parent is not here"
    CIRCLE = "its ancestors form a circle; cut here"
    PLACEHOLDER = "known only as a parent; its own span has not arrived"
    BEFORE_PARENT = "starts before its parent"
    ENDS_BEFORE_START = "ends before it starts"
    UNKNOWN_TYPE = "of a type that this version does not know"


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """One row, at its place in the tree."""

    row: NodeRow
    meta: Mapping[str, Any]
    """Empty for the many whose columns say all that a picture needs."""
    kind: str
    label: str
    status: str
    """As shown: the row's, or ``stale``."""
    start: int | None
    """The row's own start; where it has none, the first start below it."""
    end: int | None
    parent: Node | None = None
    """In the drawing; differs from the row's where that is missing, a circle, or a redo in a later trace."""
    children: list[Node] = field(default_factory=list)
    """By start; the attempts of a step stand side by side."""
    depth: int = 0
    totals: Totals = field(default_factory=Totals)
    notes: tuple[Note, ...] = ()
    step: Step | None = None
    """The step that this node is an attempt of."""
    attempt: int = 0
    """Which attempt of its step this is, from 1; 0 for what is no attempt."""
    hidden: bool = False
    """A foreign span under something that is shown: kept, and left out of the picture."""
    handed_over_by: str | None = None
    """Id of the agent turn that handed over to this one."""

    @property
    def id(self) -> str:
        """The node's id."""
        return self.row.id

    @property
    def is_replaced(self) -> bool:
        """Whether a later attempt stands for the step."""
        return self.step is not None and self.step.current is not self

    @property
    def is_open(self) -> bool:
        """Whether it has started and not ended."""
        return self.status not in ENDED and self.status not in NOT_STARTED

    def seconds(self, now_unix_nano: int) -> float | None:
        """How long it took, or has been going on; None before it starts, and where nobody knows."""
        if self.start is None or self.status in NOT_STARTED:
            return None
        end = self.end if self.end is not None else now_unix_nano if self.is_open else None
        return None if end is None else max(0, end - self.start) / 1e9

    def subtree(self) -> Iterator[Node]:
        """This node and all below it, in drawing order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def visible_children(self) -> list[Node]:
        """The children, with those of hidden ones in their place."""
        return visible(self.children)


@dataclass(slots=True, eq=False, repr=False)
class Step:
    """A step of a plan and all its attempts, first to last."""

    number: int | None
    attempts: list[Node]

    @property
    def current(self) -> Node:
        """The attempt that stands for the step: the last."""
        return self.attempts[-1]

    @property
    def label(self) -> str:
        """What the step is for."""
        return self.attempts[0].label

    @property
    def id(self) -> str:
        """The node id of the first attempt."""
        return self.attempts[0].id


@dataclass(slots=True, eq=False, repr=False)
class RunView:
    """A run: its tree, and what its head line says."""

    run: RunRow
    now_unix_nano: int
    roots: list[Node]
    """By start, then :attr:`unattached` ones are not among them."""
    unattached: list[Node]
    """Nodes whose parent is not here, or only as a placeholder, and those of circles."""
    nodes: dict[str, Node]
    steps: list[Step]
    """In drawing order."""
    edges: tuple[EdgeRow, ...]
    """Sorted; both ends are nodes of the view."""
    dangling_edges: int
    status: str
    """As shown: the run's, or ``stale``."""
    start: int | None
    end: int | None
    totals: Totals
    replaced: Totals
    """The part of the totals that went into attempts that were done again."""
    waiting_seconds: float
    """How long humans were waited for, overlaps counted once."""
    news_unix_nano: int | None
    """When something was last heard of the run."""
    now: tuple[Node, ...]
    """From the root to the call that runs now, started last; empty when nothing runs."""
    hidden: int

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def is_open(self) -> bool:
        """Whether the run goes on, by its own status; its root span may have ended before."""
        return self.status not in ENDED

    @property
    def seconds(self) -> float | None:
        """From the start to the end, or to now."""
        if self.start is None:
            return None
        end = self.end if self.end is not None else self.now_unix_nano
        return max(0, end - self.start) / 1e9

    @property
    def active_seconds(self) -> float | None:
        """The same without the time that humans were waited for."""
        seconds = self.seconds
        return None if seconds is None else max(0.0, seconds - self.waiting_seconds)

    @property
    def silent_seconds(self) -> float:
        """How long a run that goes on has had no news; 0 for one that has ended."""
        if not self.is_open or self.news_unix_nano is None:
            return 0.0
        return max(0, self.now_unix_nano - self.news_unix_nano) / 1e9

    def top(self) -> list[Node]:
        """What is drawn at the top: the roots, then what is attached to none."""
        return [*self.roots, *self.unattached]

    def walk(self) -> Iterator[Node]:
        """Every node once, in drawing order, hidden ones too."""
        for root in self.top():
            yield from root.subtree()


def visible(nodes: Sequence[Node]) -> list[Node]:
    """``nodes``, with what is under hidden ones in their place."""
    if not any(node.hidden for node in nodes):
        return list(nodes)
    found: list[Node] = []
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        if node.hidden:
            stack.extend(reversed(node.children))
        else:
            found.append(node)
    return found
