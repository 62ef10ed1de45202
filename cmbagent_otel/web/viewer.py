"""What the pages share: the database, the runs as last read, and how things are called in links."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from cmbagent_otel.errors import UnknownRunError
from cmbagent_otel.query.compare import find_node
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.view import Node
from cmbagent_otel.web.arrange import GROUP, UNATTACHED
from cmbagent_otel.web.snapshot import Snapshot, Snapshots


class UnknownNodeError(UnknownRunError):
    """No node of the run answers to that name."""


class Viewer:
    """One database, as the pages see it.

    Args:
        database_url: opened at the first question, for reading only; a file that is not there yet is looked
            for again at each.
        jaeger_url: where Jaeger's pages are; None leaves its links out.
    """

    def __init__(self, database_url: str, *, jaeger_url: str | None = None) -> None:
        self.database_url = database_url
        self.jaeger_url = None if jaeger_url is None else jaeger_url.rstrip("/")
        self._reader: Reader | None = None
        self._lock = threading.Lock()
        self._snapshots = Snapshots()

    def reader(self) -> Reader:
        """The database, opened.

        Raises:
            StoreUnavailableError: there is no such file.
        """
        with self._lock:
            if self._reader is None:
                self._reader = Reader(self.database_url)
            return self._reader

    def close(self) -> None:
        """Close all connections; the next question opens them again."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A connection for one short read."""
        with self.reader().reading() as connection:
            yield connection

    def snapshot(self, name: str) -> Snapshot:
        """The run that ``name`` means, as it is now."""
        return self._snapshots.read(self.reader(), name)

    def node(self, snapshot: Snapshot, name: str) -> Node:
        """The node that ``name`` means: its id, its span id, a card's id, or what the command line takes.

        Raises:
            UnknownNodeError: there is none in this run.
        """
        try:
            found = _find(snapshot, name)
        except UnknownRunError:
            found = None
        if found is None:
            raise UnknownNodeError(f"There is no {name!r} in this run. It may not have arrived yet.")
        return found

    def jaeger_link(self, node: Node) -> str | None:
        """Where Jaeger shows the node's span."""
        row = node.row
        if self.jaeger_url is None or not row.trace_id:
            return None
        focus = f"?uiFind={quote(row.span_id)}" if row.span_id else ""
        return f"{self.jaeger_url}/trace/{quote(row.trace_id)}{focus}"


def _find(snapshot: Snapshot, name: str) -> Node | None:
    view = snapshot.view
    if name in view.nodes:
        return view.nodes[name]
    if name.startswith(GROUP):
        card = snapshot.picture["cards"].get(name)
        return None if card is None else view.nodes.get(card["node"] or "")
    if name == UNATTACHED:
        return view.unattached[0] if view.unattached else None
    return next((node for node in view.nodes.values() if node.row.span_id == name), None) or find_node(view, name)


def database_url_of(database: Any) -> str:
    """The URL of a database that is given as one, or as a SQLAlchemy engine."""
    if isinstance(database, str):
        return database
    return str(database.url.render_as_string(hide_password=False))
