"""A sink served over real HTTP in this process, and spans to send it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from cmbagent_otel import settings
from cmbagent_otel.ingest import SinkApp
from cmbagent_otel.ingest.body import DEFAULT_LIMITS, Limits
from cmbagent_otel.ingest.patience import http_within

TRACE_ID = bytes(range(1, 17))
ServeSink = Callable[..., httpx.Client]


def a_span(**fields: Any) -> Span:
    """A root span, but for the ``fields`` given."""
    whole = {
        "trace_id": TRACE_ID,
        "span_id": b"the root",
        "name": "a",
        "start_time_unix_nano": 1_700_000_000_000_000_000,
        "end_time_unix_nano": 1_700_000_001_000_000_000,
    }
    return Span(**{**whole, **fields})


def body_of(*spans: Span) -> bytes:
    """A trace export in protobuf."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request.SerializeToString()


@contextmanager
def served(limits: Limits = DEFAULT_LIMITS, **overrides: Any) -> Iterator[httpx.Client]:
    """A client of a sink with these settings."""
    config = uvicorn.Config(
        SinkApp(settings.load(**overrides), limits=limits),
        port=0,
        interface="asgi3",
        http=http_within(limits.head_seconds),
        lifespan="on",
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"content-type": "application/x-protobuf"}, timeout=30
    ) as client:
        yield client
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


def wait_until_ready(client: httpx.Client) -> None:
    """Return once the sink has reached its database."""
    deadline = time.monotonic() + 30
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, client.get("/readyz").text
        time.sleep(0.02)


@pytest.fixture
def serve_sink() -> Iterator[ServeSink]:
    """``serve_sink(limits, database_url=..., ...)``: a client of a sink that is served until the test ends."""
    with ExitStack() as sinks:

        def serve(limits: Limits = DEFAULT_LIMITS, **overrides: Any) -> httpx.Client:
            return sinks.enter_context(served(limits, **overrides))

        yield serve


@pytest.fixture
def sink(serve_sink: ServeSink, migrated_url: str) -> httpx.Client:
    """A client of a sink that is ready, on a database of each kind."""
    client = serve_sink(database_url=migrated_url)
    wait_until_ready(client)
    return client
