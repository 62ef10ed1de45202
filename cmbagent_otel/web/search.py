"""Searching a run: names, agents, hypotheses and errors as they are shown, and all that was said in it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cmbagent_otel.query.search import search_texts
from cmbagent_otel.query.view import Node
from cmbagent_otel.web import looks
from cmbagent_otel.web.api import Json
from cmbagent_otel.web.pages import place_of, viewer_of
from cmbagent_otel.web.picture import SCHEMA

LIMIT = 500
_SHORTEST = 2
_LONGEST = 200


def search(request: Request) -> Response:
    """The nodes that hold the text, in the order of the run; of more than 500 the first."""
    viewer = viewer_of(request)
    snapshot = viewer.snapshot(request.path_params["run"])
    text = request.query_params.get("q", "").strip()[:_LONGEST]
    found: list[Node] = []
    if len(text) >= _SHORTEST:
        view = snapshot.view
        with viewer.reading() as connection:
            said = set(search_texts(connection, view.id, text, LIMIT + 1))
        wanted = text.casefold()
        found = [node for node in view.walk() if node.id in said or (not node.hidden and _names(node, wanted))]
    hits: list[dict[str, Any]] = []
    for node in found[:LIMIT]:
        chosen = place_of(snapshot.arranged, node.id)
        hits.append(
            {"node": node.id, "label": looks.title_of(node), **({"card": chosen[1]} if len(chosen) > 1 else {})}
        )
    return Json({"schema": SCHEMA, "hits": hits, "more": len(found) > LIMIT})


def _names(node: Node, wanted: str) -> bool:
    row = node.row
    shown = (
        looks.title_of(node),
        row.name,
        row.agent,
        row.node_type,
        *map(node.meta.get, ("hypothesis", "error_type")),
    )
    return any(wanted in str(name).casefold() for name in shown if name)
