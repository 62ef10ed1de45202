"""The way from a run's name to its view."""

from __future__ import annotations

import time

from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.graph import fetch_graph
from cmbagent_otel.query.runs import resolve_run
from cmbagent_otel.query.view import RunView


def load_view(database: Reader, name: str) -> RunView:
    """The view of the run that ``name`` means, as it is now.

    Raises:
        UnknownRunError: no run answers to that name, or more than one does.
        StoreError: the database can't be read.
    """
    with database.reading() as connection:
        graph = fetch_graph(connection, resolve_run(connection, name))
    return build_view(graph, now_unix_nano=time.time_ns())
