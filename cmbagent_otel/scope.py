"""Where the program stands: the run, the enclosing node and its siblings, carried in the OpenTelemetry context.

The public blocks (:mod:`cmbagent_otel.tracing`) and the hooks make every span of ours here, so that each
carries its run, and a parent. Needs the OpenTelemetry API only; with no SDK installed the spans record
nothing, and the bookkeeping goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
)
from opentelemetry.trace.propagation import _SPAN_KEY

from cmbagent_otel import content, destination, semconv
from cmbagent_otel.failure import mark_failed
from cmbagent_otel.lineage import Place, Siblings
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.record import default_run_id, node_id

_SCOPE_KEY = context_api.create_key("cmbagent-otel-scope")
# What the public functions come down to; every hook calls it, so the frames between are worth leaving out.
_current: Any = getattr(context_api._RUNTIME_CONTEXT, "_current_context", None)  # noqa: SLF001
if isinstance(_current, ContextVar):
    current_context: Callable[[], Context] = _current.get
    _attach: Callable[[Context], Token[Context]] = _current.set
    _detach: Callable[[Token[Context]], None] = _current.reset
else:
    current_context = context_api._RUNTIME_CONTEXT.get_current  # noqa: SLF001
    _attach = context_api._RUNTIME_CONTEXT.attach  # noqa: SLF001
    _detach = context_api._RUNTIME_CONTEXT.detach  # noqa: SLF001
_SUPPRESS_KEY = context_api._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001 - as opentelemetry.instrumentation.utils
_LEGACY_SUPPRESS_KEY = "suppress_instrumentation"
_OUTSIDE_OF_AGENTS = frozenset({NodeKind.WORKFLOW, NodeKind.PHASE, NodeKind.STEP})
_NOT_PLACED = frozenset({NodeKind.WORKFLOW, NodeKind.PHASE})
_ABANDONED_WITHIN_NANO = 250_000_000
"""Well before a start record is sent."""


class Scope:
    """What the context says of the innermost node of ours."""

    in_agent = False
    """An agent turn stands between here and the innermost step, phase or workflow."""
    max_redos: int | None = None
    """The limit of redos that the program itself set."""
    extra: Any = None
    """What an instrumentor keeps for the spans below, such as the state of a chat."""
    place: Place | None = None
    """Asked by the agent turns below, down to the next phase, where they belong."""
    span: Span | None = None
    """The node's span, where it is one of this process."""
    recorded = True
    """False where nothing below is recorded either: hooks need not look."""
    has_children = False
    """A span of ours has begun here."""
    _siblings: Siblings | None = None

    def __init__(self, run_id: str, session_id: str | None, kind: str) -> None:
        self.run_id = run_id
        self.session_id = session_id
        self.kind = kind

    def inherit(self, around: Scope) -> None:
        """Take over what holds in here, too."""
        kind = self.kind
        if around.in_agent and kind not in _OUTSIDE_OF_AGENTS:
            self.in_agent = True
        self.max_redos = around.max_redos
        self.extra = around.extra
        if around.place is not None and kind not in _NOT_PLACED:
            self.place = around.place

    @property
    def siblings(self) -> Siblings:
        """Those that follow each other directly under this node."""
        if self._siblings is None:
            self._siblings = Siblings()
        return self._siblings


class Standpoint(Context):
    """A context as :func:`start` made it: its span is that of its scope, and nothing in it asks for silence.

    What somebody else derives from it is a plain context again, and is looked into.
    """

    __slots__ = ("scope",)

    scope: Scope


class Node:
    """A span of ours, begun; :meth:`end` it once, in the thread or task that began it where it was attached."""

    __slots__ = ("_token", "context", "scope", "span")

    def __init__(self, span: Span, context: Context, scope: Scope) -> None:
        self.span = span
        self.context = context
        self.scope = scope
        self._token: Token[Context] | None = None

    @property
    def span_context(self) -> SpanContext:
        """The span's context; invalid where nothing is recorded."""
        return self.span.get_span_context()

    @property
    def id(self) -> str | None:
        """The node id, or None where nothing is recorded."""
        return id_of(self.span.get_span_context())

    def attach(self) -> Node:
        """Make this node the current one, until :meth:`end`."""
        self._token = _attach(self.context)
        return self

    def end(self, error: BaseException | None = None) -> None:
        """End the span, as failed where ``error`` is given and is one; never raises."""
        try:
            if error is not None:
                mark_failed(self.span, error)
            self.span.end()
        finally:
            if self._token is not None:
                detach(self._token)
                self._token = None

    def abandon(self) -> bool:
        """Let it be as if it had never begun: the span is not ended, so no exporter gets it.

        Only where nobody knows of it yet: it has children neither, nor has its start record been sent.
        """
        started = getattr(self.span, "start_time", None)
        if self.scope.has_children or started is None or time.time_ns() - started > _ABANDONED_WITHIN_NANO:
            return False
        self.span.set_attribute(semconv.ABANDONED, True)  # noqa: FBT003 - an attribute's value
        self.leave()
        return True

    def leave(self) -> None:
        """Let what was current before :meth:`attach` be so again; the span goes on."""
        if self._token is not None:
            detach(self._token)
            self._token = None


class _Process:
    """What the whole process shares: the parent of what has none."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.ambient: Context | None = None
        self.implicit: Callable[[], Context | None] | None = None
        self.open_workflows: dict[int, Context] = {}


_process = _Process()


def set_ambient(context: Context | None, *, implicit: Callable[[], Context | None] | None = None) -> None:
    """The parent of spans that have none: ``context``, or what ``implicit`` makes when it is first needed."""
    with _process.lock:
        _process.ambient = context
        _process.implicit = implicit


def reset() -> None:
    """Forget everything, as in a new process; for tests."""
    global _process  # noqa: PLW0603 - a process has one
    _process = _Process()
    destination.reset()
    content.reset()


def scope_of(context: Context | None = None) -> Scope | None:
    """The scope that ``context``, or else the current one, carries."""
    found = (context if context is not None else current_context()).get(_SCOPE_KEY)
    return found if isinstance(found, Scope) else None


def is_ours(context: Context) -> bool:
    """Whether the current span of ``context`` is one that :func:`start` began."""
    if type(context) is Standpoint:
        return True
    scope = context.get(_SCOPE_KEY)
    return isinstance(scope, Scope) and scope.span is context.get(_SPAN_KEY)


def mark_inner(span: Span, parent_context: Context | None) -> None:
    """Mark a span that another tracer begins within a model call of ours, as instrumentors of vendors' clients do.

    Which tracers there are nobody knows, and not all can be asked to be silent; both spans stay, and one is counted.
    """
    made_by = getattr(span, "instrumentation_scope", None)
    if made_by is None or made_by.name == semconv.SCOPE_NAME:
        return
    scope = scope_of(parent_context)
    if scope is not None and scope.kind == NodeKind.LLM:
        span.set_attribute(semconv.LLM_INNER, True)  # noqa: FBT003 - an attribute's value


def is_quiet() -> bool:
    """Whether nothing is recorded here: the context asks for no instrumentation, or what is around is not sampled."""
    current = current_context()
    if type(current) is Standpoint:
        return not current.scope.recorded
    scope = current.get(_SCOPE_KEY)
    return (isinstance(scope, Scope) and not scope.recorded) or _asks_for_silence(current)


def _asks_for_silence(context: Context) -> bool:
    return bool(context.get(_SUPPRESS_KEY) or context.get(_LEGACY_SUPPRESS_KEY))


def with_scope(context: Context, scope: Scope) -> Context:
    """``context`` carrying ``scope``."""
    return context_api.set_value(_SCOPE_KEY, scope, context)


def enclosing(*, for_workflow: bool = False) -> tuple[Context, Scope | None]:
    """The context that a new span of ours begins in, and its scope.

    A thread or task that carries no trace of its own falls back on the only open workflow of the process,
    and then on the ambient parent, so that one program is one trace. A workflow of the program's does neither:
    two that are opened side by side are two runs, and it needs no implicit one around it.
    """
    current = current_context()
    if type(current) is Standpoint:
        return current, current.scope
    scope = current.get(_SCOPE_KEY)
    span = current.get(_SPAN_KEY)
    if isinstance(scope, Scope):
        if span is not scope.span and scope.span is not None and destination.goes_elsewhere(span):
            return trace.set_span_in_context(scope.span, current), scope
        return current, scope
    if span is not None and destination.goes_elsewhere(span):
        current = trace.set_span_in_context(trace.INVALID_SPAN, current)
    fallback = _process.ambient if for_workflow else _fallback()
    if fallback is None:
        return current, None
    scope = scope_of(fallback)
    if trace.get_current_span(current).get_span_context().is_valid:
        return (with_scope(current, scope) if scope else current), scope
    return trace.set_span_in_context(trace.get_current_span(fallback), _carry(current, scope)), scope


def _carry(context: Context, scope: Scope | None) -> Context:
    return with_scope(context, scope) if scope is not None else context


def _fallback() -> Context | None:
    workflows = list(_process.open_workflows.values())
    if len(workflows) == 1:
        return workflows[0]
    if _process.ambient is None and _process.implicit is not None:
        with _process.lock:
            make, _process.implicit = _process.implicit, None
            if make is not None:
                _process.ambient = make()
    return _process.ambient


def start(
    name: str,
    node_type: str,
    node_kind: str,
    attributes: Mapping[str, Any],
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[Link] = (),
    context: Context | None = None,
    scope: Scope | None = None,
    run_id: str | None = None,
    session_id: str | None = None,
    start_time: int | None = None,
) -> Node:
    """Begin a span of ours; attach it with :meth:`Node.attach`.

    Without ``context`` it begins where the program stands. ``run_id`` is for a root that names its run;
    all others carry that of the scope.
    """
    if context is None:
        context, scope = enclosing()
    elif scope is None:
        scope = scope_of(context)
    if scope is not None:
        if scope.place is not None:
            context, scope = _placed(scope.place, node_kind, attributes, context, scope)
        scope.has_children = True
        run_id, session_id = scope.run_id, scope.session_id
    stated = {semconv.NODE_TYPE: node_type, semconv.NODE_KIND: node_kind, semconv.RUN_ID: run_id, **attributes}
    if run_id is None:
        del stated[semconv.RUN_ID]
    span = destination.tracer().start_span(name, context, kind, stated, links, start_time)
    if run_id is None:
        run_id = _named_by_trace(span)
    own = Scope(run_id, session_id, node_kind)
    own.span = span
    if scope is not None:
        own.inherit(scope)
    if node_kind == NodeKind.AGENT:
        own.in_agent = True
    if not span.is_recording() and destination.is_all_or_nothing():
        own.recorded = False
    return Node(span, _inside(context, span, own), own)


def _named_by_trace(span: Span) -> str:
    """The run of a root that names none."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    run_id = default_run_id(f"{context.trace_id:032x}")
    span.set_attribute(semconv.RUN_ID, run_id)
    return run_id


def _inside(context: Context, span: Span, scope: Scope) -> Context:
    # One copy of the context, where the two setters of the API would make four.
    inside = {**context, _SPAN_KEY: span, _SCOPE_KEY: scope}
    if type(context) is not Standpoint and _asks_for_silence(context):
        return Context(inside)
    standpoint = Standpoint(inside)
    standpoint.scope = scope
    return standpoint


def _placed(
    place: Place, node_kind: str, attributes: Mapping[str, Any], context: Context, scope: Scope
) -> tuple[Context, Scope]:
    """Where a node begins that would begin in ``scope``: a turn of the phase's own chat in the step of the moment."""
    if node_kind == NodeKind.AGENT and not scope.in_agent:
        node = place.look(node_kind, str(attributes.get(semconv.AGENT_NAME, "")))
        if node is not None:
            return with_scope(trace.set_span_in_context(node.span, context), node.scope), node.scope
    elif node_kind == NodeKind.TOOL:
        place.look(node_kind, str(attributes.get(semconv.TOOL_NAME, "")))
    return context, scope


def workflow_opened(node: Node) -> None:
    """Let threads that carry no trace fall back on ``node`` while it is the only open workflow."""
    with _process.lock:
        _process.open_workflows[id(node)] = node.context


def workflow_closed(node: Node) -> None:
    """The end of what :func:`workflow_opened` began."""
    with _process.lock:
        _process.open_workflows.pop(id(node), None)


def id_of(span_context: SpanContext) -> str | None:
    """The node id of a span, or None where its context is not valid."""
    if not span_context.is_valid:
        return None
    return node_id(f"{span_context.trace_id:032x}", f"{span_context.span_id:016x}")


def detach(token: Token[Context]) -> None:
    """Detach; silently where the block ends in another context than it began in (an abandoned generator)."""
    try:
        _detach(token)  # the public one logs an error instead
    except ValueError:
        return
