"""A run as Mermaid or DOT text: phases as groups, attempts as boxes, redos as dashed arrows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from cmbagent_otel.query import words
from cmbagent_otel.query.outline import AgentRow, Card, Column, Outline, outline
from cmbagent_otel.query.view import STALE, Node, RunView, Step
from cmbagent_otel.query.words import one_line
from cmbagent_otel.semconv import EdgeType, NodeKind, Status

DETAIL_LIMIT = 150
"""Nodes of a run up to which a box tells what its agents did."""

_CLASSES = {
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    "error": "failed",
    Status.RUNNING: "running",
    "executing": "running",
    "retrying": "running",
    STALE: "running",
    Status.WAITING_APPROVAL: "waiting",
    "paused": "waiting",
    Status.PENDING: "pending",
}
_OTHER = "other"
_MARKS = {"completed": "✓", "failed": "✗", "running": "●", "waiting": "‖", "pending": "·", _OTHER: "?"}
_COLOURS = {
    "completed": ("#e3f1ec", "#296f5c"),
    "failed": ("#fdeaea", "#c0272f"),
    "running": ("#e4eefd", "#1763d6"),
    "waiting": ("#f0e9fb", "#7440c4"),
    "pending": ("#ffffff", "#8a95a3"),
    _OTHER: ("#f4f6f8", "#566272"),
}
_FLOW = (EdgeType.SEQUENTIAL, EdgeType.PARALLEL)
_CALL_WORDS = {
    NodeKind.LLM: ("model call", None),
    NodeKind.TOOL: ("tool", None),
    NodeKind.CODE: ("code run", None),
    NodeKind.APPROVAL: ("question to a person", "questions to a person"),
}


def mermaid(view: RunView) -> str:
    """The run as a Mermaid flowchart."""
    made = outline(view)
    boxes = _Boxes(view, made)
    lines = ["flowchart LR"]
    for number, band in enumerate(made.bands):
        inside = [
            f'{boxes.name(card)}["{"<br/>".join(map(_for_mermaid, boxes.label(card, column)))}"]:::{boxes.state(card)}'
            for column in band.columns
            for card in column.cards
        ]
        if band.phase is None:
            lines += [f"  {line}" for line in inside]
        else:
            lines.append(f'  subgraph p{number}["{_for_mermaid(one_line(band.phase.label))}"]')
            lines += [f"    {line}" for line in inside or [f'e{number}["{_for_mermaid(words.UNKNOWN)}"]:::pending']]
            lines.append("  end")
    lines += [f"  {source} --> {target}" for source, target in (*boxes.flow(), *_phase_flow(view, made))]
    lines += [f'  {source} -. "{_for_mermaid(why)}" .-> {target}' for source, target, why in boxes.redos()]
    for name, (fill, stroke) in _COLOURS.items():
        dashed = ",stroke-dasharray:4 3" if name == "pending" else ""
        lines.append(f"  classDef {name} fill:{fill},stroke:{stroke},color:#18212c{dashed}")
    return "\n".join(lines) + "\n"


def dot(view: RunView) -> str:
    """The run as a Graphviz digraph."""
    made = outline(view)
    boxes = _Boxes(view, made)
    lines = [
        f"digraph {_for_dot(one_line(view.run.title))} {{",
        "  rankdir=LR; compound=true;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica"];',
    ]
    for number, band in enumerate(made.bands):
        inside = []
        for column in band.columns:
            for card in column.cards:
                fill, stroke = _COLOURS[boxes.state(card)]
                label = _for_dot("\n".join(boxes.label(card, column)))
                inside.append(f'{boxes.name(card)} [label={label}, fillcolor="{fill}", color="{stroke}"];')
        if band.phase is None:
            lines += [f"  {line}" for line in inside]
        else:
            lines.append(f"  subgraph cluster_{number} {{")
            lines.append(f"    label={_for_dot(one_line(band.phase.label))};")
            lines += [f"    {line}" for line in inside or [f'e{number} [label="", style=invis];']]
            lines.append("  }")
    lines += [f"  {source} -> {target};" for source, target in boxes.flow()]
    anchors = {f"p{number}": boxes.anchor(number) for number in range(len(made.bands))}
    lines += [
        f"  {anchors[source]} -> {anchors[target]} [ltail=cluster_{source[1:]}, lhead=cluster_{target[1:]}];"
        for source, target in _phase_flow(view, made)
    ]
    lines += [
        f'  {source} -> {target} [style=dashed, color="#a35a00", label={_for_dot(why)}];'
        for source, target, why in boxes.redos()
    ]
    return "\n".join([*lines, "}"]) + "\n"


def redo_words(attempt: Node) -> str:
    """``redo after failure: <hypothesis>``; what both the screen and the exports say of a redo."""
    reason = one_line(attempt.meta.get("reason") or "")
    after = f" after {reason}" if reason else ""
    hypothesis = one_line(attempt.meta.get("hypothesis") or attempt.meta.get("description") or "")
    return f"redo{after}: {hypothesis}" if hypothesis else f"redo{after}"


class _Boxes:
    """The boxes of an export: names, texts and the arrows between them."""

    def __init__(self, view: RunView, made: Outline) -> None:
        self._view = view
        self._made = made
        self._detailed = len(view.nodes) <= DETAIL_LIMIT
        self._names: dict[Card, str] = {}
        self._of_attempt: dict[str, str] = {}
        for column in self._columns():
            for card in column.cards:
                name = self._names[card] = f"n{len(self._names)}"
                if card.attempt is not None:
                    self._of_attempt[card.attempt.id] = name

    def _columns(self) -> Iterator[Column]:
        for band in self._made.bands:
            yield from band.columns

    def name(self, card: Card) -> str:
        """The box's name in the text."""
        return self._names[card]

    def state(self, card: Card) -> str:
        """The class of the box's status."""
        if card.attempt is not None:
            return _CLASSES.get(card.attempt.status, _OTHER)
        states = [row.status for row in card.rows if row.status is not None]
        return _CLASSES.get(states[-1], _OTHER) if states else _OTHER

    def anchor(self, number: int) -> str:
        """A box inside the band of that number, for arrows that go to the band itself."""
        for column in self._made.bands[number].columns:
            return self._names[column.cards[0]]
        return f"e{number}"

    def label(self, card: Card, column: Column) -> list[str]:
        """The lines of the box."""
        lines = [f"{_MARKS[self.state(card)]} {_title(column.step, card)}"]
        if self._detailed and card.attempt is not None:
            lines += [_told(row) for row in card.rows]
        if card.attempt is not None:
            totals = card.attempt.totals
            facts = [words.duration(card.attempt.seconds(self._view.now_unix_nano))]
            if totals.llm_calls:
                facts.append(words.cost(totals.cost_usd, at_least=totals.unknown_costs > 0))
            lines.append(" · ".join(facts))
        return lines

    def flow(self) -> Iterator[tuple[str, str]]:
        """Arrows from step to step, as the run itself stated them."""
        for edge in self._view.edges:
            if edge.dependency_type in _FLOW:
                source = self._of_attempt.get(edge.from_node_id)
                target = self._of_attempt.get(edge.to_node_id)
                if source is not None and target is not None:
                    yield source, target

    def redos(self) -> Iterator[tuple[str, str, str]]:
        """Arrows from an attempt to the next, with why."""
        for step in self._view.steps:
            for before, after in zip(step.attempts, step.attempts[1:], strict=False):
                if before.id in self._of_attempt and after.id in self._of_attempt:
                    yield self._of_attempt[before.id], self._of_attempt[after.id], one_line(redo_words(after), 120)


def _told(row: AgentRow) -> str:
    calls = Counter(call.kind for call in row.calls)
    told = ", ".join(words.plural(number, *_CALL_WORDS.get(kind, (kind, None))) for kind, number in calls.items())
    return ": ".join(part for part in (one_line(row.name, 30), told) if part) or words.UNKNOWN


def _phase_flow(view: RunView, made: Outline) -> Iterator[tuple[str, str]]:
    """Arrows from phase to phase, as the run itself stated them."""
    groups = {band.phase.id: f"p{number}" for number, band in enumerate(made.bands) if band.phase is not None}
    for edge in view.edges:
        if edge.dependency_type in _FLOW and edge.from_node_id in groups and edge.to_node_id in groups:
            yield groups[edge.from_node_id], groups[edge.to_node_id]


def _title(step: Step | None, card: Card) -> str:
    if step is None or card.attempt is None:
        return ", ".join(one_line(row.name, 30) or "calls" for row in card.rows[:4]) or words.UNKNOWN
    number = "" if step.number is None else f"{step.number} "
    attempt = f" (attempt {card.attempt.attempt})" if card.attempt.attempt > 1 else ""
    replaced = " (replaced)" if card.attempt.is_replaced else ""
    return f"{number}{one_line(step.label, 60)}{attempt}{replaced}"


_MERMAID = re.compile("[^\\w .,:;!?()+/=%$@'·✓✗●‖…–-]")  # noqa: RUF001 - the marks that we write ourselves


def _for_mermaid(text: str) -> str:
    """``text`` inside quotes, where nothing of it is syntax, markdown or HTML."""
    return _MERMAID.sub(lambda found: f"#{ord(found.group())};", text)


def _for_dot(text: str) -> str:
    """``text`` as a quoted DOT string, never as HTML; line breaks as DOT writes them."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


FORMATS: dict[str, Callable[[RunView], str]] = {"mermaid": mermaid, "dot": dot}
"""The exports that are text of another tool."""
