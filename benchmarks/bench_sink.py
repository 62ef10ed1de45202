"""The sink against its own writer, and against Arize Phoenix: the same spans, one core each, PostgreSQL beside it.

    make bench-sink [ARGS="--requests 100 --no-phoenix"]

Ratios are of one run, so that a slow or busy machine slows all of them. A span counts when it is in the
database: our sink answers after its commit, and of Phoenix, which answers before, the rows are counted.
PostgreSQL keeps its promises here (fsync and synchronous_commit are on).
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from cmbagent_otel import semconv  # noqa: E402
from cmbagent_otel.spans.from_otlp import traces_from_otlp  # noqa: E402
from cmbagent_otel.store.engine import open_engine  # noqa: E402
from cmbagent_otel.store.migrate import upgrade  # noqa: E402
from cmbagent_otel.store.writer import Writer  # noqa: E402
from tests import postgresql  # noqa: E402
from tests.stack.environments import python_with  # noqa: E402
from tests.stack.processes import Sink, free_port, is_up  # noqa: E402

SPANS_IN_REQUEST = 512
SPANS_IN_RUN = 64
PHOENIX = ("arize-phoenix==20.26.1", "psycopg[binary]", "asyncpg")
_HEADERS = {"content-type": "application/x-protobuf"}
_SECOND = 1_000_000_000


# -- the spans ---------------------------------------------------------------------------------------------


def request_body(number: int) -> bytes:
    """A request of 512 spans: eight runs of agents that call models and tools, as the Collector mixes them."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(_encode_attributes({"service.name": "bench"}))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = semconv.SCOPE_NAME
    for run in range(SPANS_IN_REQUEST // SPANS_IN_RUN):
        scope_spans.spans.extend(_run(number * 1000 + run))
    return request.SerializeToString()


def _run(number: int) -> Iterator[Span]:
    """A workflow, a phase, 15 agent turns, and under each three model calls or tools."""
    trace_id = (number + 1).to_bytes(16, "big")
    start = time.time_ns() - 60 * _SECOND
    run_id = f"00000000-0000-4000-8000-{number:012d}"

    def span(index: int, parent: int | None, name: str, kind: str, attributes: dict[str, Any]) -> Span:
        stated = {semconv.NODE_TYPE: kind, semconv.NODE_KIND: kind, semconv.RUN_ID: run_id, **attributes}
        return Span(
            trace_id=trace_id,
            span_id=(number * 1000 + index + 1).to_bytes(8, "big"),
            parent_span_id=b"" if parent is None else (number * 1000 + parent + 1).to_bytes(8, "big"),
            name=name,
            kind=Span.SpanKind.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start + index * 1_000_000,
            end_time_unix_nano=start + (index + 50) * 1_000_000,
            attributes=_encode_attributes(stated),
        )

    yield span(
        0, None, "invoke_workflow bench", "workflow", {semconv.WORKFLOW_NAME: "bench", semconv.WORKFLOW_TASK: "t"}
    )
    yield span(1, 0, "phase control", "control", {semconv.NODE_KIND: "phase", semconv.PHASE_TYPE: "control"})
    index = 2
    for turn in range(15):
        agent = f"agent_{turn % 4}"
        yield span(index, 1, f"invoke_agent {agent}", "agent", {semconv.AGENT_NAME: agent})
        parent = index
        for call in range(3 if turn < 13 else 4):
            index += 1
            if call % 3 == 2:
                yield span(index, parent, "execute_tool t", "tool", {semconv.TOOL_NAME: "t", semconv.AGENT_NAME: agent})
            else:
                yield span(index, parent, "chat gpt-4o", "llm", _model_call(agent))
        index += 1


def _model_call(agent: str) -> dict[str, Any]:
    return {
        semconv.AGENT_NAME: agent,
        semconv.OPERATION_NAME: "chat",
        semconv.PROVIDER_NAME: "openai",
        semconv.REQUEST_MODEL: "gpt-4o",
        semconv.RESPONSE_MODEL: "gpt-4o",
        semconv.USAGE_INPUT_TOKENS: 1200,
        semconv.USAGE_OUTPUT_TOKENS: 150,
        semconv.RESPONSE_FINISH_REASONS: ["stop"],
    }


# -- the three that are measured -----------------------------------------------------------------------------


def measure_writer(url: str, bodies: Sequence[bytes]) -> float:
    """Spans a second of the writer alone, in a process of its own on one core, decoding included in none of it."""
    program = [sys.executable, __file__, "--writer", url, "--requests", str(len(bodies))]
    said = subprocess.run(program, check=True, capture_output=True, text=True, preexec_fn=_on_one_core)
    return float(said.stdout.split()[-1])


def write_alone(url: str, requests: int) -> None:
    """What :func:`measure_writer` runs: print spans a second."""
    batches = [traces_from_otlp(request_body(number)).records for number in range(requests)]
    engine = open_engine(url)
    writer = Writer(engine, content=False)
    began = time.perf_counter()
    for batch in batches:
        writer.write(batch)
    print(requests * SPANS_IN_REQUEST / (time.perf_counter() - began))


def measure_sink(url: str, bodies: Sequence[bytes], folder: Path, connections: int) -> tuple[float, list[float], float]:
    """Spans a second, seconds of each request, and the resident memory at its peak in MiB."""
    sink = Sink(folder, url)
    sink.start()
    os.sched_setaffinity(sink.pid, {0})
    for thread in Path(f"/proc/{sink.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {0})
    seconds: list[float] = []
    began = time.perf_counter()
    _post_all(sink.url, bodies, connections, seconds)
    rate = len(bodies) * SPANS_IN_REQUEST / (time.perf_counter() - began)
    status = Path(f"/proc/{sink.pid}/status").read_text()
    sink.stop()
    return rate, seconds, int(status.split("VmHWM:")[1].split()[0]) / 1024


def _post_all(base: str, bodies: Sequence[bytes], connections: int, seconds: list[float]) -> None:
    """Post all bodies by so many connections; add what each request took."""
    waiting = list(reversed(bodies))

    def work() -> None:
        connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=300)
        while waiting:
            try:
                body = waiting.pop()
            except IndexError:
                break
            began = time.perf_counter()
            connection.request("POST", "/v1/traces", body, _HEADERS)
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - began)
            if answer.status != 200:
                raise SystemExit(f"{base} answered {answer.status}")

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure_phoenix(url: str, bodies: Sequence[bytes], folder: Path) -> float:
    """Spans a second until the last is in Phoenix's database."""
    python = python_with("phoenix", PHOENIX)
    port, grpc_port = free_port(), free_port()
    with (folder / "phoenix.log").open("wb") as log:
        server = subprocess.Popen(
            [python, "-m", "phoenix.server.main", "serve"],
            env={
                **os.environ,
                "PHOENIX_PORT": str(port),
                "PHOENIX_GRPC_PORT": str(grpc_port),
                "PHOENIX_HOST": "127.0.0.1",
                "PHOENIX_SQL_DATABASE_URL": url,
                "PHOENIX_WORKING_DIR": str(folder),
                "PHOENIX_TELEMETRY_ENABLED": "false",
            },
            stdout=log,
            stderr=log,
            preexec_fn=_on_one_core,  # noqa: PLW1509 - no lock is held here
        )
    try:
        deadline = time.monotonic() + 180
        while not is_up(f"http://127.0.0.1:{port}/healthz"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((folder / "phoenix.log").read_text()[-3000:])
            time.sleep(0.2)
        began = time.perf_counter()
        _post_all(f"http://127.0.0.1:{port}", bodies, 2, [])
        with psycopg.connect(url, autocommit=True) as connection:
            while _phoenix_rows(connection) < len(bodies) * SPANS_IN_REQUEST:
                time.sleep(0.05)
        return len(bodies) * SPANS_IN_REQUEST / (time.perf_counter() - began)
    finally:
        server.terminate()
        server.wait()


def _phoenix_rows(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT count(*) FROM spans").fetchone()
    return 0 if row is None else row[0]


def _on_one_core() -> None:
    os.sched_setaffinity(0, {0})


# -- the run -------------------------------------------------------------------------------------------------


@contextmanager
def durable_postgresql() -> Iterator[postgresql.OwnServer]:
    """A PostgreSQL whose commits last."""
    postgresql.SERVER_OPTIONS.update(fsync="on", synchronous_commit="on", full_page_writes="on", autovacuum="on")
    server = postgresql.start_own_server()
    try:
        yield server
    finally:
        server.stop()


def migrated(server: postgresql.OwnServer) -> str:
    """A database with our tables."""
    url = server.create_database()
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Durable spans a second: sink, writer alone, Arize Phoenix.")
    parser.add_argument("--requests", type=int, default=100, help="of 512 spans, for sink and writer")
    parser.add_argument("--phoenix-requests", type=int, default=4, help="of 512 spans")
    parser.add_argument("--connections", type=int, default=2, help="requests under way at the same time")
    parser.add_argument("--no-phoenix", action="store_true")
    parser.add_argument("--writer", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.writer:
        write_alone(asked.writer, asked.requests)
        return
    bodies = [request_body(number) for number in range(asked.requests)]
    with durable_postgresql() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = measure_writer(migrated(server), bodies)
        sink, seconds, memory = measure_sink(migrated(server), bodies, folder, asked.connections)
        print(f"{'writer alone':28}{writer:10.0f} spans/s")
        print(f"{'sink':28}{sink:10.0f} spans/s   {sink / writer:.2f} of the writer (asked: 0.7)")
        median, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
        print(f"{'a request of 512 spans':28}{median * 1e3:10.0f} ms median, {p99 * 1e3:.0f} ms p99 (asked: 250)")
        print(f"{'resident memory, peak':28}{memory:10.0f} MiB (asked: 250)")
        if not asked.no_phoenix:
            phoenix = measure_phoenix(server.create_database(), bodies[: asked.phoenix_requests], folder)
            times = f"the sink has {sink / phoenix:.0f} times its rate (asked: 50)"
            print(f"{'Arize Phoenix':28}{phoenix:10.0f} spans/s   {times}")


if __name__ == "__main__":
    main()
