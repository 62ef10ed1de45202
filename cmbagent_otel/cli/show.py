"""``show RUN``: the run as a tree of lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from rich.text import Text

from cmbagent_otel.cli.render import figures, mark, remarks, title
from cmbagent_otel.query.export import redo_words
from cmbagent_otel.query.view import Node, RunView, visible
from cmbagent_otel.semconv import NodeKind, Status

_DEEPEST_INDENT = 24
"""Levels that are indented; below them the depth is written instead."""


class Line(NamedTuple):
    """One line of the picture: what stands left, and the columns at the right."""

    left: Text
    right: tuple[str, str, str]


class Filter(NamedTuple):
    """What is asked to be shown; all of it must hold."""

    depth: int | None = None
    """Levels below the top ones."""
    errors: bool = False
    agent: str | None = None
    status: str | None = None
    hidden: bool = False
    """Show the spans of other libraries too."""

    @property
    def selects(self) -> bool:
        """Whether it asks for some nodes rather than for all."""
        return self.errors or self.agent is not None or self.status is not None


def lines(view: RunView, wanted: Filter) -> Iterator[Line]:
    """The picture; what a filter selects is shown with all that it stands under."""
    kept = _kept(view, wanted) if wanted.selects else None

    def shown(nodes: list[Node]) -> list[Node]:
        found = nodes if wanted.hidden else visible(nodes)
        return found if kept is None else [node for node in found if node.id in kept]

    yield from _tree(view, shown(view.roots), shown, wanted)
    unattached = shown(view.unattached)
    if unattached:
        yield Line(Text("Unattached", "bold yellow"), ("", "", ""))
        yield from _tree(view, unattached, shown, wanted)


def _tree(view: RunView, tops: list[Node], shown: Callable[[list[Node]], list[Node]], wanted: Filter) -> Iterator[Line]:
    stack = [(node, "", "", 0) for node in reversed(tops)]
    while stack:
        node, lead, rail, depth = stack.pop()
        if node.step is not None and node.step.attempts[0] is not node:
            yield Line(Text.assemble((f"{rail}↻ ", "yellow"), (redo_words(node), "yellow")), ("", "", ""))
        yield Line(
            Text.assemble((lead, "dim"), mark(node.status), " ", title(node), remarks(node, view)),
            figures(node, view.now_unix_nano),
        )
        children = shown(node.children)
        if not children:
            continue
        inner = _inner(lead, depth)
        if wanted.depth is not None and depth >= wanted.depth:
            below = sum(1 for _ in node.subtree()) - 1
            yield Line(Text(f"{inner}└─ … {below:,} more below", "dim"), ("", "", ""))
            continue
        for place, child in reversed(list(enumerate(children))):
            last = place == len(children) - 1
            if depth < _DEEPEST_INDENT:
                own, own_rail = f"{inner}{'└─ ' if last else '├─ '}", f"{inner}│  "
            else:
                own = own_rail = f"{inner}({depth + 1}) "
            stack.append((child, own, own_rail, depth + 1))


def _inner(lead: str, depth: int) -> str:
    if depth == 0:
        return ""
    if depth > _DEEPEST_INDENT:
        return lead[: lead.rindex("(")]
    return lead[:-3] + ("   " if lead.endswith("└─ ") else "│  ")


def _kept(view: RunView, wanted: Filter) -> set[str]:
    kept: set[str] = set()
    agents: dict[str, str | None] = {}
    for node in view.walk():
        above = None if node.parent is None else agents.get(node.parent.id)
        own = node.label if node.kind == NodeKind.AGENT else above or node.row.agent
        agents[node.id] = own
        if wanted.errors and node.row.status != Status.FAILED:
            continue
        if wanted.status is not None and wanted.status not in (node.status, node.row.status):
            continue
        if wanted.agent is not None and own != wanted.agent:
            continue
        here: Node | None = node
        while here is not None and here.id not in kept:
            kept.add(here.id)
            here = here.parent
    return kept
