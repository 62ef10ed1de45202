"""Reading a whole run of 1,000 spans, from the viewer's server and from Arize Phoenix: ``make bench``.

The same spans are in two databases of one PostgreSQL, and both programs serve them as JSON over HTTP: ours as
``/runs/{run}/export.json``, Phoenix by its REST API, which is several times faster than the GraphQL of its pages. The
two are asked by turns. Between two readings of ours the run is changed, so that nothing kept of the last one helps.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.bench_sink import PHOENIX, _post_all, _wait_for_rows, durable_postgresql, migrated, phoenix
from benchmarks.bench_store import Run
from benchmarks.figures import hand_on
from cmbagent_otel import semconv
from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.writer import Writer
from tests.stack.processes import free_port, is_up


def request_body(spans: Sequence[SpanRecord]) -> bytes:
    """The spans as OTLP."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(_encode_attributes(dict(spans[0].resource)))
    resource_spans.scope_spans.add().spans.extend(
        Span(
            trace_id=bytes.fromhex(span.trace_id),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent_span_id or ""),
            name=span.name,
            kind=Span.SpanKind.SPAN_KIND_INTERNAL,
            start_time_unix_nano=span.start_time_unix_nano,
            end_time_unix_nano=span.end_time_unix_nano or 0,
            attributes=_encode_attributes(dict(span.attributes)),
        )
        for span in spans
    )
    return request.SerializeToString()


@contextmanager
def viewer(url: str, folder: Path) -> Iterator[str]:
    """The address of the viewer, in a process of its own."""
    port = free_port()
    with (folder / "viewer.log").open("wb") as log:
        server = subprocess.Popen(
            [Path(sys.executable).parent / "cmbagent-otel", "serve", "--database", url, "--port", str(port)],
            stdout=log,
            stderr=log,
        )
    try:
        while not is_up(f"http://127.0.0.1:{port}/"):
            if server.poll() is not None:
                raise SystemExit((folder / "viewer.log").read_text()[-3000:])
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def read(url: str) -> tuple[float, bytes]:
    """Milliseconds, and what was answered."""
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        body = answer.read()
    return 1000 * (time.perf_counter() - began), body


def measure(rounds: int) -> dict[str, list[float]]:
    """Ask both by turns."""
    spans = Run(0).ended
    run_id = spans[0].attributes[semconv.RUN_ID]
    figures: dict[str, list[float]] = {
        "ours : Phoenix's REST API, time for a whole run (<= 0.5)": [],
        "ours, ms": [],
        "Phoenix, ms": [],
        "our answer, kB": [],
        "Phoenix's answer, kB": [],
    }
    with durable_postgresql() as server, tempfile.TemporaryDirectory() as name:
        folder, ours, theirs = Path(name), migrated(server), server.create_database()
        engine = open_engine(ours)
        writer = Writer(engine)
        writer.write(spans)
        with viewer(ours, folder) as address, phoenix(theirs, folder) as other:
            _post_all(other.address, [request_body(spans)], 1, [])
            _wait_for_rows(theirs, "spans", len(spans))
            our_url = f"{address}/runs/{run_id}/export.json"
            their_url = f"{other.address}/v1/projects/default/spans?limit=1000&trace_id={spans[0].trace_id}"
            for number in range(rounds + 1):
                late = spans[0]._replace(span_id=f"{number + 1:016x}", parent_span_id=spans[-1].span_id, name="late")
                writer.write([late])
                took, answer = read(our_url)
                their_took, their_answer = read(their_url)
                assert len(json.loads(answer)["nodes"]) > len(spans)
                assert len(json.loads(their_answer)["data"]) == len(spans)
                values = (took / their_took, took, their_took, len(answer) / 1000, len(their_answer) / 1000)
                if number:  # the first warms up
                    for figure, value in zip(figures.values(), values, strict=True):
                        figure.append(value)
        engine.dispose()
    return figures | {"spans": [len(spans)]}


def main() -> None:
    """Measure, and hand on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    hand_on(options.json, {"a run of 1,000 spans": measure(options.rounds)}, phoenix=PHOENIX[0].split("==")[1])


if __name__ == "__main__":
    main()
