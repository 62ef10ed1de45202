"""News of a run while it is open: one watcher for each run that somebody looks at, however many look.

A watcher asks the database whether anything was committed (SQLite: a counter that costs microseconds, every
250 ms; PostgreSQL: one short question, every second), reads the run again only if so, and tells all who look
what has changed since the revision that each has seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import StreamingResponse

from cmbagent_otel.errors import StoreError
from cmbagent_otel.query.changes import data_version
from cmbagent_otel.web.snapshot import Snapshot
from cmbagent_otel.web.viewer import Viewer

_SQLITE_SECONDS = 0.25
_OTHERS_SECONDS = 1.0
_PING_SECONDS = 15.0
_LOOK_ANYWAY_SECONDS = 30.0
"""Looked at without news too: with time alone a run may fall silent."""


class Watcher:
    """Looks at one run as long as anybody does."""

    def __init__(self, viewer: Viewer, run_id: str) -> None:
        self._viewer = viewer
        self._run_id = run_id
        self._connections = ExitStack()
        self._version: int | None = None
        self._watched: Any = None
        self._looked_at = 0.0
        self.snapshot: Snapshot | None = None
        self.problem = ""
        self.changed = asyncio.Condition()
        self.readers = 0

    async def watch(self) -> None:
        """Look until nobody does."""
        try:
            while self.readers:
                started = time.monotonic()
                before = (self.snapshot, self.problem)
                await to_thread.run_sync(self._look)
                if before != (self.snapshot, self.problem):
                    async with self.changed:
                        self.changed.notify_all()
                took = time.monotonic() - started
                pause = _SQLITE_SECONDS if self._version is not None else _OTHERS_SECONDS
                # A run that is long to read is looked at less often, so that the server has time for others.
                await asyncio.sleep(max(pause, 2 * took))
        finally:
            self._connections.close()

    def _look(self) -> None:
        try:
            if self._is_due():
                self.snapshot = self._viewer.snapshot(self._run_id)
                self._looked_at = time.monotonic()
            self.problem = ""
        except StoreError as error:
            self.problem = str(error)
            self._connections.close()
            self._watched = None

    def _is_due(self) -> bool:
        """Whether anything was committed to the database since the last look, as far as it can say."""
        if self._watched is None:
            self._watched = self._connections.enter_context(self._viewer.reading())
            self._version = data_version(self._watched)
            self._watched.rollback()
            return True
        version = data_version(self._watched)
        self._watched.rollback()  # a read that stays open would keep the log of SQLite from being cleared
        due = version is None or version != self._version or self.snapshot is None
        self._version = version
        return due or time.monotonic() - self._looked_at > _LOOK_ANYWAY_SECONDS


class Watchers:
    """The watchers of a viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._watchers: dict[str, Watcher] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Look no longer; the connections are closed when this returns."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def follow(self, run_id: str, revision: str) -> AsyncIterator[bytes]:
        """The stream for one reader: what changed since ``revision``, then what changes, until the run ends."""
        watcher = self._watchers.get(run_id)
        if watcher is None:
            watcher = self._watchers[run_id] = Watcher(self._viewer, run_id)
        watcher.readers += 1
        if watcher.readers == 1:
            task = asyncio.create_task(watcher.watch())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            yield b"retry: 1000\n\n"
            async for piece in self._tell(watcher, revision):
                yield piece
        finally:
            watcher.readers -= 1
            if not watcher.readers:
                self._watchers.pop(run_id, None)

    async def _tell(self, watcher: Watcher, revision: str) -> AsyncIterator[bytes]:
        problem = ""
        while True:
            snapshot = watcher.snapshot
            if watcher.problem != problem:
                problem = watcher.problem
                yield _event("problem", {"message": problem})
            if snapshot is not None and snapshot.revision != revision:
                yield _event("delta", snapshot.since(revision), snapshot.revision)
                revision = snapshot.revision
            if snapshot is not None and not snapshot.view.is_open and not problem:
                yield _event("end", {})
                return
            try:
                async with watcher.changed:
                    if (watcher.snapshot, watcher.problem) == (snapshot, problem):
                        await asyncio.wait_for(watcher.changed.wait(), _PING_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"


def _event(name: str, data: object, identifier: str = "") -> bytes:
    head = f"id: {identifier}\n" if identifier else ""
    return f"{head}event: {name}\ndata: {orjson.dumps(data).decode()}\n\n".encode()


async def events(request: Request) -> StreamingResponse:
    """The news of a run as server-sent events."""
    snapshot = await to_thread.run_sync(request.app.state.viewer.snapshot, request.path_params["run"])
    revision = request.headers.get("last-event-id") or request.query_params.get("rev", "")
    return StreamingResponse(
        request.app.state.watchers.follow(snapshot.view.id, revision),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )
