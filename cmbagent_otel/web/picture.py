"""The picture of a run that the browser draws: frames, cards, and the figures of the head. Pure.

It grows with the cards, not with the calls: a card holds a few shapes of each agent, and of many the worst;
what is inside is asked for when it is opened. No text that people, models or programs said is in it. Times
are seconds from the start of the run; None is "not known", or for an end "goes on".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cmbagent_otel.query import words
from cmbagent_otel.query.outline import AgentRow, Card
from cmbagent_otel.query.totals import Totals
from cmbagent_otel.query.view import Node, RunView
from cmbagent_otel.semconv import EdgeType, NodeKind, Status
from cmbagent_otel.web import looks
from cmbagent_otel.web.arrange import Arrangement, Frame, Place, arrange
from cmbagent_otel.web.pauses import pauses

SCHEMA = 1
ROWS = 4
"""Agents shown on a card."""
SHAPES = 6
"""Shapes shown for one agent."""
_STRIP = 60
"""Steps up to which the head shows a mark for each."""
_WORST = {"failed": 0, "running": 1, "waiting": 1, "stale": 1, "interrupted": 2}

Json = dict[str, Any]


def draw(view: RunView, arranged: Arrangement | None = None) -> Json:
    """The whole picture."""
    arranged = arranged or arrange(view)
    after = _edges_between(view, arranged)
    frames: dict[str, Json] = {}
    cards: dict[str, Json] = {}
    for row in arranged.rows:
        if isinstance(row, Frame):
            frames[row.id] = _frame(view, row, after)
        else:
            cards[row.id] = _card(view, row, after)
    order = [row.id for row in arranged.rows]
    return {"schema": SCHEMA, "head": head(view), "order": order, "frames": frames, "cards": cards}


def seconds_from_start(view: RunView, moment: int | None) -> float | None:
    """A moment as the picture writes it."""
    return None if moment is None or view.start is None else round((moment - view.start) / 1e9, 3)


def facts(view: RunView, node: Node) -> Json:
    """What rows, cards and frames have in common."""
    return {
        "id": node.id,
        "kind": node.kind,
        "label": words.one_line(looks.title_of(node), 160),
        "look": looks.look_of(node.status),
        "status": looks.status_words(node.status),
        "t0": seconds_from_start(view, node.start),
        "t1": _end(view, node),
        **_figures(node.totals),
        **({"notes": [str(note) for note in node.notes]} if node.notes else {}),
    }


def _figures(totals: Totals) -> Json:
    if not totals.llm_calls:
        return {"cost": None, "costs": words.UNKNOWN, "tokens": words.UNKNOWN}
    return {"cost": totals.cost_usd, "costs": looks.cost(totals), "tokens": looks.tokens(totals)}


def _end(view: RunView, node: Node) -> float | None:
    if node.end is None and not node.is_open:
        return seconds_from_start(view, node.start)  # nobody knows; a point, not a bar to now
    end = node.end if node.start is None or node.end is None else max(node.end, node.start)
    return seconds_from_start(view, end)


def _frame(view: RunView, frame: Frame, after: Mapping[str, list[list[str]]]) -> Json:
    made: Json
    if frame.node is not None:
        made = facts(view, frame.node)
    else:
        made = {"id": frame.id, "kind": "", "label": "Unattached", "look": "", "status": "", "t0": None, "t1": None}
    return {**made, "depth": frame.depth, "parent": frame.parent, "after": after.get(frame.id, [])}


def _card(view: RunView, place: Place, after: Mapping[str, list[list[str]]]) -> Json:
    attempt = place.card.attempt
    node = place.node
    made = {
        **(_group(view, place) if attempt is None else facts(view, attempt)),
        "id": place.id,
        # what is shown of the card where one node must stand for it
        "node": node.id if node is not None else place.parent,
        "frame": place.parent,
        "band": place.band,
        "step": place.column,
        "depth": place.depth,
        "attempt": 1,
        "rows": _rows(view, place.card),
        "has": _kinds(view, place.card),
        "failed": [below.id for below in _failures(place.tops)],
        "after": after.get(place.id, []),
    }
    if attempt is not None and attempt.step is not None:
        made["number"] = attempt.step.number
        made["attempt"] = attempt.attempt
        if attempt.is_replaced:
            made["replaced"] = True
        if attempt.attempt > 1:
            made["why"] = looks.why(attempt)
            made["hypothesis"] = words.one_line(looks.hypothesis(attempt), 300)
        if attempt.meta.get("over_limit"):
            made["over_limit"] = True
    return made


def _group(view: RunView, place: Place) -> Json:
    """The facts of a card that is no attempt: what stands beside the steps."""
    totals = Totals()
    for top in place.tops:
        totals.add(top.totals)
    running = next((top for top in place.tops if top.is_open), None)
    speaks = running or place.tops[-1]
    names = [words.one_line(row.name, 30) for row in place.card.rows if row.name]
    starts = [top.start for top in place.tops if top.start is not None]
    ends = [end for top in place.tops if (end := _end(view, top)) is not None]
    return {
        "kind": "group",
        "label": ", ".join(names[:3]) + (", …" if len(names) > 3 else "") if names else looks.title_of(speaks),
        "look": looks.look_of(speaks.status),
        "status": looks.status_words(speaks.status),
        "t0": seconds_from_start(view, min(starts, default=None)),
        "t1": None if running is not None else max(ends, default=None),
        **_figures(totals),
    }


def _rows(view: RunView, card: Card) -> list[list[Any]]:
    """The agents of a card: name, id of the first turn, shapes, calls without a shape, failed ones among these.

    The last row has the name None and counts the agents that have no row of their own.
    """
    shown = card.rows if len(card.rows) <= ROWS else card.rows[: ROWS - 1]
    rows: list[list[Any]] = [[words.one_line(row.name, 40), _first(row), *_shapes(view, row.calls)] for row in shown]
    rest = card.rows[len(shown) :]
    if rest:
        failed = sum(call.status == Status.FAILED for row in rest for call in row.calls)
        rows.append([None, _first(rest[0]), [], len(rest), failed])
    return rows


def _first(row: AgentRow) -> str:
    return (row.turns or row.calls)[0].id


def _shapes(view: RunView, calls: list[Node]) -> tuple[list[list[Any]], int, int]:
    """The shapes of one agent in time order, how many calls have none, and how many failed ones among these."""
    if len(calls) <= SHAPES:
        return [_shape(view, node) for node in calls], 0, 0
    ranked = sorted(range(len(calls)), key=lambda place: (_WORST.get(looks.look_of(calls[place].status), 3), -place))
    kept = set(ranked[: SHAPES - 1])
    rest = [node for place, node in enumerate(calls) if place not in kept]
    failed = sum(node.status == Status.FAILED for node in rest)
    return [_shape(view, calls[place]) for place in sorted(kept)], len(rest), failed


def _shape(view: RunView, node: Node) -> list[Any]:
    """A call: id, shape, look, start, end, cost, label."""
    return [
        node.id,
        looks.shape_of(node),
        looks.look_of(node.status),
        seconds_from_start(view, node.start),
        _end(view, node),
        node.row.cost_usd if node.kind == NodeKind.LLM else None,
        words.one_line(looks.title_of(node), 60),
    ]


def _kinds(view: RunView, card: Card) -> list[list[Any]]:
    """What the filters ask of a card: for each agent, look and kind how many calls, the longest, the dearest.

    The longest is None where one goes on: it may be of any length by the time that is asked.
    """
    kinds: dict[tuple[str, str, str], list[Any]] = {}
    for row in card.rows:
        agent = words.one_line(row.name, 40)
        for node in row.calls or row.turns:
            key = (agent, looks.look_of(node.status), node.kind)
            count = kinds.setdefault(key, [0, 0.0, 0.0])
            count[0] += 1
            if node.is_open:
                count[1] = None
            elif count[1] is not None:
                count[1] = max(count[1], round(node.seconds(view.now_unix_nano) or 0.0, 3))
            count[2] = max(count[2], node.row.cost_usd or 0.0)
    return [[*key, *count] for key, count in kinds.items()]


def _failures(tops: Iterable[Node]) -> list[Node]:
    """What failed with nothing failed below it, as the totals count errors: where the next-error key goes."""
    nodes = [node for top in tops for node in top.subtree()]
    found: list[Node] = []
    raised: set[str] = set()
    for node in reversed(nodes):  # children before parents
        failed = node.row.status == Status.FAILED and not node.hidden
        if failed and node.id not in raised:
            found.append(node)
        if (failed or node.id in raised) and node.parent is not None:
            raised.add(node.parent.id)
    return found[::-1]


def _edges_between(view: RunView, arranged: Arrangement) -> dict[str, list[list[str]]]:
    """What each card or frame follows, as the rows state it: pairs of id and dependency type."""
    frames = {row.id for row in arranged.rows if isinstance(row, Frame)}
    after: dict[str, list[list[str]]] = {}

    def end_of(node_id: str) -> str | None:
        place = arranged.place_of.get(node_id)
        if place is not None:
            return place.id if node_id in {top.id for top in place.tops} else None
        return node_id if node_id in frames else None

    for edge in view.edges:
        if edge.dependency_type == EdgeType.CONDITIONAL:
            continue  # from attempt to attempt, drawn as a redo
        source, target = end_of(edge.from_node_id), end_of(edge.to_node_id)
        if source is not None and target is not None and source != target:
            stated = after.setdefault(target, [])
            if [source, edge.dependency_type] not in stated:
                stated.append([source, edge.dependency_type])
    return after


def head(view: RunView) -> Json:
    """The figures above the picture."""
    totals = view.totals
    current = [step.current for step in view.steps]
    return {
        "id": view.id,
        "title": words.one_line(view.run.title, 300),
        "mode": words.one_line(view.run.mode),
        "look": looks.look_of(view.status),
        "status": looks.status_words(view.status),
        "open": view.is_open,
        "start_ms": None if view.start is None else view.start // 1_000_000,
        "news_ms": None if view.news_unix_nano is None else view.news_unix_nano // 1_000_000,
        "end": seconds_from_start(view, view.end),
        "waiting": view.waiting_seconds,
        "now": [[node.id, looks.short(node)] for node in view.now if not node.hidden and node.parent is not None],
        "steps": len(current),
        "done": sum(node.status == Status.COMPLETED for node in current),
        "strip": [[node.id, looks.look_of(node.status), node.attempt] for node in current]
        if len(current) <= _STRIP
        else [],
        "nodes": totals.nodes,
        "cost": looks.cost(totals) if totals.llm_calls else words.UNKNOWN,
        "cost_replaced": words.cost(view.replaced.cost_usd) if view.replaced.cost_usd else "",
        "tokens_in": words.count(totals.input_tokens) if totals.llm_calls else words.UNKNOWN,
        "tokens_out": words.count(totals.output_tokens) if totals.llm_calls else words.UNKNOWN,
        "tokens_at_least": totals.unknown_tokens > 0,
        "redos": totals.redos,
        "errors": totals.errors,
        "calls": {
            "llm": totals.llm_calls,
            "tool": totals.tool_calls,
            "code": totals.code_runs,
            "human": totals.approvals,
        },
        "hidden": view.hidden,
        "dangling": view.dangling_edges,
        "pauses": [
            [seconds_from_start(view, start), seconds_from_start(view, end), kind] for start, end, kind in pauses(view)
        ],
    }
