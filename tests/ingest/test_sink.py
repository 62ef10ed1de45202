from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from sqlalchemy import Engine, select

from cmbagent_otel import semconv, settings
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.ingest import serve_sink as serve_sink_command
from cmbagent_otel.ingest.body import Limits
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from cmbagent_otel.store.schema import dag_nodes, rejected_records, workflow_runs
from tests.ingest.conftest import TRACE_ID, a_span, body_of, wait_until_ready

TRACES, LOGS = "/v1/traces", "/v1/logs"
SMALL = Limits(body_bytes=100_000, held_bytes=200_000, head_seconds=0.3, body_seconds=0.3, body_records=100)


def names_in(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(dag_nodes.c.name).order_by(dag_nodes.c.name)))


def names_at(url: str) -> list[str]:
    engine = open_engine(url)
    try:
        return names_in(engine)
    finally:
        engine.dispose()


def counts_of(client: httpx.Client) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    return {
        name.removeprefix("cmbagent_otel_sink_"): float(value)
        for name, value in (line.split() for line in lines if not line.startswith("#"))
    }


# -- what is taken -----------------------------------------------------------------------------------------


def test_what_was_answered_200_is_in_the_database(sink: httpx.Client, engine: Engine) -> None:
    answer = sink.post(TRACES, content=body_of(a_span(name="kept")))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    assert names_in(engine) == ["kept"]


def test_json_is_answered_in_json(sink: httpx.Client, engine: Engine) -> None:
    span = {"traceId": TRACE_ID.hex(), "spanId": "ab" * 8, "name": "j", "startTimeUnixNano": "1", "endTimeUnixNano": 2}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    answer = sink.post(TRACES, json=body, headers={"content-type": "application/json; charset=utf-8"})
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, "application/json", {})
    assert names_in(engine) == ["j"]


def test_gzip_is_unpacked_also_of_several_members(sink: httpx.Client, engine: Engine) -> None:
    body = body_of(a_span(name="packed"))
    packed = gzip.compress(body[:20]) + gzip.compress(body[20:])
    assert sink.post(TRACES, content=packed, headers={"content-encoding": "gzip"}).status_code == 200
    assert names_in(engine) == ["packed"]


def test_an_empty_export_is_taken(sink: httpx.Client) -> None:
    assert sink.post(TRACES, content=b"").status_code == 200
    assert sink.post(LOGS, content=b"").status_code == 200


def test_the_same_export_twice_leaves_one_row(sink: httpx.Client, engine: Engine) -> None:
    for _delivery in range(2):
        assert sink.post(TRACES, content=body_of(a_span())).status_code == 200
    assert names_in(engine) == ["a"]


def test_good_spans_beside_bad_ones_are_stored_and_the_bad_ones_reported(sink: httpx.Client, engine: Engine) -> None:
    answer = sink.post(TRACES, content=body_of(a_span(span_id=b"short"), a_span(name="good"), a_span(trace_id=b"")))
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 2)
    assert "8 bytes" in partial.error_message
    assert "16 bytes" in partial.error_message
    assert names_in(engine) == ["good"]


def test_what_can_not_be_decoded_is_put_aside_once_with_its_reason(sink: httpx.Client, engine: Engine) -> None:
    bad = a_span(span_id=b"short", name="bad", trace_id=TRACE_ID)
    for body in (body_of(bad, a_span(name="good")), body_of(bad), body_of(bad)):
        assert sink.post(TRACES, content=body).status_code == 200
    with engine.connect() as connection:
        (row,) = connection.execute(select(rejected_records)).all()
    assert (row.trace_id, row.span_id, row.name) == (TRACE_ID.hex(), b"short".hex(), "bad")
    assert "8 bytes" in row.reason


def test_of_very_many_rejects_the_newest_thousand_are_kept(sink: httpx.Client, engine: Engine) -> None:
    bad = [a_span(span_id=b"short", name=f"bad {number}") for number in range(1_500)]
    assert sink.post(TRACES, content=body_of(*bad)).status_code == 200
    with engine.connect() as connection:
        names = set(connection.scalars(select(rejected_records.c.name)))
    assert names == {f"bad {number}" for number in range(500, 1_500)}


def test_hostile_values_harm_no_span_beside_them(sink: httpx.Client, engine: Engine) -> None:
    many = [KeyValue(key=f"k{number}", value=AnyValue(string_value="v" * 50)) for number in range(10_000)]
    nul = [KeyValue(key="cmbagent.step.goal", value=AnyValue(string_value="a\0b"))]
    spans = [
        a_span(span_id=b"8 bytes1", parent_span_id=b"the root", name="many", attributes=many),
        a_span(span_id=b"8 bytes2", parent_span_id=b"the root", name="nul\0name", attributes=nul),
        a_span(span_id=b"8 bytes3", parent_span_id=b"the root", name="n" * 100_000),
        a_span(name="good"),
    ]
    assert sink.post(TRACES, content=body_of(*spans)).status_code == 200
    found = names_in(engine)
    assert len(found) == 4
    assert "good" in found


def test_a_start_record_shows_a_running_node_and_a_heartbeat_its_run_alive(sink: httpx.Client, engine: Engine) -> None:
    run_id = "12345678-1234-1234-1234-123456789abc"
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    resource_logs.resource.attributes.extend(_encode_attributes({semconv.SERVICE_INSTANCE_ID: "worker-7"}))
    records = resource_logs.scope_logs.add().log_records
    start = {semconv.SPAN_NAME: "going", semconv.SPAN_KIND: "INTERNAL", semconv.RUN_ID: run_id}
    moment = 1_700_000_000_000_000_000
    records.add(
        event_name=semconv.LOG_SPAN_START,
        trace_id=TRACE_ID,
        span_id=b"the root",
        time_unix_nano=moment,
        attributes=_encode_attributes(start),
    )
    records.add(
        event_name=semconv.LOG_HEARTBEAT,
        time_unix_nano=moment + 30_000_000_000,
        attributes=_encode_attributes({semconv.RUN_IDS: [run_id]}),
    )
    records.add(event_name="somebody.elses", time_unix_nano=moment)
    records.add(event_name=semconv.LOG_SPAN_START)
    answer = sink.post(LOGS, content=request.SerializeToString())
    assert answer.status_code == 200
    assert ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records == 1
    with engine.connect() as connection:
        node = connection.execute(select(dag_nodes.c.name, dag_nodes.c.status, dag_nodes.c.run_id)).one()
        beat = connection.scalar(select(workflow_runs.c.last_heartbeat_at))
    assert tuple(node) == ("going", "running", run_id)
    assert beat is not None
    assert beat.isoformat().startswith("2023-11-14T22:13:50")


def test_requests_that_wait_together_are_all_answered_after_their_commit(sink: httpx.Client, engine: Engine) -> None:
    bodies = [body_of(a_span(span_id=number.to_bytes(8, "big"), parent_span_id=b"the root")) for number in range(1, 33)]
    statuses: list[int] = []

    def send(part: list[bytes]) -> None:
        statuses.extend(sink.post(TRACES, content=body).status_code for body in part)

    threads = [threading.Thread(target=send, args=(bodies[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 32
    assert names_in(engine).count("a") == 32
    counts = counts_of(sink)
    assert counts["records_written_total"] == 32
    assert counts["commits_total"] <= 32


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xff", {}, 400),
        (b"hello", {"content-encoding": "gzip"}, 400),
        (gzip.compress(body_of(a_span()))[:-9], {"content-encoding": "gzip"}, 400),
        (b"{", {"content-type": "application/json"}, 400),
        (body_of(*[a_span(span_id=number.to_bytes(8, "big")) for number in range(1, 102)]), {}, 400),
        (bytes(100_001), {}, 413),
        (gzip.compress(bytes(50_000_000)), {"content-encoding": "gzip"}, 413),
        (b"x", {"content-type": "text/plain"}, 415),
        (zlib.compress(b"x"), {"content-encoding": "br"}, 415),
    ],
    ids=[
        "garbage",
        "no gzip",
        "cut gzip",
        "no json",
        "too many",
        "large",
        "gzip bomb",
        "content type",
        "content coding",
    ],
)
def test_what_can_never_be_taken_gets_its_status_and_a_status_body(
    serve_sink: Callable[..., httpx.Client], migrated_sqlite_url: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    client = serve_sink(SMALL, database_url=migrated_sqlite_url)
    answer = client.post(TRACES, content=body, headers=headers)
    assert answer.status_code == status
    if headers.get("content-type") == "application/json":
        assert answer.json()["message"]
    else:
        assert Status.FromString(answer.content).message
    assert counts_of(client)["requests_refused_total"] == 1


def test_a_body_without_a_length_is_limited_too(
    serve_sink: Callable[..., httpx.Client], migrated_sqlite_url: str
) -> None:
    client = serve_sink(SMALL, database_url=migrated_sqlite_url)
    assert client.post(TRACES, content=(bytes(1000) for _ in range(200))).status_code == 413


def test_a_body_that_does_not_come_is_given_up(
    serve_sink: Callable[..., httpx.Client], migrated_sqlite_url: str
) -> None:
    client = serve_sink(SMALL, database_url=migrated_sqlite_url)
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        head = (
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 50\r\n\r\n"
        )
        connection.sendall(head.encode() + b"only this")
        said = b"".join(iter(lambda: connection.recv(4096), b""))  # until the sink closes the connection
    assert said.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["first", "second"])
def test_a_head_that_does_not_come_is_given_up(
    serve_sink: Callable[..., httpx.Client], migrated_sqlite_url: str, before: bytes
) -> None:
    client = serve_sink(SMALL, database_url=migrated_sqlite_url)
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as connection:
        connection.sendall(before)
        said = b""
        while before and not said.endswith(b"alive\n"):
            said += connection.recv(4096)
        connection.settimeout(0.02)
        for line in (b"POST /v1/traces HTTP/1.1\r\n", *(b"x-%d: y\r\n" % number for number in range(1_000))):
            connection.sendall(line)  # a header at a time, so that it is never idle
            with suppress(TimeoutError):
                said = connection.recv(4096)
                break
    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_connection_may_be_idle_between_two_requests(
    serve_sink: Callable[..., httpx.Client], migrated_sqlite_url: str
) -> None:
    client = serve_sink(SMALL, database_url=migrated_sqlite_url)
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as connection:
        for _request in range(2):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            said = b""
            while not said.endswith(b"alive\n"):
                said += connection.recv(4096)
            time.sleep(2 * SMALL.head_seconds)


def test_more_than_may_be_held_at_once_is_to_be_sent_later(
    serve_sink: Callable[..., httpx.Client], migrated_sqlite_url: str
) -> None:
    client = serve_sink(SMALL._replace(held_bytes=1000), database_url=migrated_sqlite_url)
    answer = client.post(TRACES, content=bytes(2000))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_other_paths_and_methods_are_named(sink: httpx.Client) -> None:
    assert sink.post("/v1/metrics").status_code == 404
    answer = sink.get(TRACES)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_with_a_token_only_its_bearer_is_heard(
    serve_sink: Callable[..., httpx.Client], migrated_sqlite_url: str
) -> None:
    client = serve_sink(database_url=migrated_sqlite_url, token="s3cret")
    wait_until_ready(client)
    assert client.get("/healthz").status_code == 200
    for wrong in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic s3cret"}):
        answer = client.post(TRACES, content=b"", headers=wrong)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/metrics").status_code == 401
    assert client.post(TRACES, content=b"", headers={"authorization": "bearer s3cret"}).status_code == 200


def test_another_address_than_loopback_needs_a_token(migrated_sqlite_url: str) -> None:
    with pytest.raises(SettingsError, match="CMBAGENT_OTEL_TOKEN"):
        serve_sink_command(settings.load(database_url=migrated_sqlite_url), host="0.0.0.0")


def test_a_port_in_use_is_named(migrated_sqlite_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match="choose another --port"):
        serve_sink_command(settings.load(database_url=migrated_sqlite_url), port=taken.getsockname()[1])


# -- when the database is away -----------------------------------------------------------------------------


def test_while_the_tables_are_missing_requests_are_to_be_sent_later_and_then_are_taken(
    serve_sink: Callable[..., httpx.Client], postgres_url: str
) -> None:
    client = serve_sink(database_url=postgres_url)
    answer = client.post(TRACES, content=body_of(a_span(name="patient")))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "db upgrade" in Status.FromString(answer.content).message
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    engine = open_engine(postgres_url)
    upgrade(engine)
    engine.dispose()
    wait_until_ready(client)
    assert client.post(TRACES, content=body_of(a_span(name="patient"))).status_code == 200
    assert names_at(postgres_url) == ["patient"]


def test_while_the_database_is_away_requests_are_to_be_sent_later(
    serve_sink: Callable[..., httpx.Client],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    client = serve_sink(database_url=f"postgresql://nobody@127.0.0.1:{port}/nothing")
    for _delivery in range(3):
        answer = client.post(TRACES, content=body_of(a_span()))
        assert answer.status_code == 503
        assert "can't be reached" in Status.FromString(answer.content).message
    assert counts_of(client)["records_waiting"] == 0


# -- what it tells of itself -------------------------------------------------------------------------------


def test_metrics_tell_what_became_of_records(sink: httpx.Client) -> None:
    sink.post(TRACES, content=body_of(a_span(), a_span(span_id=b"bad")))
    sink.post(TRACES, content=b"\xff")
    counts = counts_of(sink)
    told = {name: counts[f"{name}_total"] for name in ("records_accepted", "records_written", "records_rejected")}
    assert told == {"records_accepted": 1, "records_written": 1, "records_rejected": 1}
    assert counts["requests_refused_total"] == 1
    assert counts["workers_ready"] == 1
    assert counts["lag_seconds_count"] == 1
    assert counts["lag_seconds_sum"] > 0


def as_json(answer: httpx.Response) -> Any:
    return json.loads(answer.content)


def test_partial_success_in_json_has_its_numbers_as_otlp_writes_them(sink: httpx.Client) -> None:
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "00"}]}]}]}
    said = as_json(sink.post(TRACES, json=body, headers={"content-type": "application/json"}))
    assert said["partialSuccess"]["rejectedSpans"] == "1"
