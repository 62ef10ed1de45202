"""The way from a run's name to its view."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.graph import fetch_events, fetch_graph
from cmbagent_otel.query.runs import resolve_run
from cmbagent_otel.query.view import Node, RunView
from cmbagent_otel.semconv import NodeKind


def load_view(database: Reader, name: str) -> RunView:
    """The view of the run that ``name`` means, as it is now.

    Raises:
        UnknownRunError: no run answers to that name, or more than one does.
        StoreError: the database can't be read.
    """
    with database.reading() as connection:
        graph = fetch_graph(connection, resolve_run(connection, name))
    return build_view(graph, now_unix_nano=time.time_ns())


def code_and_output(database: Reader) -> Callable[[Node], Mapping[str, Any]]:
    """A reader of what code runs said: code and output; empty for other calls, and where nothing is recorded."""

    def read(node: Node) -> Mapping[str, Any]:
        if node.kind != NodeKind.CODE:
            return {}
        with database.reading() as connection:
            events = fetch_events(connection, node.id)
        main = next((event for event in events if event.id == node.id), None)
        if main is None:
            return {}
        said = {"code": (main.inputs or {}).get("code"), "output": (main.outputs or {}).get("result")}
        return {name: value for name, value in said.items() if value is not None}

    return read
