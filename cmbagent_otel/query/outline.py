"""The tree as the map draws it: phases as bands, attempts of steps as cards, agents as rows, calls as shapes.

Every node has one place here too: a band, a card, a turn of a row, a call, or a container (a chat, a nested
workflow, a hidden span) whose contents are drawn where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cmbagent_otel.query.kinds import CALLS
from cmbagent_otel.query.view import Node, RunView, Step
from cmbagent_otel.semconv import NodeKind


@dataclass(slots=True, eq=False, repr=False)
class AgentRow:
    """What one agent did in an attempt, all its turns together."""

    name: str
    """Empty for calls that no agent made."""
    turns: list[Node] = field(default_factory=list)
    calls: list[Node] = field(default_factory=list)

    @property
    def status(self) -> str | None:
        """Running if anything of it runs, pending if all is pending, else that of the last call or turn."""
        nodes = self.calls or self.turns
        for node in (*self.turns, *self.calls):
            if node.is_open:
                return node.status
        return nodes[-1].status if nodes else None


@dataclass(slots=True, eq=False, repr=False)
class Card:
    """One attempt of a step; or, with ``attempt`` None, what stands in a phase outside its steps."""

    attempt: Node | None
    rows: list[AgentRow] = field(default_factory=list)
    containers: list[Node] = field(default_factory=list)

    def row(self, name: str) -> AgentRow:
        """The row of that agent, made where there is none yet."""
        for row in self.rows:
            if row.name == name:
                return row
        row = AgentRow(name)
        self.rows.append(row)
        return row

    def nodes(self) -> Iterator[Node]:
        """Everything on the card but its own attempt."""
        for row in self.rows:
            yield from row.turns
            yield from row.calls
        yield from self.containers


@dataclass(slots=True, eq=False, repr=False)
class Column:
    """All attempts of one step, first to last; one card without an attempt where there is no step."""

    step: Step | None
    cards: list[Card] = field(default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class Band:
    """A phase; with ``phase`` None what stands outside the phases."""

    phase: Node | None
    columns: list[Column] = field(default_factory=list)
    containers: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class Outline:
    """All bands, in the order of the tree."""

    bands: list[Band] = field(default_factory=list)
    containers: list[Node] = field(default_factory=list)
    """What stands above or beside all bands: the workflow itself."""

    def nodes(self) -> Iterator[Node]:
        """Every node once."""
        yield from self.containers
        for band in self.bands:
            if band.phase is not None:
                yield band.phase
            yield from band.containers
            for column in band.columns:
                for card in column.cards:
                    if card.attempt is not None:
                        yield card.attempt
                    yield from card.nodes()


@dataclass(slots=True)
class _Place:
    """Where a node stands: the nearest band, card and agent above it."""

    band: Band | None = None
    card: Card | None = None
    row: AgentRow | None = None


def outline(view: RunView) -> Outline:
    """The bands of a view."""
    made = Outline()
    columns: dict[Step, Column] = {}
    stack = [(node, _Place()) for node in reversed(view.top())]
    while stack:
        node, place = stack.pop()
        inside = _put(node, place, made, columns)
        stack.extend((child, inside) for child in reversed(node.children))
    return made


def _put(node: Node, place: _Place, made: Outline, columns: dict[Step, Column]) -> _Place:
    if node.kind == NodeKind.PHASE and place.card is None:
        band = Band(node)
        made.bands.append(band)
        return _Place(band)
    if node.kind == NodeKind.STEP and node.step is not None and place.card is None:
        return _put_attempt(node, node.step, place, made, columns)
    if place.card is None and node.kind not in CALLS and node.kind != NodeKind.AGENT:
        (place.band or made).containers.append(node)
        return place
    card = place.card or _loose_card(place.band or _loose_band(made))
    inside = _Place(place.band, card, place.row)
    if node.kind == NodeKind.AGENT:
        inside.row = card.row(node.label)
        inside.row.turns.append(node)
    elif node.kind in CALLS:
        (place.row or card.row(node.row.agent or "")).calls.append(node)
    else:
        card.containers.append(node)
    return inside


def _put_attempt(node: Node, step: Step, place: _Place, made: Outline, columns: dict[Step, Column]) -> _Place:
    column = columns.get(step)
    band = place.band or _loose_band(made)
    if column is None:
        column = columns[step] = Column(step)
        band.columns.append(column)
    card = Card(node)
    column.cards.append(card)
    return _Place(band, card)


def _loose_band(made: Outline) -> Band:
    """The band of what stands outside the phases: the last one, if it is no phase either."""
    if not made.bands or made.bands[-1].phase is not None:
        made.bands.append(Band(None))
    return made.bands[-1]


def _loose_card(band: Band) -> Card:
    """The card of what stands outside the steps: that of the last column, if it is no step either."""
    if not band.columns or band.columns[-1].step is not None:
        band.columns.append(Column(None, [Card(None)]))
    return band.columns[-1].cards[0]
