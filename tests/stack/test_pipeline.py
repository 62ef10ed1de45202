"""The demo's run, through the real Collector, to the real Jaeger and to the sink."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import select

from cmbagent_otel import semconv, settings
from cmbagent_otel.spans.from_otlp import logs_from_otlp, traces_from_otlp
from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from cmbagent_otel.store.schema import dag_nodes
from tests.invariants import check_invariants
from tests.otlp_receiver import OtlpReceiver
from tests.postgresql import Server
from tests.stack.binaries import COLLECTOR, ROOT, binary
from tests.stack.jaeger_api import spans_at, trace_ids_at
from tests.stack.processes import Collector, Jaeger, Sink
from tests.stack.tables import rows_of

SERVICE = "demo-of-the-stack-tests"


@dataclass(frozen=True)
class Demo:
    """One run of the demo, and what it left."""

    emitted: list[SpanRecord]
    """The spans as the SDK sent them to the Collector."""
    started: list[SpanRecord]
    """The start records likewise."""
    in_process_url: str
    sink_url: str
    jaeger: Jaeger

    @property
    def trace_id(self) -> str:
        (trace_id,) = {span.trace_id for span in self.emitted}
        return trace_id


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, postgresql_server: Server, jaeger: Jaeger) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    urls = [postgresql_server.create_database() for _door in range(2)]
    for url in urls:
        engine = open_engine(url)
        upgrade(engine)
        engine.dispose()
    gate = {semconv.CONTENT_GATE_VARIABLE: "SPAN_AND_EVENT"}
    sink = Sink(folder, urls[1], variables=gate)
    sink.start()
    collector = Collector(folder, sink=sink.url, jaeger=jaeger.otlp_endpoint)
    collector.start()
    with OtlpReceiver(forward_to=collector.endpoint) as tee:
        said = subprocess.run(
            [sys.executable, ROOT / "examples" / "demo.py"],
            env=settings.child_environment(
                {
                    **gate,
                    "CMBAGENT_OTEL_DATABASE_URL": urls[0],
                    "CMBAGENT_OTEL_SPOOL_DIR": str(folder / "spool"),
                    "OTEL_TRACES_EXPORTER": "cmbagent_dag,otlp",
                    "OTEL_LOGS_EXPORTER": "otlp",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": tee.endpoint,
                    "OTEL_SERVICE_NAME": SERVICE,
                }
            ),
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
        )
    assert said.returncode == 0, said.stdout + said.stderr
    collector.stop()  # hands over what is queued
    sink.stop()
    decoded = [traces_from_otlp(request.SerializeToString()) for request in tee.trace_requests]
    starts = [logs_from_otlp(request.SerializeToString()) for request in tee.logs_requests]
    yield Demo(
        [record for each in decoded for record in each.records if isinstance(record, SpanRecord)],
        [record for each in starts for record in each.records if isinstance(record, SpanRecord)],
        urls[0],
        urls[1],
        jaeger,
    )
    for url in urls:
        postgresql_server.drop_database(url)


def by_id(spans: list[SpanRecord]) -> dict[str, SpanRecord]:
    return {span.span_id: span for span in spans}


# -- Jaeger ------------------------------------------------------------------------------------------------


def test_jaeger_has_the_one_trace_with_the_spans_that_the_sdk_emitted(demo: Demo) -> None:
    assert trace_ids_at(demo.jaeger, SERVICE) == {demo.trace_id}
    shown, emitted = by_id(spans_at(demo.jaeger, demo.trace_id, len(demo.emitted))), by_id(demo.emitted)
    assert shown.keys() == emitted.keys()
    for span_id, span in emitted.items():
        # OTLP says by a flag whether the parent is remote, which Jaeger does not keep for all spans.
        assert shown[span_id]._replace(parent_is_remote=False, resource={}) == span._replace(
            parent_is_remote=False, resource={}
        )


def test_jaeger_keeps_links_with_their_attributes_and_errors_and_genai_attributes(demo: Demo) -> None:
    shown = spans_at(demo.jaeger, demo.trace_id, len(demo.emitted))
    redos = [span for span in shown if semconv.REDO_NUMBER in span.attributes]
    assert redos
    for redo in redos:
        assert [link.attributes[semconv.LINK_KIND] for link in redo.links] == [semconv.LINK_REDO_OF]
    failed = [span for span in shown if span.status == "ERROR"]
    assert failed
    assert all(semconv.ERROR_TYPE in span.attributes for span in failed)
    models = [span for span in shown if span.attributes.get(semconv.OPERATION_NAME) == semconv.Operation.CHAT]
    assert models
    assert all(isinstance(span.attributes[semconv.USAGE_INPUT_TOKENS], int) for span in models)


def test_no_link_makes_jaeger_misplace_a_span(demo: Demo) -> None:
    """Jaeger takes for the parent the first reference, parent or link, whose span is in the trace."""
    spans = by_id(demo.emitted)
    for span in spans.values():
        for link in span.links:
            if link.trace_id == span.trace_id:
                assert span.parent_span_id in spans, "a root, or one whose parent is missing, would hang under its link"
                assert spans[link.span_id].start_time_unix_nano <= span.start_time_unix_nano


def test_jaeger_sees_no_start_records(demo: Demo) -> None:
    assert demo.started
    assert len(spans_at(demo.jaeger, demo.trace_id, len(demo.emitted))) == len(demo.emitted)


# -- the two doors -----------------------------------------------------------------------------------------


def test_the_sink_wrote_row_for_row_what_the_in_process_door_wrote(demo: Demo) -> None:
    sink, in_process = rows_of(demo.sink_url), rows_of(demo.in_process_url)
    assert in_process["dag_nodes"]
    assert in_process["execution_events"]
    for table, rows in in_process.items():
        assert sink[table] == rows, table


def test_both_databases_keep_the_invariants(demo: Demo) -> None:
    for url in (demo.sink_url, demo.in_process_url):
        engine = open_engine(url)
        check_invariants(engine)
        engine.dispose()


# -- while it runs -----------------------------------------------------------------------------------------

GOES_ON = """
import sys, time
import cmbagent_otel as otel
otel.configure()
with otel.workflow("long", task="t"):
    with otel.phase("control"):
        sys.stdout.write("begun\\n"); sys.stdout.flush()
        sys.stdin.read()
"""


def test_running_nodes_show_within_two_seconds_and_jaeger_shows_none(
    tmp_path: Path, collector: Collector, jaeger: Jaeger, migrated_postgres_url: str
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", GOES_ON],
        env=settings.child_environment(
            {
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_LOGS_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
                "OTEL_SERVICE_NAME": "goes-on",
            }
        ),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"begun\n"
    begun = time.monotonic()
    engine = open_engine(migrated_postgres_url)
    nodes = dag_nodes.c
    query = select(nodes.node_type, nodes.status).order_by(nodes.depth)
    while True:
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(query)]
        if len(found) == 2:
            break
        assert time.monotonic() - begun < 10
        time.sleep(0.02)
    seen_after = time.monotonic() - begun
    assert found == [("workflow", "running"), ("control", "running")]
    assert trace_ids_at(jaeger, "goes-on") == set()
    program.communicate()
    assert program.returncode == 0
    (trace_id,) = _wait_for_trace(jaeger, "goes-on")
    assert len(spans_at(jaeger, trace_id, 2)) == 2
    with engine.connect() as connection:
        while [row.status for row in connection.execute(query)] != ["completed", "completed"]:
            assert time.monotonic() - begun < 30
            time.sleep(0.05)
    check_invariants(engine)
    engine.dispose()
    assert seen_after < 2


def _wait_for_trace(jaeger: Jaeger, service: str) -> set[str]:
    deadline = time.monotonic() + 20
    while not (found := trace_ids_at(jaeger, service)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


# -- the configuration -------------------------------------------------------------------------------------


def test_the_collector_warns_of_nothing_in_its_configuration(collector: Collector) -> None:
    said = collector.log.read_text()
    assert "deprecat" not in said.lower()
    assert [line for line in said.splitlines() if "\twarn\t" in line or "\terror\t" in line] == []


SECRET = "sk-" + "abcdefgh" * 4


def test_secrets_are_masked_token_counts_are_not_and_only_our_log_records_pass(tmp_path: Path) -> None:
    attributes: dict[str, Any] = {
        semconv.USAGE_INPUT_TOKENS: 1200,
        "some.token": "x",
        "openai.api_key": "x",
        "http.request.header.authorization": "x",
        "said": f"the key is {SECRET}",
        "plain": "kept",
    }
    masked = {**attributes, **dict.fromkeys(attributes.keys() - {semconv.USAGE_INPUT_TOKENS, "plain"}, "****")}
    masked["said"] = "the key is ****"
    encoded = _encode_attributes(attributes)
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    traces.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, attributes=encoded)
    records = logs.resource_logs.add().scope_logs.add().log_records
    for name in ("gen_ai.client.inference.operation.details", "", semconv.LOG_SPAN_START, semconv.LOG_HEARTBEAT):
        records.add(event_name=name, time_unix_nano=1, attributes=encoded)
    with OtlpReceiver() as sink:
        only_the_sink = "service::pipelines::traces::exporters: [otlp_http/sink]"
        collector = Collector(tmp_path, sink=sink.endpoint, overrides=[only_the_sink])
        collector.start()
        for path, request in (("traces", traces), ("logs", logs)):
            body, headers = request.SerializeToString(), {"content-type": "application/x-protobuf"}
            urllib.request.urlopen(urllib.request.Request(f"{collector.endpoint}/v1/{path}", body, headers)).close()
        collector.stop()
        assert [record.event_name for record in sink.log_records] == [semconv.LOG_SPAN_START, semconv.LOG_HEARTBEAT]
        expected = {pair.key: pair.value for pair in _encode_attributes(masked)}
        for passed in [span.attributes for span in sink.spans] + [record.attributes for record in sink.log_records]:
            assert {pair.key: pair.value for pair in passed} == expected


def test_the_collector_has_just_the_components_that_the_configurations_use() -> None:
    said = subprocess.run([binary(COLLECTOR), "components"], capture_output=True, text=True, check=True).stdout
    names = {line.split("name: ")[1].strip() for line in said.splitlines() if "- name:" in line}
    assert {"otlp", "memory_limiter", "redaction", "filter", "otlp_grpc", "otlp_http", "file_storage"} <= names
