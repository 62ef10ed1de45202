"""Runs: listing them with their figures, and finding the one that a name means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, and_, bindparam, case, cast, func, or_, select

from cmbagent_otel.errors import UnknownRunError
from cmbagent_otel.query.graph import RUN, run_row
from cmbagent_otel.query.rows import RunRow
from cmbagent_otel.query.view import ENDED, NOT_STARTED, STALE, STALE_AFTER_SECONDS
from cmbagent_otel.semconv import NodeType, Status
from cmbagent_otel.spans.record import default_run_id
from cmbagent_otel.store.schema import dag_nodes, workflow_runs

LAST = "last"
"""The name of the run that started last."""

_CANDIDATES = 5
_nodes, _runs = dag_nodes.c, workflow_runs.c


class RunSummary(NamedTuple):
    """A run and its figures, as a list shows them; the figures are those of the read model's totals."""

    run: RunRow
    nodes: int
    steps: int
    redos: int
    llm_calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unknown_costs: int
    news_unix_nano: int | None

    def status(self, now_unix_nano: int) -> str:
        """The run's status, or ``stale`` where it goes on by its row and has had no news for long."""
        silent = self.silent_seconds(now_unix_nano)
        return STALE if silent > STALE_AFTER_SECONDS else self.run.status

    def silent_seconds(self, now_unix_nano: int) -> float:
        """How long a run that goes on has had no news; 0 for one that has ended."""
        if self.run.status in ENDED | NOT_STARTED or self.news_unix_nano is None:
            return 0.0
        return max(0, now_unix_nano - self.news_unix_nano) / 1e9

    def seconds(self, now_unix_nano: int) -> float | None:
        """From the start to the end, or to now."""
        if self.run.started_unix_nano is None:
            return None
        end = self.run.completed_unix_nano
        if end is None:
            end = now_unix_nano if self.run.status not in ENDED else self.news_unix_nano or now_unix_nano
        return max(0, end - self.run.started_unix_nano) / 1e9


def _total(condition: Any) -> Any:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


_LLM = _nodes.node_type == NodeType.LLM
FIGURES: Select[Any] = (
    select(
        _nodes.run_id,
        func.count(),
        _total(_nodes.node_type == NodeType.STEP),
        _total(_nodes.node_type == NodeType.BRANCH_POINT),
        _total(_LLM),
        cast(func.coalesce(func.sum(_nodes.input_tokens), 0), BigInteger),
        cast(func.coalesce(func.sum(_nodes.output_tokens), 0), BigInteger),
        func.coalesce(func.sum(_nodes.cost_usd), 0.0),
        _total(and_(_LLM, _nodes.status == Status.COMPLETED, _nodes.cost_usd.is_(None))),
        func.max(_nodes.start_time_unix_nano),
        func.max(_nodes.end_time_unix_nano),
    )
    .where(_nodes.run_id.in_(bindparam("run_ids", expanding=True)))
    .group_by(_nodes.run_id)
)

_failed = and_(
    _nodes.run_id.in_(bindparam("run_ids", expanding=True)),
    # Written so that the index of status can't serve it: of one run a few rows have failed, of all runs very many.
    func.coalesce(_nodes.status, "") == Status.FAILED,
    _nodes.node_type != NodeType.SPAN,
)
# The ancestors of what has failed: an error counts where it happened, not where it was raised to.
_raised_to = (
    select(_nodes.parent_node_id.label("id"))
    .where(_failed, _nodes.parent_node_id.is_not(None))
    .cte("raised_to", recursive=True)
)
# The root's parent, NULL, finds nothing further: a condition here would make SQLite filter the whole table first.
_raised_to = _raised_to.union(select(_nodes.parent_node_id).where(_nodes.id == _raised_to.c.id))

ERRORS: Select[Any] = (
    select(_nodes.run_id, func.count())
    .where(_failed, _nodes.id.not_in(select(_raised_to.c.id).where(_raised_to.c.id.is_not(None))))
    .group_by(_nodes.run_id)
)

LIST: Select[Any] = (
    select(*RUN.selected_columns)
    .order_by(_runs.started_at.desc().nulls_last(), _runs.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)

EXACT: Select[Any] = select(_runs.id).where(_runs.id == bindparam("name"))
BY_TASK: Select[Any] = select(_runs.id).where(_runs.meta["task_id"].as_string() == bindparam("name")).limit(2)
BY_PREFIX: Select[Any] = (
    select(_runs.id, _runs.mode, _runs.started_at)
    .where(_runs.id.like(bindparam("pattern"), escape="\\"))
    .order_by(_runs.started_at.desc().nulls_last(), _runs.id)
    .limit(_CANDIDATES + 1)
)
NEWEST: Select[Any] = select(_runs.id).order_by(_runs.started_at.desc().nulls_last(), _runs.id).limit(1)

STATEMENTS: Mapping[str, tuple[Select[Any], str]] = {
    "figures of runs": (FIGURES, "dag_nodes by run"),
    "errors of runs": (ERRORS, "dag_nodes by run"),
    "run by its id": (EXACT, "workflow_runs primary key"),
}
"""Statements of this module that grow with the nodes, with the index meant for each; the others read only runs."""


def list_runs(
    connection: Connection,
    *,
    status: str | None = None,
    mode: str | None = None,
    text: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[RunSummary]:
    """Runs, those that started last first.

    Args:
        connection: to the database.
        status: only runs of this status.
        mode: only runs of this workflow.
        text: only runs with this in their task, id or workflow's name, in any case.
        limit: at most so many.
        offset: without the first so many.
    """
    statement = LIST
    if status is not None:
        statement = statement.where(_runs.status == status)
    if mode is not None:
        statement = statement.where(_runs.mode == mode)
    if text:
        statement = statement.where(
            or_(*(column.icontains(text, autoescape=True) for column in (_runs.task_description, _runs.id, _runs.mode)))
        )
    runs = [run_row(row) for row in connection.execute(statement, {"limit": limit, "offset": offset})]
    if not runs:
        return []
    these = {"run_ids": [run.id for run in runs]}
    figures = {row[0]: tuple(row)[1:] for row in connection.execute(FIGURES, these)}
    errors = {row[0]: row[1] for row in connection.execute(ERRORS, these)}
    return [_summary(run, figures.get(run.id, _NO_FIGURES), errors.get(run.id, 0)) for run in runs]


_NO_FIGURES = (0, 0, 0, 0, 0, 0, 0.0, 0, None, None)


def _summary(run: RunRow, figures: Any, errors: int) -> RunSummary:
    nodes, steps, redos, calls, read, written, cost, unknown, last_start, last_end = figures
    heard = (run.heartbeat_unix_nano, run.started_unix_nano, run.completed_unix_nano, last_start, last_end)
    return RunSummary(
        run=run,
        nodes=int(nodes),
        steps=int(steps),
        redos=int(redos),
        llm_calls=int(calls),
        errors=int(errors),
        input_tokens=int(read),
        output_tokens=int(written),
        cost_usd=float(cost),
        unknown_costs=int(unknown),
        news_unix_nano=max((moment for moment in heard if moment is not None), default=None),
    )


def resolve_run(connection: Connection, name: str) -> str:
    """The id of the run that ``name`` means.

    Args:
        connection: to the database.
        name: a run's id, the beginning of one, a trace id, CMBAgent's task id, or ``last``.

    Raises:
        UnknownRunError: none answers to it, or more than one does; the message names the nearest.
    """
    name = name.strip()
    if name == LAST:
        newest = connection.execute(NEWEST).scalar()
        if newest is None:
            raise UnknownRunError(
                "There are no runs yet. Trace a program with `cmbagent-otel run SCRIPT`, then look again."
            )
        return str(newest)
    for exact in dict.fromkeys((name, name.lower(), _from_trace_id(name))):
        found = connection.execute(EXACT, {"name": exact}).scalar()
        if found is not None:
            return str(found)
    by_task = list(connection.execute(BY_TASK, {"name": name}).scalars())
    if len(by_task) == 1:
        return str(by_task[0])
    return _by_prefix(connection, name)


def _by_prefix(connection: Connection, name: str) -> str:
    pattern = re.sub(r"([\\%_])", r"\\\1", name.lower()) + "%"
    rows = connection.execute(BY_PREFIX, {"pattern": pattern}).all() if name else []
    if len(rows) == 1:
        return str(rows[0].id)
    if not rows:
        newest = connection.execute(LIST, {"limit": _CANDIDATES, "offset": 0}).all()
        known = ", ".join(f"{row.id[:8]} ({row.mode})" for row in newest)
        hint = f"The newest are {known}; `cmbagent-otel runs` lists all." if known else "There are no runs yet."
        raise UnknownRunError(f"No run answers to {name!r}. {hint}")
    more = ", ..." if len(rows) > _CANDIDATES else ""
    names = ", ".join(f"{row.id} ({row.mode})" for row in rows[:_CANDIDATES])
    raise UnknownRunError(f"More than one run begins with {name!r}: {names}{more}. Write more of its id.")


def _from_trace_id(name: str) -> str:
    return default_run_id(name.lower()) if re.fullmatch(r"[0-9a-fA-F]{32}", name) else name
