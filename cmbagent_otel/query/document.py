"""The view as JSON, schema 1. Flat: a node names its parent, so that no reader needs recursion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from cmbagent_otel.query.runs import RunSummary
from cmbagent_otel.query.totals import Totals
from cmbagent_otel.query.view import Node, RunView
from cmbagent_otel.query.words import iso

SCHEMA = 1
"""Raised when a field changes its meaning or goes; a new field does not raise it."""


def run_document(view: RunView) -> dict[str, Any]:
    """All of a run but its content: head, steps, nodes in drawing order, edges."""
    return {
        "schema": SCHEMA,
        "run": _head(view),
        "steps": [
            {
                "id": step.id,
                "number": step.number,
                "label": step.label,
                "attempts": [attempt.id for attempt in step.attempts],
                "current": step.current.id,
            }
            for step in view.steps
        ],
        "nodes": [node_document(node, view) for node in view.walk()],
        "edges": [edge._asdict() for edge in view.edges],
    }


def _head(view: RunView) -> dict[str, Any]:
    run = view.run
    return {
        "id": run.id,
        "session_id": run.session_id,
        "mode": run.mode,
        "task": run.task,
        "title": view.run.title,
        "status": view.status,
        "stored_status": run.status,
        "started_at": iso(view.start),
        "ended_at": iso(view.end),
        "seconds": view.seconds,
        "active_seconds": view.active_seconds,
        "last_news_at": iso(view.news_unix_nano),
        "totals": totals_document(view.totals),
        "replaced": totals_document(view.replaced),
        "now": [node.id for node in view.now],
        "hidden": view.hidden,
        "unattached": [node.id for node in view.unattached],
        "dangling_edges": view.dangling_edges,
    }


def totals_document(totals: Totals) -> dict[str, Any]:
    """Sums, with whether something unknown makes them "at least"."""
    return {
        **asdict(totals),
        "tokens_at_least": totals.unknown_tokens > 0,
        "cost_at_least": totals.unknown_costs > 0,
    }


def node_document(node: Node, view: RunView) -> dict[str, Any]:
    """One node, without those below it."""
    row = node.row
    step = node.step
    return {
        "id": row.id,
        "parent": None if node.parent is None else node.parent.id,
        "stored_parent": row.parent_node_id,
        "depth": node.depth,
        "kind": node.kind,
        "type": row.node_type,
        "label": node.label,
        "name": row.name,
        "agent": row.agent,
        "status": node.status,
        "stored_status": row.status,
        "started_at": iso(node.start),
        "ended_at": iso(node.end),
        "seconds": node.seconds(view.now_unix_nano),
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": row.cost_usd,
        "step": None if step is None else step.id,
        "step_number": None if step is None else step.number,
        "attempt": None if step is None else node.attempt,
        "replaced": node.is_replaced,
        "handed_over_by": node.handed_over_by,
        "hidden": node.hidden,
        "notes": [str(note) for note in node.notes],
        "trace_id": row.trace_id,
        "span_id": row.span_id,
        "totals": totals_document(node.totals) if node.children else None,
        "meta": dict(node.meta),
    }


def runs_document(summaries: list[RunSummary], now_unix_nano: int) -> dict[str, Any]:
    """A list of runs with their figures."""
    return {"schema": SCHEMA, "runs": [_summary(summary, now_unix_nano) for summary in summaries]}


def _summary(summary: RunSummary, now_unix_nano: int) -> dict[str, Any]:
    run = summary.run
    return {
        "id": run.id,
        "session_id": run.session_id,
        "mode": run.mode,
        "task": run.task,
        "title": summary.run.title,
        "status": summary.status(now_unix_nano),
        "stored_status": run.status,
        "started_at": iso(run.started_unix_nano),
        "ended_at": iso(run.completed_unix_nano),
        "seconds": summary.seconds(now_unix_nano),
        "last_news_at": iso(summary.news_unix_nano),
        "nodes": summary.nodes,
        "steps": summary.steps,
        "redos": summary.redos,
        "llm_calls": summary.llm_calls,
        "errors": summary.errors,
        "input_tokens": summary.input_tokens,
        "output_tokens": summary.output_tokens,
        "cost_usd": summary.cost_usd,
        "cost_at_least": summary.unknown_costs > 0,
    }


def to_json(document: Mapping[str, Any]) -> str:
    """``document`` as text, two spaces a level; what JSON has no word for becomes null or text."""
    try:
        return orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # lone surrogates, huge integers
        return json.dumps(document, default=str, indent=2)
