"""What programs and our own scripts ask: JSON, schema 1."""

from __future__ import annotations

import time
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from cmbagent_otel.query.document import node_document, runs_document
from cmbagent_otel.query.runs import list_runs
from cmbagent_otel.version import __version__
from cmbagent_otel.web import looks
from cmbagent_otel.web.arrange import Place, inside
from cmbagent_otel.web.detail import Detail
from cmbagent_otel.web.listing import PAGE, Wanted
from cmbagent_otel.web.messages import as_text
from cmbagent_otel.web.pages import place_of, read_detail, viewer_of
from cmbagent_otel.web.picture import SCHEMA, facts
from cmbagent_otel.web.snapshot import Snapshot
from cmbagent_otel.web.viewer import UnknownNodeError


class Json(Response):
    """A JSON answer; what JSON has no word for is text."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes."""
        return orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS)


def health(request: Request) -> Response:
    """Whether the viewer answers, and whether it can read its database."""
    with viewer_of(request).reading() as connection:
        list_runs(connection, limit=1)
    return Json({"status": "ok", "version": __version__})


def runs(request: Request) -> Response:
    """A list of runs."""
    wanted = Wanted.of(request.query_params)
    with viewer_of(request).reading() as connection:
        found = list_runs(
            connection,
            status=wanted.status or None,
            mode=wanted.mode or None,
            text=wanted.q or None,
            limit=PAGE,
            offset=wanted.offset,
        )
    return Json(runs_document(found, time.time_ns()))


def graph(request: Request) -> Response:
    """The picture of a run; no text that was said is in it."""
    snapshot = viewer_of(request).snapshot(request.path_params["run"])
    return Json({**snapshot.picture, "revision": snapshot.revision})


def delta(request: Request) -> Response:
    """What has changed in a run since revision ``rev``."""
    snapshot = viewer_of(request).snapshot(request.path_params["run"])
    return Json(snapshot.since(request.query_params.get("rev", "")))


def card(request: Request) -> Response:
    """What is on a card: its nodes in the order of the tree, with their depths on the card."""
    snapshot = viewer_of(request).snapshot(request.path_params["run"])
    name = request.path_params["card"]
    place = snapshot.arranged.places.get(name)
    if place is None:
        raise UnknownNodeError(f"There is no card {name!r} in this run.")
    rows = rows_of(snapshot, place, hidden="all" in request.query_params)
    return Json({"schema": SCHEMA, "revision": snapshot.revision, "card": name, "rows": rows})


def rows_of(snapshot: Snapshot, place: Place, *, hidden: bool = False) -> list[dict[str, Any]]:
    """A row for each node on a card."""
    return [
        {
            **facts(snapshot.view, node),
            "level": depth,
            "shape": looks.shape_of(node),
            "agent": node.row.agent or "",
            **({"exit": node.meta["exit_code"]} if node.meta.get("exit_code") is not None else {}),
            **({"hidden": True} if node.hidden else {}),
        }
        for node, depth in inside(place, hidden=hidden)
    ]


def place(request: Request) -> Response:
    """On which card a node is."""
    viewer = viewer_of(request)
    snapshot = viewer.snapshot(request.path_params["run"])
    found = viewer.node(snapshot, request.path_params["node"])
    return Json({"schema": SCHEMA, "chosen": place_of(snapshot.arranged, found.id)})


def node(request: Request) -> Response:
    """All that is known of one node, its texts included."""
    viewer = viewer_of(request)
    snapshot = viewer.snapshot(request.path_params["run"])
    found = viewer.node(snapshot, request.path_params["node"])
    known = read_detail(viewer, snapshot.view, found, full="full" in request.query_params)
    return Json(
        {
            "schema": SCHEMA,
            "node": {**node_document(found, snapshot.view), "meta": dict(known.attributes)},
            **_told(known),
            "jaeger": viewer.jaeger_link(found),
        }
    )


def _told(known: Detail) -> dict[str, Any]:
    return {
        "error": {"type": known.error_type, "message": known.error} if known.error or known.error_type else None,
        "texts": [
            {"title": text.title, "text": text.full[: len(text.full) - text.left_out], "left_out": text.left_out}
            for text in known.texts
        ],
        "messages": [{"speaker": one.speaker, "kind": one.kind, "text": one.text} for one in known.messages],
        "left_out": known.left_out,
        "not_recorded": known.not_recorded or None,
        "events": [
            {
                "id": event.id,
                "type": event.event_type,
                "subtype": event.event_subtype,
                "agent": event.agent_name,
                "status": event.status,
                "order": event.execution_order,
                "meta": as_text(event.meta),
            }
            for event in known.events
        ],
        "files": [file._asdict() for file in known.files],
    }
