from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from cmbagent_otel import semconv
from cmbagent_otel.spans.from_otlp import logs_from_otlp
from cmbagent_otel.spans.log_form import LogForm, heartbeat_to_log, start_to_log
from cmbagent_otel.spans.record import Heartbeat, SpanLink, SpanRecord

RESOURCE = {semconv.SERVICE_INSTANCE_ID: "worker-7"}
START = SpanRecord(
    "0123456789abcdef0123456789abcdef",
    "0123456789abcdef",
    "fedcba9876543210",
    "chat gpt-4o",
    "CLIENT",
    1_700_000_000_000_000_000,
    None,
    "UNSET",
    "",
    {semconv.REQUEST_MODEL: "gpt-4o", semconv.STEP_NUMBER: 3, semconv.DAG_DEPENDS_ON: ("a", "b")},
    (),
    (SpanLink("f" * 32, "e" * 16, {semconv.LINK_KIND: semconv.LINK_REDO_OF}),),
    RESOURCE,
    semconv.SCOPE_NAME,
    parent_is_remote=True,
)
ROOT = START._replace(parent_span_id=None, parent_is_remote=False, links=())


def body_of(*logs: LogForm, resource: Mapping[str, Any] = RESOURCE) -> bytes:
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    resource_logs.resource.attributes.extend(_encode_attributes(resource))
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = semconv.SCOPE_NAME
    for log in logs:
        scope_logs.log_records.add(
            event_name=log.event_name,
            time_unix_nano=log.time_unix_nano,
            trace_id=bytes.fromhex(log.trace_id),
            span_id=bytes.fromhex(log.span_id),
            attributes=_encode_attributes(log.attributes),
        )
    return request.SerializeToString()


@pytest.mark.parametrize("start", [START, ROOT])
def test_a_start_record_comes_through_a_log_record_whole(start: SpanRecord) -> None:
    assert logs_from_otlp(body_of(start_to_log(start))) == ([start], [])


def test_a_heartbeat_comes_through_a_log_record_whole() -> None:
    heartbeat = Heartbeat(("run-1", "run-2"), "worker-7", 1_700_000_000_000_000_000)
    assert logs_from_otlp(body_of(heartbeat_to_log(heartbeat))) == ([heartbeat], [])


def test_log_records_of_others_are_neither_stored_nor_refused() -> None:
    foreign = LogForm("gen_ai.client.inference.operation.details", 1, "", "", {})
    assert logs_from_otlp(body_of(foreign, LogForm("", 1, "", "", {}))) == ([], [])


@pytest.mark.parametrize(
    "spoiled",
    [
        LogForm(semconv.LOG_SPAN_START, 1, START.trace_id, "", start_to_log(START).attributes),
        LogForm(semconv.LOG_SPAN_START, 1, START.trace_id, START.span_id, {}),
        start_to_log(START._replace(parent_span_id="not hex")),
        start_to_log(START._replace(links=(SpanLink("short", "e" * 16, {}),))),
        LogForm(semconv.LOG_SPAN_START, 1, START.trace_id, START.span_id, {semconv.SPAN_NAME: 7}),
        LogForm(
            semconv.LOG_SPAN_START,
            1,
            START.trace_id,
            START.span_id,
            {**start_to_log(ROOT).attributes, semconv.SPAN_LINKS: "many"},
        ),
        LogForm(
            semconv.LOG_SPAN_START,
            1,
            START.trace_id,
            START.span_id,
            {**start_to_log(ROOT).attributes, semconv.SPAN_LINKS: ("one",)},
        ),
        LogForm(semconv.LOG_HEARTBEAT, 1, "", "", {}),
        LogForm(semconv.LOG_HEARTBEAT, 1, "", "", {semconv.RUN_IDS: (7,)}),
    ],
)
def test_a_bad_log_record_costs_only_itself(spoiled: LogForm) -> None:
    decoded = logs_from_otlp(body_of(spoiled, start_to_log(ROOT)))
    assert decoded.records == [ROOT]
    assert len(decoded.rejects) == 1


def test_a_heartbeat_without_an_owner_is_refused() -> None:
    decoded = logs_from_otlp(body_of(heartbeat_to_log(Heartbeat(("r",), "", 1)), resource={}))
    assert "service.instance.id" in decoded.rejects[0].reason


def test_json_logs_are_read_too() -> None:
    log = {
        "eventName": semconv.LOG_HEARTBEAT,
        "timeUnixNano": "5",
        "attributes": [{"key": semconv.RUN_IDS, "value": {"arrayValue": {"values": [{"stringValue": "r"}]}}}],
    }
    owner = {"attributes": [{"key": semconv.SERVICE_INSTANCE_ID, "value": {"stringValue": "worker-7"}}]}
    bad = {**log, "traceId": "xyz"}
    body = json.dumps({"resourceLogs": [{"resource": owner, "scopeLogs": [{"logRecords": [log, bad]}]}]}).encode()
    decoded = logs_from_otlp(body, json=True)
    assert decoded.records == [Heartbeat(("r",), "worker-7", 5)]
    assert len(decoded.rejects) == 1
