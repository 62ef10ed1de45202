"""The sink against its own writer, and against Arize Phoenix: the same spans, one core each, PostgreSQL beside it.

    make bench-sink [ARGS="--requests 100 --no-phoenix"]

Ratios are of one run, so that a slow or busy machine slows all of them; the rates by CPU second of the program
itself are the steadier ones. A span counts when it is in the database: our sink answers after its commit, and
of Phoenix, which answers before, the rows are counted.
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
from typing import Any, NamedTuple

import psycopg
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from psycopg import sql

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.figures import hand_on  # noqa: E402
from cmbagent_otel import semconv  # noqa: E402
from cmbagent_otel.spans.from_otlp import traces_from_otlp  # noqa: E402
from cmbagent_otel.store.engine import open_engine  # noqa: E402
from cmbagent_otel.store.migrate import upgrade  # noqa: E402
from cmbagent_otel.store.writer import Writer  # noqa: E402
from tests import postgresql  # noqa: E402
from tests.stack.environments import python_with  # noqa: E402
from tests.stack.processes import Collector, Sink, free_port, is_up  # noqa: E402

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


class Rate(NamedTuple):
    """Spans by second, and by second of CPU that the program itself took."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:8.0f} spans/s {self.cpu:8.0f} spans/CPU s"


def measure_writer(url: str, bodies: Sequence[bytes]) -> Rate:
    """The writer alone, in a process of its own on one core, given spans that are decoded already."""
    program = [sys.executable, __file__, "--writer", url, "--requests", str(len(bodies))]
    said = subprocess.run(
        program,
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=_on_one_core,
    )
    wall, cpu = said.stdout.split()
    return Rate(float(wall), float(cpu))


def write_alone(url: str, requests: int) -> None:
    """What :func:`measure_writer` runs: print its two rates."""
    batches = [traces_from_otlp(request_body(number)).records for number in range(requests)]
    engine = open_engine(url)
    writer = Writer(engine, content=False)
    began, began_cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        writer.write(batch)
    spans = requests * SPANS_IN_REQUEST
    print(spans / (time.perf_counter() - began), spans / (time.process_time() - began_cpu))


def measure_sink(url: str, bodies: Sequence[bytes], folder: Path, connections: int) -> tuple[Rate, list[float], float]:
    """The rate, the seconds of each request, and the resident memory at its peak in MiB."""
    sink = Sink(folder, url)
    sink.start()
    for thread in Path(f"/proc/{sink.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {0})
    seconds: list[float] = []
    began, began_cpu = time.perf_counter(), _cpu_seconds(sink.pid)
    _post_all(sink.url, bodies, connections, seconds)
    spans = len(bodies) * SPANS_IN_REQUEST
    rate = Rate(spans / (time.perf_counter() - began), spans / (_cpu_seconds(sink.pid) - began_cpu))
    memory = _peak_memory(sink.pid)
    sink.stop()
    return rate, seconds, memory


def _cpu_seconds(pid: int) -> float:
    """CPU of a process and of all that it started."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended, and is counted by its parent
        return 0
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu_seconds(int(child)) for child in children)


def measure_collector(bodies: Sequence[bytes], url: str, folder: Path) -> Rate:
    """The rate of the Collector, with its queue on disk, until the last span is in the sink's database."""
    sink = Sink(folder, url)
    collector = Collector(folder, sink=sink.url, overrides=["service::pipelines::traces::exporters: [otlp_http/sink]"])
    sink.start()
    collector.start()
    began, began_cpu = time.perf_counter(), _cpu_seconds(collector.pid)
    _post_all(collector.endpoint, bodies, 2, [])
    spans = len(bodies) * SPANS_IN_REQUEST
    _wait_for_rows(url, "dag_nodes", spans)
    rate = Rate(spans / (time.perf_counter() - began), spans / (_cpu_seconds(collector.pid) - began_cpu))
    collector.stop()
    sink.stop()
    return rate


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


class Phoenix(NamedTuple):
    """A Phoenix that runs."""

    address: str
    pid: int


@contextmanager
def phoenix(url: str, folder: Path) -> Iterator[Phoenix]:
    """Phoenix with that database, on one core."""
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
        deadline = time.monotonic() + 600
        while not is_up(f"http://127.0.0.1:{port}/healthz"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((folder / "phoenix.log").read_text()[-3000:])
            time.sleep(0.2)
        yield Phoenix(f"http://127.0.0.1:{port}", server.pid)
    finally:
        server.terminate()
        server.wait()


def measure_phoenix(url: str, bodies: Sequence[bytes], folder: Path) -> tuple[Rate, float]:
    """The rate until the last span is in Phoenix's database, and the resident memory at its peak in MiB."""
    with phoenix(url, folder) as server:
        began, began_cpu = time.perf_counter(), _cpu_seconds(server.pid)
        _post_all(server.address, bodies, 2, [])
        spans = len(bodies) * SPANS_IN_REQUEST
        _wait_for_rows(url, "spans", spans)
        rate = Rate(spans / (time.perf_counter() - began), spans / (_cpu_seconds(server.pid) - began_cpu))
        return rate, _peak_memory(server.pid)


def _peak_memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _wait_for_rows(url: str, table: str, count: int) -> None:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    with psycopg.connect(url, autocommit=True) as connection:
        while (connection.execute(query).fetchone() or (0,))[0] < count:
            time.sleep(0.05)


def _on_one_core() -> None:
    os.sched_setaffinity(0, {0})


# -- the run -------------------------------------------------------------------------------------------------


class MeasuredServer(postgresql.OwnServer):
    """A PostgreSQL whose process is known."""

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._process.pid


@contextmanager
def durable_postgresql() -> Iterator[MeasuredServer]:
    """A PostgreSQL whose commits last."""
    postgresql.SERVER_OPTIONS.update(fsync="on", synchronous_commit="on", full_page_writes="on", autovacuum="on")
    server = MeasuredServer(postgresql.installations()[0])
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
    parser.add_argument("--connections", type=int, default=8, help="requests under way at the same time")
    parser.add_argument("--no-phoenix", action="store_true", help="it takes minutes to install, once")
    parser.add_argument("--collector", action="store_true", help="measure the Collector too (needs Go)")
    parser.add_argument("--json", type=Path, help="hand the figures on in this file")
    parser.add_argument("--writer", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.writer:
        write_alone(asked.writer, asked.requests)
        return
    bodies = [request_body(number) for number in range(asked.requests)]
    with durable_postgresql() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = measure_writer(migrated(server), bodies)
        print(f"writer alone           {writer}")
        server_cpu = _cpu_seconds(server.pid)
        sink, _, memory = measure_sink(migrated(server), bodies, folder, asked.connections)
        server_rate = len(bodies) * SPANS_IN_REQUEST / (_cpu_seconds(server.pid) - server_cpu)
        shares = f"{sink.wall / writer.wall:.2f} and {sink.cpu / writer.cpu:.2f}"
        print(f"sink                   {sink}   {shares} of the writer (asked: 0.7)")
        print(f"its PostgreSQL                          {server_rate:8.0f} spans/CPU s")
        print(f"sink, memory at its peak {memory:6.0f} MiB (asked: 250)")
        _, seconds, _ = measure_sink(migrated(server), bodies, folder, 1)
        median, p99 = statistics.median(seconds) * 1e3, statistics.quantiles(seconds, n=100)[98] * 1e3
        print(f"a request of 512 spans   {median:6.0f} ms median, {p99:.0f} ms p99, one at a time (asked: 250)")
        figures: dict[str, list[float]] = {
            "sink : writer alone, spans by CPU second (>= 0.7)": [sink.cpu / writer.cpu],
            "sink : writer alone, spans by the clock (>= 0.7)": [sink.wall / writer.wall],
            "sink, spans by CPU second": [sink.cpu],
            "sink, spans by second": [sink.wall],
            "sink, memory at its peak, MiB (<= 250)": [memory],
            "its PostgreSQL, spans by CPU second": [server_rate],
            "a request of 512 spans, one at a time, ms median": [median],
            "a request of 512 spans, one at a time, ms p99 (<= 250)": [p99],
        }
        if asked.collector:
            print(f"Collector before it    {measure_collector(bodies, migrated(server), folder)}")
        if not asked.no_phoenix:
            theirs, their_memory = measure_phoenix(server.create_database(), bodies[: asked.phoenix_requests], folder)
            shares = f"{sink.wall / theirs.wall:.0f} and {sink.cpu / theirs.cpu:.0f}"
            print(f"Arize Phoenix          {theirs}   the sink has {shares} times its rate (asked: 50)")
            figures |= {
                "sink : Phoenix, durable spans by CPU second (>= 50)": [sink.cpu / theirs.cpu],
                "sink : Phoenix, durable spans by the clock (>= 50)": [sink.wall / theirs.wall],
                "sink : Phoenix, memory at its peak (<= 1)": [memory / their_memory],
                "Phoenix, spans by CPU second": [theirs.cpu],
                "Phoenix, spans by second": [theirs.wall],
                "Phoenix, memory at its peak, MiB": [their_memory],
            }
        if asked.json:
            hand_on(
                asked.json,
                {f"{len(bodies) * SPANS_IN_REQUEST} spans, 512 a request": figures},
                ("opentelemetry-proto", "sqlalchemy", "psycopg"),
                phoenix=PHOENIX[0].split("==")[1],
                PostgreSQL=postgresql.installations()[0].version.split()[0],
            )


if __name__ == "__main__":
    main()
