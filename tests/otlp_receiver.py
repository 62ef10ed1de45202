"""A small real OTLP/HTTP receiver: it keeps the spans and log records that exporters post to it."""

from __future__ import annotations

import gzip
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class OtlpReceiver:
    """Listens on a free port of loopback while its block lasts.

    Point an exporter at ``endpoint`` (``OTEL_EXPORTER_OTLP_ENDPOINT`` with the protocol ``http/protobuf``).

    Args:
        forward_to: base URL of another receiver, which gets every request too and whose status is the answer.
    """

    def __init__(self, *, forward_to: str | None = None) -> None:
        self.forward_to = forward_to
        self.trace_requests: list[ExportTraceServiceRequest] = []
        self.logs_requests: list[ExportLogsServiceRequest] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        """Base URL; exporters add ``/v1/traces`` or ``/v1/logs``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[Span]:
        """All spans received, in order of arrival."""
        return [
            span
            for request in list(self.trace_requests)
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @property
    def log_records(self) -> list[LogRecord]:
        """All log records received, in order of arrival."""
        return [
            record
            for request in list(self.logs_requests)
            for resource_logs in request.resource_logs
            for scope_logs in resource_logs.scope_logs
            for record in scope_logs.log_records
        ]

    def wait_for_spans(self, count: int, *, seconds: float = 10) -> list[Span]:
        """The spans, once there are at least ``count``; AssertionError if they do not come in time."""
        deadline = time.monotonic() + seconds
        while len(self.spans) < count:
            assert time.monotonic() < deadline, f"{len(self.spans)} of {count} spans came"
            time.sleep(0.01)
        return self.spans

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: OtlpReceiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self._forward(body)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        receiver = self.server.receiver
        if self.path == "/v1/traces":
            receiver.trace_requests.append(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
        elif self.path == "/v1/logs":
            receiver.logs_requests.append(ExportLogsServiceRequest.FromString(body))
            answer = ExportLogsServiceResponse().SerializeToString()
        else:
            self.send_error(404)
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _forward(self, body: bytes) -> int:
        base = self.server.receiver.forward_to
        if base is None:
            return 200
        kept = {name: value for name, value in self.headers.items() if name.lower().startswith("content-")}
        try:
            with urllib.request.urlopen(urllib.request.Request(base + self.path, body, kept), timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the method overridden
        """Say nothing on the console of the tests."""
