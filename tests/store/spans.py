"""Short ways to say spans, for tests that tell one thing each."""

from __future__ import annotations

from typing import Any

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind, NodeType
from cmbagent_otel.spans.record import SpanRecord, node_id

TRACE = "00000000000000aa00000000000000aa"
SECOND = 1_000_000_000


def span(
    number: int,
    parent: int | None = None,
    kind: str = NodeKind.LLM,
    *,
    trace: str = TRACE,
    at: int | None = None,
    ended: bool = True,
    run: str | None = "run",
    name: str = "",
    remote: bool = False,
    owner: str | None = None,
    **stated: Any,
) -> SpanRecord:
    """A span of one second; keywords are attributes under their semconv names in lower case."""
    start = (number if at is None else at) * SECOND
    attributes: dict[str, Any] = {semconv.NODE_TYPE: kind, semconv.NODE_KIND: kind}
    if run is not None:
        attributes[semconv.RUN_ID] = run
    attributes |= {getattr(semconv, key.upper()): value for key, value in stated.items()}
    return SpanRecord(
        trace,
        f"{number:016x}",
        None if parent is None else f"{parent:016x}",
        name or f"{kind} {number}",
        "INTERNAL",
        start,
        start + SECOND if ended else None,
        "UNSET",
        "",
        attributes,
        resource={} if owner is None else {semconv.SERVICE_INSTANCE_ID: owner},
        parent_is_remote=remote,
    )


def redo(number: int, parent: int | None, step: int, attempt: int, **options: Any) -> SpanRecord:
    """A redo of a step; it names its source or previous attempt only where ``options`` do."""
    return span(
        number,
        parent,
        NodeKind.STEP,
        node_type=NodeType.BRANCH_POINT,
        step_number=step,
        step_attempt=attempt,
        redo_number=attempt - 1,
        redo_branch_name=f"redo_{attempt - 1}",
        **options,
    )


def id_of(number: int, trace: str = TRACE) -> str:
    """The node id of :func:`span` ``number``."""
    return node_id(trace, f"{number:016x}")
