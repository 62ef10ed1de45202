"""The composition root: settings in, a provider with processors and hooks out.

The program keeps its own telemetry. Under ``run`` no provider is set before the program could set one: it is
found at the first span of ours. If there is none by then, ours is set; else our processor is attached to
theirs. A program that calls :func:`configure` itself gets it at once.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import threading
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import wrapt
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from cmbagent_otel import content, destination, resumption, scope, semconv, settings, tracing
from cmbagent_otel.announcer import StartAnnouncer
from cmbagent_otel.delivery import check_destination
from cmbagent_otel.errors import CmbagentOtelError, SettingsError
from cmbagent_otel.exporter import claim_registered
from cmbagent_otel.processor import DagSpanProcessor
from cmbagent_otel.scope import Node, Scope
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.settings import DAG_EXPORTER, OTLP_EXPORTER, Settings
from cmbagent_otel.spans.ids import SystemRandomIdGenerator
from cmbagent_otel.spans.record import default_run_id

_logger = logging.getLogger(__name__)

_INSTRUMENTED = {"autogen": "autogen", "ag2": "ag2", "cmbagent": "cmbagent"}
"""Module that a program imports -> entry point of the instrumentor that follows it."""


class _State:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.configured = False
        self.attached: set[int] = set()
        self.processors: list[SpanProcessor] = []
        self.implicit: Node | None = None


_state = _State()


def configure(
    *, workflow: str | None = None, lazy: bool = False, started_at: int | None = None, **overrides: Any
) -> bool:
    """Trace this program from now on. A second call changes nothing.

    Args:
        workflow: name of a workflow around all that belongs to none, from now (or ``started_at``) to the exit.
        lazy: wait for the program's own tracer provider until the first span of ours.
        started_at: when the program began, in nanoseconds since the epoch.
        overrides: fields of :class:`~cmbagent_otel.settings.Settings`, such as ``database_url``.

    Returns:
        Whether the program is traced. A setting that can't be used is told in one line, with what to do, and
        the program runs on untraced.
    """
    with _state.lock:
        if _state.configured:
            return True
        try:
            config = settings.load(**overrides)
            _set_defaults(config)
            if config.sdk_disabled:
                return False
            _state.processors = _processors(config)
            if config.propagate_threads:
                instrument_threads()
        except (CmbagentOtelError, OSError) as error:
            _logger.error("cmbagent-otel: %s The program runs on untraced.", _sentence(error))  # noqa: TRY400
            return False
        _state.configured = True
    _join(config)
    if workflow is not None:
        scope.set_ambient(_remote(config), implicit=_implicit_workflow(workflow, started_at or time.time_ns()))
    destination.before_first_span(_resolve)
    if not lazy:
        destination.tracer()
    _install_hooks()
    return True


def post_instrument() -> None:
    """Entry point ``opentelemetry_post_instrument``: claim what ``OTEL_TRACES_EXPORTER`` named, once a provider."""
    try:
        config = settings.load()
        if config.sdk_disabled:
            return
        _set_defaults(config)
        claimed = claim_registered()
        if claimed:
            with _state.lock:
                _state.configured = True
                _state.processors = [_processor(DAG_EXPORTER, config)]
            _attach(trace.get_tracer_provider())
        _join(config)
        destination.before_first_span(settings.clean_python_path)
    except Exception:
        _logger.exception("cmbagent-otel: could not be set up; the program runs on untraced")


def flush(timeout: float = 10.0) -> bool:
    """Wait until all that has ended so far is stored or spooled.

    Args:
        timeout: seconds to wait at most.

    Returns:
        False when the time was not enough.
    """
    deadline = time.monotonic() + timeout
    done = True
    for processor in _state.processors:
        remaining = max(0.0, deadline - time.monotonic())
        done = processor.force_flush(int(remaining * 1000)) and done
    return done


def shutdown(error: BaseException | None = None) -> None:
    """End the implicit workflow, with ``error`` if that is what ends the program, and write all that is queued."""
    with _state.lock:
        node, _state.implicit = _state.implicit, None
    if node is not None:
        node.end(error)
    for processor in _state.processors:
        processor.shutdown()


def child_env() -> dict[str, str]:
    """The environment for a child process that shall join this run: a copy of ours, and where we stand in it."""
    carrier: dict[str, str] = {}
    context, found = scope.enclosing()
    TraceContextTextMapPropagator().inject(carrier, context)
    additions = {name.upper(): value for name, value in carrier.items() if name == "traceparent"}
    if found is not None and found.run_id:
        additions[settings.variable_of("run_id")] = found.run_id
        if found.session_id is not None:
            additions[settings.variable_of("session_id")] = found.session_id
    return settings.child_environment(additions)


def reset() -> None:
    """Forget everything, as in a new process; for tests."""
    global _state  # noqa: PLW0603 - a process has one
    shutdown()
    _state = _State()
    scope.reset()


def _set_defaults(config: Settings) -> None:
    tracing.set_defaults(max_redos=config.max_redos, run_id=config.run_id, session_id=config.session_id)
    resumption.configure(config.runs_dir)
    content.configure(recorded=config.content_recorded, on_spans=config.content_on_spans, limit=config.content_limit)
    if not config.content_gate_is_known:
        _logger.warning(
            "cmbagent-otel: %s=%r is not one of OpenTelemetry's values; content stays off. "
            "Use SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT or NO_CONTENT.",
            semconv.CONTENT_GATE_VARIABLE,
            config.content_gate,
        )


def _processors(config: Settings) -> list[SpanProcessor]:
    processors = [_processor(name, config) for name in config.exporters]
    if OTLP_EXPORTER in config.logs_exporter:
        exporter = _entry_point("opentelemetry_logs_exporter", _otlp_entry_point(config), "OTEL_LOGS_EXPORTER")
        processors.append(StartAnnouncer(exporter, config.heartbeat_interval))
    return processors


def _processor(name: str, config: Settings) -> SpanProcessor:
    if name == DAG_EXPORTER:
        check_destination(config)
        return DagSpanProcessor(config)
    wanted = _otlp_entry_point(config) if name == OTLP_EXPORTER else name
    make = _entry_point("opentelemetry_traces_exporter", wanted, "OTEL_TRACES_EXPORTER")
    try:
        return BatchSpanProcessor(make())
    except Exception as error:
        raise SettingsError(f"OTEL_TRACES_EXPORTER: {name!r} could not be started: {error}.") from error


def _entry_point(group: str, name: str, variable: str) -> Any:
    known = {point.name: point for point in entry_points(group=group)}
    if name not in known:
        names = ", ".join(sorted({OTLP_EXPORTER, *known}))
        raise SettingsError(f"{variable}: there is no exporter {name!r}; use one of {names}.")
    return known[name].load()


def _otlp_entry_point(config: Settings) -> str:
    names = {"": "otlp_proto_grpc", "grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
    if config.otlp_protocol not in names:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL: {config.otlp_protocol!r} is not known; use grpc or http/protobuf."
        )
    return names[config.otlp_protocol]


def _resolve() -> None:
    settings.clean_python_path()
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider(resource=Resource.create(), id_generator=SystemRandomIdGenerator())
        trace.set_tracer_provider(provider)
    _attach(provider)
    atexit.register(shutdown)


def _attach(provider: trace.TracerProvider) -> None:
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        _logger.warning(
            "cmbagent-otel: the program's tracer provider (%s) takes no span processors; nothing is recorded. "
            "Use the provider of opentelemetry-sdk.",
            type(provider).__name__,
        )
        return
    if id(provider) in _state.attached:
        return
    _state.attached.add(id(provider))
    for processor in _state.processors:
        add(processor)


def _remote(config: Settings) -> Context | None:
    if config.traceparent is None:
        return None
    found = TraceContextTextMapPropagator().extract({"traceparent": config.traceparent})
    parent = trace.get_current_span(found).get_span_context()
    if not parent.is_valid:
        _logger.warning("cmbagent-otel: TRACEPARENT=%r is not a trace context; ignored", config.traceparent)
        return None
    run_id = config.run_id or default_run_id(f"{parent.trace_id:032x}")
    around = trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())
    return scope.with_scope(around, Scope(run_id, config.session_id, NodeKind.WORKFLOW))


def _join(config: Settings) -> None:
    remote = _remote(config)
    if remote is not None:
        scope.set_ambient(remote)


def _implicit_workflow(name: str, started_at: int) -> Callable[[], Context | None]:
    def begin() -> Context | None:
        _state.implicit = tracing.Workflow(name).begin_around(started_at)
        return _state.implicit.context

    return begin


def _install_hooks() -> None:
    points = {point.name: point for point in entry_points(group="opentelemetry_instrumentor")}
    for module, name in _INSTRUMENTED.items():
        point = points.get(name)
        if point is not None and point.value.startswith(f"{__package__}."):
            wrapt.register_post_import_hook(_instrument_with(point), module)


def _instrument_with(point: EntryPoint) -> Callable[[Any], None]:
    def instrument(module: Any) -> None:
        del module
        try:
            point.load()().instrument(skip_dep_check=True)
        except Exception:
            _logger.exception("cmbagent-otel: the hooks for %s could not be installed", point.name)

    return instrument


def instrument_threads() -> None:
    """Carry the trace into every thread and executor of the process.

    Raises:
        SettingsError: the package that does it is not installed.
    """
    try:
        module = importlib.import_module("opentelemetry.instrumentation.threading")
    except ImportError:
        raise SettingsError(
            "CMBAGENT_OTEL_PROPAGATE_THREADS needs another package; type: pip install 'cmbagent-otel[threads]'."
        ) from None
    module.ThreadingInstrumentor().instrument()


def _sentence(error: BaseException) -> str:
    text = str(error)
    return text if text.endswith((".", "!", "?")) else f"{text}."
