"""Runs, sessions and steps: what their nodes say, whenever those come.

A run's mode, task, session, agent, model and start are those of its earliest root, its status and end those of its
latest. A row that somebody else has made gets its empty columns filled, and nothing overwritten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, exists, func
from sqlalchemy import select as sql_select

from cmbagent_otel.graph import sanitize
from cmbagent_otel.semconv import SCOPE_NAME, Status
from cmbagent_otel.store.locks import lock_sessions
from cmbagent_otel.store.rank import FINAL, OPEN
from cmbagent_otel.store.rows import moment
from cmbagent_otel.store.schema import (
    cost_records,
    dag_nodes,
    execution_events,
    files,
    sessions,
    workflow_runs,
    workflow_steps,
)
from cmbagent_otel.store.select import json_object, select

RECORDER = "recorder"
"""The key of ``meta`` by which rows of runs and sessions are known as ours."""
UNKNOWN = "unknown"
DRAFT, EXECUTING = "draft", "executing"
"""CMBAgent's words for a run of which no root is known yet, and for one that is under way."""
_AS_STORED: Mapping[str, str] = {}
_LONG_AGO = datetime(1970, 1, 1)  # noqa: DTZ001 - CMBAgent's columns have no zone

_ROOTS = """
, edge(run_id, first_id, last_id) AS (
  SELECT ids.id,
    (SELECT n.id FROM dag_nodes n
      WHERE n.run_id = ids.id AND n.parent_node_id IS NULL AND n.start_time_unix_nano IS NOT NULL
      ORDER BY n.start_time_unix_nano, n.span_id, n.id LIMIT 1),
    (SELECT n.id FROM dag_nodes n
      WHERE n.run_id = ids.id AND n.parent_node_id IS NULL AND n.start_time_unix_nano IS NOT NULL
      ORDER BY n.start_time_unix_nano DESC, n.span_id DESC, n.id DESC LIMIT 1)
  FROM ids)
SELECT edge.run_id, n.id = edge.first_id AS is_first, n.id = edge.last_id AS is_last, n.agent, n.status,
       n.start_time_unix_nano, n.end_time_unix_nano, {meta} AS meta
  FROM edge JOIN dag_nodes n ON n.id IN (edge.first_id, edge.last_id)"""
_STEPS = """
SELECT n.id, n.run_id, n.session_id, n.status, n.start_time_unix_nano, n.end_time_unix_nano, n.attempt, e.step_id,
       {meta} AS meta
  FROM ids CROSS JOIN dag_nodes n LEFT JOIN execution_events e ON e.id = n.id
 WHERE n.run_id = ids.id AND n.node_type IN ('step', 'branch_point') AND {meta.kind} = 'step'"""


def ensure_runs(connection: Connection, run_ids: Iterable[str], stated: Mapping[str, str]) -> dict[str, str]:
    """Make a row for each run that has none, and its session; returns the session of each.

    Args:
        connection: in a transaction that holds the locks of the runs.
        run_ids: the runs.
        stated: for runs whose root has just come in, the session that it names.
    """
    wanted = sorted(set(run_ids))
    found = {
        row.id: row.session_id
        for row in connection.execute(
            sql_select(workflow_runs.c.id, workflow_runs.c.session_id).where(workflow_runs.c.id.in_(wanted))
        )
    }
    missing = {run_id: stated.get(run_id, run_id) for run_id in wanted if run_id not in found}
    if missing:
        _ensure_sessions(connection, set(missing.values()))
        connection.execute(
            workflow_runs.insert(),
            [
                {
                    "id": run_id,
                    "session_id": session_id,
                    "mode": UNKNOWN,
                    "agent": UNKNOWN,
                    "model": UNKNOWN,
                    "status": DRAFT,
                    "meta": {RECORDER: SCOPE_NAME},
                }
                for run_id, session_id in missing.items()
            ],
        )
    return found | missing


def _ensure_sessions(connection: Connection, session_ids: set[str]) -> None:
    lock_sessions(connection, session_ids)
    found = connection.execute(sql_select(sessions.c.id).where(sessions.c.id.in_(sorted(session_ids)))).scalars()
    missing = sorted(session_ids - set(found))
    if missing:
        connection.execute(
            sessions.insert(),
            [
                {
                    "id": session_id,
                    "name": UNKNOWN,
                    "created_at": _LONG_AGO,
                    "last_active_at": _LONG_AGO,
                    "status": "active",
                    "meta": {RECORDER: SCOPE_NAME},
                }
                for session_id in missing
            ],
        )


class RunNow(NamedTuple):
    """A run as its roots tell it."""

    id: str
    session_id: str
    is_over: bool


def settle_runs(connection: Connection, run_ids: Iterable[str]) -> list[RunNow]:
    """Bring the rows of these runs up to what their roots say.

    ``connection`` holds the locks of the runs.
    """
    wanted = sorted(set(run_ids))
    first: dict[str, Row[Any]] = {}
    last: dict[str, Row[Any]] = {}
    for root in select(connection, wanted, _ROOTS):
        if root.is_first:
            first[root.run_id] = root
        if root.is_last:
            last[root.run_id] = root
    settled: list[RunNow] = []
    touched: set[str] = set()
    for run in connection.execute(sql_select(workflow_runs).where(workflow_runs.c.id.in_(wanted))).all():
        told = _tell(run.id, first.get(run.id), last.get(run.id))
        changes = _changes(run, told)
        settled.append(RunNow(run.id, changes.get("session_id", run.session_id), told["status"] in FINAL))
        touched.add(run.session_id)
        if "session_id" in changes:
            touched.add(changes["session_id"])
            _ensure_sessions(connection, {changes["session_id"]})
        if changes:
            connection.execute(workflow_runs.update().where(workflow_runs.c.id == run.id).values(changes))
        if "session_id" in changes:
            _move(connection, run.id, changes["session_id"])
    settle_sessions(connection, touched)
    return settled


def _tell(run_id: str, first: Row[Any] | None, last: Row[Any] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "session_id": run_id,
        "mode": UNKNOWN,
        "agent": UNKNOWN,
        "model": UNKNOWN,
        "status": DRAFT,
        "started_at": None,
        "completed_at": None,
        "task_description": None,
        "meta": {RECORDER: SCOPE_NAME},
    }
    if first is None or last is None:
        return told
    facts = json_object(first.meta)
    told["session_id"] = sanitize.identifier(str(facts.get("session_id") or run_id))
    told["mode"] = sanitize.name(str(facts.get("mode") or UNKNOWN), 50)
    told["agent"] = sanitize.name(str(first.agent or facts.get("agent") or UNKNOWN), 100)
    told["model"] = sanitize.name(str(facts.get("model") or UNKNOWN), 100)
    told["task_description"] = facts.get("task")
    told["started_at"] = moment(first.start_time_unix_nano)
    told["status"] = EXECUTING if last.status in OPEN else last.status
    if last.end_time_unix_nano is not None:
        told["completed_at"] = moment(last.end_time_unix_nano)
    told["meta"] |= {name: facts[name] for name in ("label", "owner", "service") if name in facts}
    return told


def _changes(run: Row[Any], told: Mapping[str, Any]) -> dict[str, Any]:
    stored = run._mapping  # noqa: SLF001 - the public name of a row's columns
    if not (run.meta or {}).get(RECORDER):
        return {
            name: told[name]
            for name in ("started_at", "completed_at", "task_description")
            if stored[name] is None and told[name] is not None
        }
    return {name: value for name, value in told.items() if stored[name] != value}


def _move(connection: Connection, run_id: str, session_id: str) -> None:
    for table in (workflow_steps, dag_nodes, execution_events, cost_records, files):
        connection.execute(
            table.update()
            .where(table.c.run_id == run_id, table.c.session_id != session_id)
            .values(session_id=session_id)
        )


def settle_sessions(connection: Connection, session_ids: Iterable[str]) -> None:
    """Bring the rows of these sessions up to what their runs say; those of ours without a run go."""
    wanted = sorted(set(session_ids))
    if not wanted:
        return
    lock_sessions(connection, wanted)
    stored = connection.execute(sql_select(sessions).where(sessions.c.id.in_(wanted))).all()
    ours = {row.id: row for row in stored if (row.meta or {}).get(RECORDER)}
    told: dict[str, dict[str, Any]] = {}
    active = func.coalesce(workflow_runs.c.completed_at, workflow_runs.c.started_at)
    for run in connection.execute(
        sql_select(workflow_runs.c.session_id, workflow_runs.c.mode, workflow_runs.c.started_at, active.label("active"))
        .where(workflow_runs.c.session_id.in_(list(ours)))
        .order_by(workflow_runs.c.started_at.is_(None), workflow_runs.c.started_at, workflow_runs.c.id)
    ):
        session = told.setdefault(
            run.session_id,
            {"name": run.mode, "created_at": run.started_at or _LONG_AGO, "last_active_at": run.active or _LONG_AGO},
        )
        session["last_active_at"] = max(session["last_active_at"], run.active or _LONG_AGO)
    for session_id, row in ours.items():
        if session_id not in told:
            connection.execute(delete(sessions).where(sessions.c.id == session_id))
            continue
        changes = {name: value for name, value in told[session_id].items() if getattr(row, name) != value}
        if changes:
            connection.execute(sessions.update().where(sessions.c.id == session_id).values(changes))


def remove_empty_runs(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Remove those of our runs that have no node; returns their sessions."""
    if not run_ids:
        return set()
    empty = connection.execute(
        sql_select(workflow_runs.c.id, workflow_runs.c.session_id, workflow_runs.c.meta).where(
            workflow_runs.c.id.in_(sorted(set(run_ids))), ~exists().where(dag_nodes.c.run_id == workflow_runs.c.id)
        )
    ).all()
    ours = [row for row in empty if (row.meta or {}).get(RECORDER)]
    if ours:
        connection.execute(delete(workflow_runs).where(workflow_runs.c.id.in_([row.id for row in ours])))
    return {row.session_id for row in ours}


def settle_steps(connection: Connection, run_ids: Collection[str], step_of: Mapping[str, str] = _AS_STORED) -> set[str]:
    """Bring the steps of these runs up to what their attempts say; returns their ids.

    ``step_of`` tells the steps of attempts where they are not those that their events stand under.
    """
    if not run_ids:
        return set()
    attempts: dict[str, list[Row[Any]]] = {}
    metas: dict[str, dict[str, Any]] = {}
    wanted = sorted(set(run_ids))
    for row in select(connection, wanted, _STEPS):
        metas[row.id] = json_object(row.meta)
        attempts.setdefault(step_of.get(row.id) or row.step_id or row.id, []).append(row)
    stored = {
        row.id: row
        for row in connection.execute(sql_select(workflow_steps).where(workflow_steps.c.id.in_(list(attempts))))
    }
    new = []
    for step_id, nodes in attempts.items():
        nodes.sort(key=lambda node: (node.attempt or 1, node.start_time_unix_nano or 0, node.id))
        first, last = nodes[0], nodes[-1]
        facts, latest = metas[first.id], metas[last.id]
        number = facts.get("step_number")
        summary = latest.get("summary")
        told = {
            "run_id": first.run_id,
            "session_id": first.session_id,
            "step_number": sanitize.number(number, sanitize.MAX_INTEGER) if isinstance(number, int) else 0,
            "goal": str(facts.get("goal") or facts.get("label") or ""),
            "summary": None if summary is None else str(summary),
            "status": last.status,
            "started_at": None if first.start_time_unix_nano is None else moment(first.start_time_unix_nano),
            "completed_at": None if last.end_time_unix_nano is None else moment(last.end_time_unix_nano),
            "progress_percentage": 100 if last.status == Status.COMPLETED else 0,
            "meta": {"attempts": len(nodes), "last_node_id": last.id},
        }
        if step_id not in stored:
            new.append({"id": step_id, **told})
        else:
            changes = {name: value for name, value in told.items() if getattr(stored[step_id], name) != value}
            if changes:
                connection.execute(workflow_steps.update().where(workflow_steps.c.id == step_id).values(changes))
    if new:
        connection.execute(workflow_steps.insert(), new)
    return set(attempts)
