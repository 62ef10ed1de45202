"""Start records and heartbeats by OTLP, for a sink that shows runs while they run.

They travel as log records with event names of ours, by a logger provider of ours: a span can be exported only
once, and a backend that draws spans must not see these. On this leg the SDK's own limits hold.

The logs signal of OpenTelemetry for Python is still private; this is the one module that imports it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry._logs import LogRecord  # noqa: TID251 - here and nowhere else
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import LoggerProvider  # noqa: TID251 - here and nowhere else
from opentelemetry.sdk._logs.export import (  # noqa: TID251 - here and nowhere else
    BatchLogRecordProcessor,
    LogRecordExporter,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from cmbagent_otel.live import Live
from cmbagent_otel.spans.log_form import LogForm, heartbeat_to_log, start_to_log
from cmbagent_otel.spans.record import Heartbeat, SpanRecord

_TICK = 0.25
_BATCH = 512
_SEND_AFTER_MS = 200  # the SDK's second, with the half second that a start is held back, would make two


class StartAnnouncer(SpanProcessor):
    """Tells by OTLP logs which spans have begun, and that this process is alive.

    Args:
        exporter: makes the exporter, once there is something to tell.
        heartbeat_interval: seconds between two heartbeats of a run.
    """

    def __init__(self, exporter: Callable[[], LogRecordExporter], heartbeat_interval: float) -> None:
        self._make_exporter = exporter
        self._live = Live(heartbeat_interval)
        self._provider: LoggerProvider | None = None
        self._resource: Resource | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Queue a span that has begun. Never raises, never waits."""
        if self._stop.is_set():
            return
        self._live.begun(span, parent_context)
        if self._thread is None:
            self._begin(span.resource)

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing is to be told of it: ended spans travel by the traces signal."""
        self._live.ended(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what was told so far."""
        return self._provider is None or self._provider.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Stop telling: what has ended by now travels as a span, and what has not is cut off."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2 * _TICK)
        if self._provider is not None:
            self._provider.shutdown()

    def _begin(self, resource: Resource) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._resource = resource
            thread = threading.Thread(target=self._run, name="cmbagent-otel-announcer", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter is shutting down
            self._thread = thread

    def _run(self) -> None:
        with suppress_instrumentation():
            while not self._stop.wait(_TICK):
                for record in self._live.due(_BATCH):
                    self._emit(record)

    def _emit(self, record: SpanRecord | Heartbeat) -> None:
        if self._provider is None:
            self._provider = LoggerProvider(resource=self._resource, shutdown_on_exit=False)
            self._provider.add_log_record_processor(
                BatchLogRecordProcessor(self._make_exporter(), schedule_delay_millis=_SEND_AFTER_MS)
            )
        form = heartbeat_to_log(record) if isinstance(record, Heartbeat) else start_to_log(record)
        scope_name = "" if isinstance(record, Heartbeat) else record.scope_name
        self._provider.get_logger(scope_name).emit(
            LogRecord(
                timestamp=form.time_unix_nano,
                context=_context(form),
                event_name=form.event_name,
                attributes=dict(form.attributes),
            )
        )


def _context(form: LogForm) -> Context:
    if not form.trace_id:
        return Context()
    about = SpanContext(
        int(form.trace_id, 16), int(form.span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return trace.set_span_in_context(NonRecordingSpan(about), Context())
