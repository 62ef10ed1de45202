"""A run as a file: the viewer with the run in it, or the text of another tool."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable
from dataclasses import replace

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from cmbagent_otel.errors import UnknownRunError
from cmbagent_otel.query import words
from cmbagent_otel.query.document import run_document, to_json
from cmbagent_otel.query.export import FORMATS
from cmbagent_otel.query.view import Node
from cmbagent_otel.web import api
from cmbagent_otel.web.bundle import STATIC, bundle
from cmbagent_otel.web.detail import Detail
from cmbagent_otel.web.pages import for_script, read_detail, viewer_of
from cmbagent_otel.web.snapshot import Snapshot
from cmbagent_otel.web.templating import FileLinks, render
from cmbagent_otel.web.viewer import Viewer

ALL_NODES = 2000
"""Up to so many nodes the file tells all of each; of larger runs only of frames, cards and failures."""

_TEXTS = {"mmd": ("mermaid", "text/plain"), "dot": ("dot", "text/vnd.graphviz")}


def export(request: Request) -> Response:
    """``/runs/{run}/export.{html,mmd,dot,json}``, to be saved."""
    viewer = viewer_of(request)
    ending = request.path_params["ending"]
    snapshot = viewer.snapshot(request.path_params["run"])
    if ending == "html":
        text, media_type = html(viewer, snapshot, redact="redact" in request.query_params), "text/html"
    elif ending == "json":
        text, media_type = f"{to_json(run_document(snapshot.view))}\n", "application/json"
    elif ending in _TEXTS:
        form, media_type = _TEXTS[ending]
        text = FORMATS[form](snapshot.view)
    else:
        raise UnknownRunError(f"There is no format {ending!r}; use html, json, mmd or dot.")
    name = f"run-{snapshot.view.id[:8]}.{ending}".encode("ascii", "replace").decode()
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=media_type, headers=headers)


def export_html(database_url: str, name: str, *, redact: bool = False) -> str:
    """A run as one HTML file that needs nothing else; for the command line.

    Args:
        database_url: the database to read.
        name: the run, as the command line names it.
        redact: leave out what people, models and programs said.

    Raises:
        UnknownRunError: no run answers to that name, or more than one does.
        StoreError: the database can't be read.
    """
    viewer = Viewer(database_url)
    try:
        return html(viewer, viewer.snapshot(name), redact=redact)
    finally:
        viewer.close()


def html(viewer: Viewer, snapshot: Snapshot, *, redact: bool) -> str:
    """The file: styles, scripts and data inside, and a policy that lets nothing else in."""
    view = snapshot.view
    told = _told(snapshot)
    parts: dict[str, str] = {}
    texts: dict[str, str] = {}
    for node in told:
        known = read_detail(viewer, view, node)
        if redact:
            known = _redacted(known)
        parts[node.id] = render(
            "drawer.html",
            {"links": FileLinks(), "view": view, "detail": known, "head": snapshot.picture["head"], "jaeger": None},
        )
        texts[node.id] = " ".join(_searched(known))
    note = _note(view.totals.nodes, len(told), redact=redact)
    picture = {
        **snapshot.picture,
        "inside": {name: api.rows_of(snapshot, place) for name, place in snapshot.arranged.places.items()},
        "parts": parts,
        "texts": texts,
        "note": note,
        "exported_ms": view.now_unix_nano // 1_000_000,
    }
    style, theme = _read("style.css"), _read("theme.js")
    script = bundle("run")
    policy = (
        f"default-src 'none'; script-src {_hash(theme)} {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return render(
        "export.html",
        {
            "links": FileLinks(),
            "view": view,
            "head": snapshot.picture["head"],
            "rows": snapshot.arranged.rows[:ALL_NODES],
            "more_rows": 0,
            "note": note,
            "database": f"exported {words.moment(time.time_ns(), zone=True)}",
            "policy": policy,
            "style": Markup(style),  # noqa: S704 - our own files
            "theme": Markup(theme),  # noqa: S704
            "script": Markup(script),  # noqa: S704
            "picture": for_script(picture),
        },
    )


def _told(snapshot: Snapshot) -> list[Node]:
    """The nodes of which the file tells all."""
    nodes = [node for node in snapshot.view.walk() if not node.hidden]
    if len(nodes) <= ALL_NODES:
        return nodes
    picture = snapshot.picture
    kept = {*picture["frames"], *(failed for card in picture["cards"].values() for failed in card["failed"])}
    kept.update(card["node"] for card in picture["cards"].values())
    return [node for node in nodes if node.id in kept]


def _redacted(known: Detail) -> Detail:
    """The same without what people, models and programs said; names, times, figures and lineage stay."""
    return replace(
        known,
        error="" if known.error_type else known.error and "The message is left out of this file.",
        texts=[],
        messages=[],
        left_out=0,
        events=[event._replace(error_message=None) for event in known.events],
        not_recorded="",
    )


def _searched(known: Detail) -> Iterable[str]:
    yield known.title
    yield from (str(value) for value in (known.node.row.agent, known.error_type, known.error) if value)
    yield from (text.full[: len(text.full) - text.left_out] for text in known.texts)
    yield from (one.text for one in known.messages)


def _note(nodes: int, told: int, *, redact: bool) -> str:
    said = "without what was said in the run" if redact else "with all that was recorded of the run, messages too"
    if told >= nodes:
        return f"One file, {said}"
    return f"One file, {said}; details of {told:,} of {words.plural(nodes, 'node')}"


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
