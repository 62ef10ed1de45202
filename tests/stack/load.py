"""Load for the fault tests: traces whose every delivery is known."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import func, select

from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.schema import dag_nodes

SPANS_IN_TRACE = 20
_START = 1_700_000_000_000_000_000


def trace_body(number: int) -> bytes:
    """A trace of a root and its children; its trace id is ``number``."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    trace_id = number.to_bytes(16, "big")
    for index in range(SPANS_IN_TRACE):
        spans.append(
            Span(
                trace_id=trace_id,
                span_id=(number * 1000 + index + 1).to_bytes(8, "big"),
                parent_span_id=b"" if index == 0 else (number * 1000 + 1).to_bytes(8, "big"),
                name=f"span {index}",
                start_time_unix_nano=_START + index,
                end_time_unix_nano=_START + 1_000_000 + index,
            )
        )
    return request.SerializeToString()


class Load:
    """Threads that post one trace after another, each until it is answered 200.

    Args:
        endpoint: of a sink or a Collector.
        pause: seconds between two posts of a thread, when the one before was taken.
    """

    def __init__(self, endpoint: str, *, threads: int = 4, pause: float = 0.02, timeout: float = 10) -> None:
        self.taken: list[int] = []
        """Trace ids that were answered 200."""
        self.statuses: set[int] = set()
        self._url = f"{endpoint}/v1/traces"
        self._pause = pause
        self._timeout = timeout
        self._numbers = iter(range(1, 10**9))
        self._next = threading.Lock()
        self._stop = threading.Event()
        self._give_up = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def finish(self, *, seconds: float = 120) -> None:
        """Begin no new trace, and wait until all that were begun are taken."""
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a trace was not taken in time"

    def abandon(self) -> None:
        """Stop, also where a trace was not taken: nobody was told that it was."""
        self._give_up.set()
        self.finish()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._next:
                number = next(self._numbers)
            body = trace_body(number)
            while not self._give_up.is_set():
                if self._post(body):
                    self.taken.append(number)
                    time.sleep(self._pause)
                    break
                time.sleep(0.1)

    def _post(self, body: bytes) -> bool:
        request = urllib.request.Request(self._url, body, {"content-type": "application/x-protobuf"})
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                self.statuses.add(answer.status)
                return True
        except urllib.error.HTTPError as refused:
            self.statuses.add(refused.code)
        except OSError:
            pass  # nobody is there, or the answer was cut off
        return False


@contextmanager
def load_on(endpoint: str, *, threads: int = 4, pause: float = 0.02, timeout: float = 10) -> Iterator[Load]:
    """Load while the block lasts; it ends in order."""
    load = Load(endpoint, threads=threads, pause=pause, timeout=timeout)
    load.start()
    try:
        yield load
    finally:
        load.abandon()


def traces_in(url: str) -> dict[int, int]:
    """How many nodes each trace has in a database, by the number of its trace."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(dag_nodes.c.trace_id, func.count()).group_by(dag_nodes.c.trace_id))
            return {int(trace_id, 16): count for trace_id, count in rows}
    finally:
        engine.dispose()


def wait_for_traces(url: str, taken: list[int], *, seconds: float = 90) -> dict[int, int]:
    """What is in the database, once all that was taken is there whole."""
    deadline = time.monotonic() + seconds
    while True:
        found = traces_in(url)
        missing = [number for number in taken if found.get(number) != SPANS_IN_TRACE]
        if not missing:
            return found
        assert time.monotonic() < deadline, f"{len(missing)} of {len(taken)} traces that were taken are not there whole"
        time.sleep(0.3)


def wait_until(true: Callable[[], bool], *, seconds: float = 60) -> None:
    """Return once ``true()`` is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
