"""Hostile requests to a real sink: the right status in time, bounded memory, and the good spans beside them stored."""

from __future__ import annotations

import gzip
import http.client
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cmbagent_otel.store.engine import open_engine
from tests.invariants import broken_invariants, check_invariants
from tests.stack.load import SPANS_IN_TRACE, load_on, trace_body, traces_in
from tests.stack.processes import Sink

MIB = 1 << 20
WRONG_IDS = 10**12
"""The number of the trace of which two spans have ids of a wrong length."""
PROTOBUF = "application/x-protobuf"
PEAK_MIB = 500
"""What one worker may take at its worst; under ordinary load it takes a third (docs/scaling.md)."""


def bomb() -> bytes:
    """A gigabyte of zeros in a megabyte of gzip."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([packer.compress(bytes(16 * MIB)) for _ in range(64)]) + packer.flush()


def many_small_spans() -> bytes:
    """As many spans as fit into the largest body that is read."""
    one = trace_body(7)
    return one * (31 * MIB // len(one))


def wrong_ids() -> bytes:
    """A trace of which two spans can't be taken, and the others can."""
    request = ExportTraceServiceRequest.FromString(trace_body(WRONG_IDS))
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[1].trace_id = b"x" * 15
    spans[2].span_id = b"x" * 9
    return request.SerializeToString()


def post(sink: Sink, body: bytes, content_type: str = PROTOBUF, coding: str = "identity") -> int:
    connection = http.client.HTTPConnection(sink.url.removeprefix("http://"), timeout=60)
    try:
        connection.request("POST", "/v1/traces", body, {"content-type": content_type, "content-encoding": coding})
        return connection.getresponse().status
    finally:
        connection.close()


def peak_memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@pytest.fixture(scope="module")
def hostile_bodies() -> dict[str, tuple[int, bytes, str, str]]:
    """By name: the status it deserves, the body, its type and coding."""
    good = gzip.compress(trace_body(1))
    attributes = b"".join(b'{"key":"k%d","value":{"stringValue":"%s"}},' % (n, b"v" * 50) for n in range(10_000))
    span = (
        b'{"traceId":"%s","spanId":"%s","name":"nul \\u0000 name","startTimeUnixNano":"1","endTimeUnixNano":"2",'
        b'"attributes":[%s{"key":"nul \\u0000","value":{"stringValue":"\\u0000"}}]}'
    ) % (b"ab" * 16, b"cd" * 8, attributes)
    return {
        "truncated gzip": (400, good[:-8], PROTOBUF, "gzip"),
        "gzip of garbage": (400, gzip.compress(os.urandom(100_000)), PROTOBUF, "gzip"),
        "gzip bomb": (413, bomb(), PROTOBUF, "gzip"),
        "100 MB": (413, bytes(100_000_000), PROTOBUF, "identity"),
        "garbage": (400, os.urandom(100_000), PROTOBUF, "identity"),
        "deep JSON": (400, b'{"resourceSpans":' + b"[" * 100_000, "application/json", "identity"),
        "too many spans": (400, many_small_spans(), PROTOBUF, "identity"),
        "10,000 attributes and NUL bytes": (
            200,
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % span,
            "application/json",
            "identity",
        ),
        "ids of a wrong length": (200, wrong_ids(), PROTOBUF, "identity"),
    }


@pytest.fixture
def sink(tmp_path: Path, migrated_postgres_url: str) -> Iterator[Sink]:
    part = Sink(tmp_path, migrated_postgres_url)
    part.start()
    yield part
    part.stop()


@pytest.mark.timeout(300)
def test_hostile_requests_get_their_status_and_harm_nobody_else(
    sink: Sink, migrated_postgres_url: str, hostile_bodies: dict[str, tuple[int, bytes, str, str]]
) -> None:
    slow = [*slow_requests(sink, 20, SLOW_BODY), *slow_requests(sink, 20, SLOW_HEAD)]
    with load_on(sink.url, threads=2) as load:
        for _round in range(2):
            for name, (deserved, body, content_type, coding) in hostile_bodies.items():
                assert post(sink, body, content_type, coding) == deserved, name
        at_once(sink, hostile_bodies["gzip bomb"][1], 8)
        assert {read_status(connection) for connection in slow} == {408}
        load.finish()
    assert load.statuses <= {200, 503}, "503 where others were busy, and sent again"
    found = traces_in(migrated_postgres_url)
    assert all(found[number] == SPANS_IN_TRACE for number in load.taken)
    assert peak_memory_mib(sink.pid) < PEAK_MIB
    engine = open_engine(migrated_postgres_url)
    assert found[WRONG_IDS] == SPANS_IN_TRACE - 2
    put_aside = broken_invariants(engine).pop("a record was put aside")
    assert len(put_aside) == 2
    check_invariants(engine, except_for=frozenset({"a record was put aside"}))
    engine.dispose()


def at_once(sink: Sink, body: bytes, number: int) -> None:
    """The same body by many connections at the same time."""
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(post(sink, body, coding="gzip"))) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {413, 503}


SLOW_HEAD = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\nx-and-"
SLOW_BODY = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 1000\r\n\r\nx"


def slow_requests(sink: Sink, number: int, beginning: str) -> list[socket.socket]:
    """Connections that have begun a request, and never end it."""
    host, port = sink.url.removeprefix("http://").split(":")
    connections = []
    for _ in range(number):
        connection = socket.create_connection((host, int(port)), timeout=60)
        connection.sendall(beginning.encode())
        connections.append(connection)
    return connections


def read_status(connection: socket.socket) -> int:
    deadline = time.monotonic() + 60
    said = b""
    while b"\r\n" not in said and time.monotonic() < deadline:
        said += connection.recv(4096)
    connection.close()
    return int(said.split()[1])
