"""Where the nodes of a run stand in a list of rows: frames, and inside them the cards of the outline.

A card is one attempt of a step, or all that stands between two steps. Around the cards stand frames: the
run, its phases, and what else holds some of these. Each node is a frame, or on one card.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cmbagent_otel.query.outline import AgentRow, Band, Card, Outline, outline
from cmbagent_otel.query.view import Node, RunView

UNATTACHED = "unattached"
"""Id of the frame for what hangs under no node that is here."""
GROUP = "group-"
"""Begins the id of a card that is no attempt: the id of the first node on it follows."""


@dataclass(slots=True, eq=False)
class Frame:
    """What stands around cards; without a node where no node does."""

    id: str
    node: Node | None
    depth: int
    parent: str | None
    """Id of the frame around it."""


@dataclass(slots=True, eq=False)
class Place:
    """A card and where it stands."""

    id: str
    card: Card
    tops: list[Node]
    """The nodes on it that no other node on it is above of."""
    band: str
    """Id of the band: the phase's, or that of the first card in it."""
    column: str
    """Id of the step, or the card's own."""
    depth: int = 0
    parent: str | None = None
    """Id of the frame around it."""

    @property
    def node(self) -> Node | None:
        """The one node that the card is about, if there is one."""
        return self.tops[0] if len(self.tops) == 1 else None


@dataclass(slots=True, eq=False)
class Arrangement:
    """Frames and cards in the order of the tree."""

    rows: list[Frame | Place] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    """By their ids."""
    place_of: dict[str, Place] = field(default_factory=dict)
    """The card of each node that is on one."""


def arrange(view: RunView) -> Arrangement:
    """Frames and cards of a run."""
    made = outline(view)
    places = _places(view, made)
    arranged = Arrangement(
        places={place.id: place for place in places},
        place_of={node.id: place for place in places for node in _on(place)},
    )
    tops = {top.id: place for place in places for top in place.tops}
    holding = _holding(places, made)
    arranged.rows += _walk(arranged, [(root, None, 0) for root in view.roots], tops, holding)
    if view.unattached:
        arranged.rows.append(Frame(UNATTACHED, None, 0, None))
        arranged.rows += _walk(arranged, [(node, UNATTACHED, 1) for node in view.unattached], tops, holding)
    return arranged


def inside(place: Place, *, hidden: bool = False) -> Iterator[tuple[Node, int]]:
    """The nodes on a card with their depth in it, in the order of the tree; not the attempt itself."""
    tops = place.tops if place.card.attempt is None else place.card.attempt.children
    stack = [(node, 0) for node in reversed(tops)]
    while stack:
        node, depth = stack.pop()
        shown = hidden or not node.hidden
        if shown:
            yield node, depth
        stack.extend((child, depth + shown) for child in reversed(node.children))


def _places(view: RunView, made: Outline) -> list[Place]:
    places = []
    for band in made.bands:
        name = None if band.phase is None else band.phase.id
        for column in band.columns:
            for card in column.cards:
                if card.attempt is not None:
                    step = card.attempt.id if column.step is None else column.step.id
                    name = name or card.attempt.id
                    places.append(Place(card.attempt.id, card, [card.attempt], name, step))
                    continue
                for part, tops in _parts(view, card, _tops(view, card, band)):
                    identifier = GROUP + tops[0].id
                    name = name or identifier
                    places.append(Place(identifier, part, tops, name, identifier))
    return places


def _parts(view: RunView, card: Card, tops: list[Node]) -> list[tuple[Card, list[Node]]]:
    """A card that is no attempt, cut where its nodes stand in different frames, so that each row has one place."""
    loose = {node.id for node in view.unattached}
    around: dict[str | None, list[Node]] = {}
    for top in tops:
        parent = None if top.parent is None else top.parent.id
        around.setdefault(UNATTACHED if top.id in loose else parent, []).append(top)
    if len(around) < 2:
        return [(card, tops)] if tops else []
    parts = []
    for some in around.values():
        within = {node.id for top in some for node in top.subtree()}
        rows = [
            AgentRow(
                row.name, [one for one in row.turns if one.id in within], [one for one in row.calls if one.id in within]
            )
            for row in card.rows
        ]
        containers = [node for node in card.containers if node.id in within]
        parts.append((Card(None, [row for row in rows if row.turns or row.calls], containers), some))
    return parts


def _tops(view: RunView, card: Card, band: Band) -> list[Node]:
    """The topmost shown nodes of a card that is no attempt: a chat rather than the turns in it."""
    found: dict[str, Node] = {}
    containers = {node.id for node in band.containers}
    on_card = {node.id for node in card.nodes()}
    for node in card.nodes():
        top = node
        above = node.parent
        while above is not None and (above.id in on_card or _is_own(above, containers, on_card)):
            if not above.hidden:
                top = above
            above = above.parent
        if not top.hidden:
            found[top.id] = top
    return [node for node in view.nodes.values() if node.id in found] if len(found) > 1 else list(found.values())


def _is_own(above: Node, containers: set[str], on_card: set[str]) -> bool:
    """Whether a container of the band holds nothing but what is on the card."""
    if above.id not in containers:
        return False
    return all(node.id in on_card or node.id in containers for node in above.subtree())


def _on(place: Place) -> Iterator[Node]:
    for top in place.tops:
        yield from top.subtree()


def _holding(places: Sequence[Place], made: Outline) -> set[str]:
    """Ids of the nodes that have a phase or a card below them."""
    holding: set[str] = set()
    below = [top for place in places for top in place.tops]
    below += [band.phase for band in made.bands if band.phase is not None]
    for node in below:
        above = node.parent
        while above is not None and above.id not in holding:
            holding.add(above.id)
            above = above.parent
    return holding


def _walk(
    arranged: Arrangement,
    nodes: Sequence[tuple[Node, str | None, int]],
    tops: Mapping[str, Place],
    holding: set[str],
) -> Iterator[Frame | Place]:
    """The rows of some nodes (each with the frame around it and its depth) and of what is below them."""
    placed: set[str] = set()
    stack = list(reversed(nodes))
    while stack:
        node, around, depth = stack.pop()
        place = tops.get(node.id)
        if place is not None:
            if place.id not in placed:
                placed.add(place.id)
                place.depth, place.parent = depth, around
                yield place
        elif node.hidden:
            stack.extend((child, around, depth) for child in reversed(node.children))
        elif node.id in holding or node.id not in arranged.place_of:
            yield Frame(node.id, node, depth, around)
            stack.extend((child, node.id, depth + 1) for child in reversed(node.children))
