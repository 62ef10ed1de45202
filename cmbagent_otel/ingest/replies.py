"""What the sink answers: OTLP responses, and Status bodies for refusals, in the request's encoding."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from cmbagent_otel.spans.decoded import Reject

_REASONS_SHOWN = 5

# Codes of google.rpc, which Status bodies carry.
_INVALID_ARGUMENT = 3
_RESOURCE_EXHAUSTED = 8
_UNIMPLEMENTED = 12
_UNAVAILABLE = 14
_UNAUTHENTICATED = 16


class Encoding(Enum):
    """The two encodings of OTLP over HTTP, by content type."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


class Reply(NamedTuple):
    """An HTTP response."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):  # noqa: N818 - it ends a request, not the program
    """The request ends here, with this status and message."""

    def __init__(self, status: int, code: int, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    def reply(self, encoding: Encoding) -> Reply:
        """The refusal as a response."""
        status = Status(code=self.code, message=str(self))
        return Reply(self.status, _encoded(status, encoding), encoding.value, self.headers)


def bad_request(message: str) -> Refusal:
    """400: sending it again is of no use."""
    return Refusal(400, _INVALID_ARGUMENT, message)


def unauthorized() -> Refusal:
    """401."""
    message = "send the sink's token: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token>"
    return Refusal(401, _UNAUTHENTICATED, message, ("www-authenticate", "Bearer"))


def method_not_allowed() -> Refusal:
    """405."""
    return Refusal(405, _UNIMPLEMENTED, "exports are sent by POST", ("allow", "POST"))


def too_slow(seconds: float) -> Refusal:
    """408, and the connection is closed."""
    return Refusal(408, _INVALID_ARGUMENT, f"the body did not come within {seconds:g} s", ("connection", "close"))


def too_large(limit: int) -> Refusal:
    """413."""
    return Refusal(413, _RESOURCE_EXHAUSTED, f"the body has more than {limit} bytes, unpacked: send smaller batches")


def unsupported(message: str) -> Refusal:
    """415."""
    return Refusal(415, _UNIMPLEMENTED, message)


def unavailable(message: str, retry_after: int) -> Refusal:
    """503: the same request may succeed after that many seconds."""
    return Refusal(503, _UNAVAILABLE, message, ("retry-after", str(retry_after)))


def traces_taken(rejects: list[Reject], encoding: Encoding) -> Reply:
    """200 for a trace export, with what was rejected."""
    response = ExportTraceServiceResponse()
    if rejects:
        response.partial_success.rejected_spans = len(rejects)
        response.partial_success.error_message = _reasons(rejects)
    return Reply(200, _encoded(response, encoding), encoding.value)


def logs_taken(rejects: list[Reject], encoding: Encoding) -> Reply:
    """200 for a logs export, with what was rejected."""
    response = ExportLogsServiceResponse()
    if rejects:
        response.partial_success.rejected_log_records = len(rejects)
        response.partial_success.error_message = _reasons(rejects)
    return Reply(200, _encoded(response, encoding), encoding.value)


def text(status: int, words: str) -> Reply:
    """Plain text, for people and probes."""
    return Reply(status, words.encode(), "text/plain; charset=utf-8")


def _reasons(rejects: list[Reject]) -> str:
    distinct = list(dict.fromkeys(reject.reason for reject in rejects))
    more = f"; and {len(distinct) - _REASONS_SHOWN} other reasons" if len(distinct) > _REASONS_SHOWN else ""
    return "; ".join(distinct[:_REASONS_SHOWN]) + more


def _encoded(message: Message, encoding: Encoding) -> bytes:
    return (
        message.SerializeToString() if encoding is Encoding.PROTOBUF else MessageToJson(message, indent=None).encode()
    )
