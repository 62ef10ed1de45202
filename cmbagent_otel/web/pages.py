"""The pages. Each is whole without JavaScript; the map, the timeline and the drawer are drawn on top of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cmbagent_otel.query.graph import fetch_events, fetch_files, fetch_meta
from cmbagent_otel.query.view import Node, RunView, Step
from cmbagent_otel.web.arrange import Arrangement
from cmbagent_otel.web.detail import Detail, detail
from cmbagent_otel.web.listing import SINCE, STATUSES, Wanted, listing
from cmbagent_otel.web.snapshot import Snapshot
from cmbagent_otel.web.templating import links, page
from cmbagent_otel.web.viewer import UnknownNodeError, Viewer

_ROWS_WITHOUT_SCRIPT = 500


def viewer_of(request: Request) -> Viewer:
    """The viewer behind this request."""
    found: Viewer = request.app.state.viewer
    return found


def runs(request: Request) -> Response:
    """The list of runs."""
    viewer = viewer_of(request)
    wanted = Wanted.of(request.query_params)
    with viewer.reading() as connection:
        found = listing(connection, wanted)
    return page(
        request,
        "runs.html",
        listing=found,
        wanted=wanted,
        statuses=STATUSES,
        since=SINCE,
        database=viewer.reader().name,
    )


def run(request: Request) -> Response:
    """A run: the map, the timeline and the drawer; without JavaScript its phases and attempts."""
    viewer = viewer_of(request)
    snapshot = viewer.snapshot(request.path_params["run"])
    if request.path_params["run"] != snapshot.view.id:
        return RedirectResponse(links(request).run(snapshot.view.id, request.url.query), status_code=307)
    rows = snapshot.arranged.rows
    shown = rows if "all" in request.query_params else rows[:_ROWS_WITHOUT_SCRIPT]
    chosen, note = _chosen(viewer, snapshot, request.query_params.get("node", ""))
    return page(
        request,
        "run.html",
        view=snapshot.view,
        head=snapshot.picture["head"],
        rows=shown,
        more_rows=len(rows) - len(shown),
        picture=for_script(
            {
                **snapshot.picture,
                "revision": snapshot.revision,
                "chosen": chosen,
                "note": note,
                "now_ms": time.time_ns() // 1_000_000,
            }
        ),
        note=note,
        jaeger=_jaeger_of_run(viewer, snapshot.view),
        database=viewer.reader().name,
    )


def _chosen(viewer: Viewer, snapshot: Snapshot, name: str) -> tuple[list[str], str]:
    """The row and the card of the node that a link names; what there is to say where it is not here."""
    if not name:
        return [], ""
    try:
        node = viewer.node(snapshot, name)
    except UnknownNodeError as error:
        return [], str(error)
    return place_of(snapshot.arranged, name if name in snapshot.picture["cards"] else node.id), ""


def place_of(arranged: Arrangement, node_id: str) -> list[str]:
    """A node's id and that of the card it is on, if it is on one."""
    place = arranged.place_of.get(node_id)
    return [node_id] if place is None else [node_id, place.id]


def node(request: Request) -> Response:
    """All that is known of one node; as a part of the run's page with ``?part=drawer``."""
    viewer = viewer_of(request)
    snapshot = viewer.snapshot(request.path_params["run"])
    found = viewer.node(snapshot, request.path_params["node"])
    part = request.query_params.get("part")
    return page(
        request,
        "drawer.html" if part == "drawer" else "node.html",
        view=snapshot.view,
        detail=read_detail(viewer, snapshot.view, found, full="full" in request.query_params),
        head=snapshot.picture["head"],
        jaeger=viewer.jaeger_link(found),
        database=viewer.reader().name,
    )


def read_detail(viewer: Viewer, view: RunView, found: Node, *, full: bool = False) -> Detail:
    """All that is known of a node, its texts included."""
    with viewer.reading() as connection:
        meta = fetch_meta(connection, found.id)
        events = fetch_events(connection, found.id)
        files = fetch_files(connection, found.id)
    return detail(view, found, meta, events, files, full=full)


@dataclass(frozen=True)
class Rung:
    """An attempt on the ladder of its step."""

    node: Node
    agents: list[tuple[str, list[Node], int]]
    """Name, calls, calls that are not shown."""
    failure: str
    turning_points: list[Node]
    """What failed in it with nothing failed below."""


def step(request: Request) -> Response:
    """The attempts of a step: what was tried, why again, and what came of it."""
    viewer = viewer_of(request)
    snapshot = viewer.snapshot(request.path_params["run"])
    wanted = request.path_params["step"]
    found = [one for one in snapshot.view.steps if wanted in (str(one.number), one.id)]
    if not found:
        raise UnknownNodeError(f"There is no step {wanted!r} in this run. It may not have begun yet.")
    return page(
        request,
        "step.html",
        view=snapshot.view,
        head=snapshot.picture["head"],
        steps=[(one, _ladder(viewer, snapshot, one)) for one in found],
        database=viewer.reader().name,
    )


def _ladder(viewer: Viewer, snapshot: Snapshot, wanted: Step) -> list[Rung]:
    rungs = []
    for attempt in wanted.attempts:
        place = snapshot.arranged.place_of.get(attempt.id)
        agents = [] if place is None else [(row.name, row.calls[:24], len(row.calls) - 24) for row in place.card.rows]
        card = snapshot.picture["cards"].get(attempt.id, {"failed": []})
        failed = [snapshot.view.nodes[node_id] for node_id in card["failed"][:6]]
        failure = ""
        if attempt.row.status == "failed":
            with viewer.reading() as connection:
                events = fetch_events(connection, attempt.id)
            failure = next((event.error_message for event in events if event.error_message), "")
        rungs.append(Rung(attempt, agents, failure, [one for one in failed if one is not attempt]))
    return rungs


def _jaeger_of_run(viewer: Viewer, view: RunView) -> str | None:
    return viewer.jaeger_link(view.roots[0]) if view.roots else None


def for_script(value: Any) -> Markup:
    """JSON that may stand inside a ``script`` element: nothing in it can end the element."""
    text = orjson.dumps(value).decode()
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - escaped above
