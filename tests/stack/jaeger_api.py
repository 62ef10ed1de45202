"""What Jaeger's query API says of a trace."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from cmbagent_otel.spans.from_otlp import traces_from_otlp
from cmbagent_otel.spans.record import SpanRecord
from tests.stack.processes import Jaeger


def spans_at(jaeger: Jaeger, trace_id: str, count: int, *, seconds: float = 30) -> list[SpanRecord]:
    """The spans of a trace, once Jaeger has at least ``count``."""
    deadline = time.monotonic() + seconds
    while True:
        spans = _spans(_result(jaeger, trace_id))
        if len(spans) >= count:
            return spans
        assert time.monotonic() < deadline, f"Jaeger has {len(spans)} of {count} spans"
        time.sleep(0.1)


def trace_ids_at(jaeger: Jaeger, service: str) -> set[str]:
    """The traces of a service of the last hour."""
    answer = _get(f"{jaeger.url}/api/traces?service={service}&lookback=1h&limit=1000")
    return {trace["traceID"] for trace in answer["data"]}


def _result(jaeger: Jaeger, trace_id: str) -> dict[str, Any]:
    try:
        result: dict[str, Any] = _get(f"{jaeger.url}/api/v3/traces/{trace_id}")["result"]
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return {}
    return result


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def _spans(result: dict[str, Any]) -> list[SpanRecord]:
    decoded = traces_from_otlp(json.dumps(result).encode(), json=True)  # it is OTLP's own JSON
    assert not decoded.rejects
    return [_as_it_came(record) for record in decoded.records if isinstance(record, SpanRecord)]


def _as_it_came(span: SpanRecord) -> SpanRecord:
    """Without Jaeger's own remarks, such as that a tool ran after the turn that asked for it had ended."""
    kept = {key: value for key, value in span.attributes.items() if not key.startswith("@jaeger@")}
    return span._replace(attributes=kept)
