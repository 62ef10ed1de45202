"""Runs as they were last read, kept while they do not change.

A snapshot remembers for each card and frame in which revision it changed last, so that a browser that has
seen revision 7 is told only what is newer, however long it was away.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import Any

from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.changes import mark_of
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.graph import fetch_graph
from cmbagent_otel.query.runs import resolve_run
from cmbagent_otel.query.view import RunView
from cmbagent_otel.web.arrange import arrange
from cmbagent_otel.web.picture import SCHEMA, draw

_KEPT = 6
"""Runs whose last reading is kept."""
_FRESH_SECONDS = 60.0
"""After this long an open run is drawn anew without news: with time alone it may fall silent."""


class Snapshot:
    """A run as it was at one moment, and what changed when."""

    def __init__(self, view: RunView, mark: tuple[object, ...], before: Snapshot | None) -> None:
        self.view = view
        self.mark = mark
        self.read_at = time.monotonic()
        self.arranged = arrange(view)
        self.picture = draw(view, self.arranged)
        self.parts = _parts(self.picture)
        self.epoch = secrets.token_hex(4)
        self.number = 1
        self.changed_in = dict.fromkeys(self.parts, 1)
        """The number of the revision in which each part changed last."""
        if before is not None and before.parts.keys() <= self.parts.keys():
            changed = [key for key, part in self.parts.items() if before.parts.get(key) != part]
            self.epoch = before.epoch
            self.number = before.number + bool(changed)
            self.changed_in = {**before.changed_in, **dict.fromkeys(changed, self.number)}
        # Else something went away (a stub run that was claimed, a purge): whoever looks starts anew.

    @property
    def revision(self) -> str:
        """Names this state of the run."""
        return f"{self.epoch}.{self.number}"

    def since(self, revision: str) -> dict[str, Any]:
        """What has changed since a revision; all of it, marked ``reset``, where that is not known here."""
        epoch, _, number = revision.partition(".")
        known = epoch == self.epoch and number.isdecimal()
        seen = int(number) if known else 0
        delta: dict[str, Any] = {"schema": SCHEMA, "revision": self.revision, "now_ms": time.time_ns() // 1_000_000}
        if not known:
            delta["reset"] = True
        for (part, name), changed_in in self.changed_in.items():
            if changed_in > seen:
                if name is None:
                    delta[part] = self.picture[part]
                else:
                    delta.setdefault(part, {})[name] = self.picture[part][name]
        return delta


def _parts(picture: dict[str, Any]) -> dict[tuple[str, str | None], Any]:
    """What may change by itself: the head, the order, each frame and each card."""
    return {
        ("head", None): picture["head"],
        ("order", None): picture["order"],
        **{("frames", name): frame for name, frame in picture["frames"].items()},
        **{("cards", name): card for name, card in picture["cards"].items()},
    }


class Snapshots:
    """The readings of some runs. Safe in threads: each run is read by one at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Snapshot] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def read(self, reader: Reader, name: str) -> Snapshot:
        """The run that ``name`` means, as it is now.

        Raises:
            UnknownRunError: no run answers to that name, or more than one does.
            StoreError: the database can't be read.
        """
        with reader.reading() as connection:
            run_id = resolve_run(connection, name)
            with self._lock:
                own = self._locks.setdefault(run_id, threading.Lock())
            with own:
                with self._lock:
                    kept = self._kept.get(run_id)
                mark = mark_of(connection, run_id)
                if kept is not None and kept.mark == mark and not self._is_old(kept):
                    return kept
                view = build_view(fetch_graph(connection, run_id), now_unix_nano=time.time_ns())
                made = Snapshot(view, mark, kept)
                self._keep(run_id, made)
                return made

    def _keep(self, run_id: str, made: Snapshot) -> None:
        with self._lock:
            self._kept[run_id] = made
            self._kept.move_to_end(run_id)
            while len(self._kept) > _KEPT:
                gone, _ = self._kept.popitem(last=False)
                self._locks.pop(gone, None)

    @staticmethod
    def _is_old(kept: Snapshot) -> bool:
        return kept.view.is_open and time.monotonic() - kept.read_at > _FRESH_SECONDS
