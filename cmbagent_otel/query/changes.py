"""Whether a run has changed since it was last read, at the price of one short question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from cmbagent_otel.semconv import Status
from cmbagent_otel.store.schema import dag_nodes, workflow_runs

_nodes, _runs = dag_nodes.c, workflow_runs.c


def _number(status: str) -> Any:
    return func.count().filter(_nodes.status == status)


RUN_MARK: Select[Any] = select(
    _runs.status, _runs.started_at, _runs.completed_at, _runs.mode, _runs.task_description
).where(_runs.id == bindparam("run_id"))

NODES_MARK: Select[Any] = select(
    func.count(),
    func.count(_nodes.start_time_unix_nano),
    func.count(_nodes.end_time_unix_nano),
    func.max(_nodes.start_time_unix_nano),
    func.max(_nodes.end_time_unix_nano),
    func.count(_nodes.depth),
    *(
        _number(status)
        for status in (Status.RUNNING, Status.WAITING_APPROVAL, Status.INTERRUPTED, Status.COMPLETED, Status.FAILED)
    ),
).where(_nodes.run_id == bindparam("run_id"))

STATEMENTS: Mapping[str, tuple[Select[Any], str]] = {
    "mark of a run": (RUN_MARK, "workflow_runs primary key"),
    "mark of its nodes": (NODES_MARK, "dag_nodes by run"),
}
"""Every statement of this module with the index meant for it."""


def mark_of(connection: Connection, run_id: str) -> tuple[object, ...]:
    """Equal marks mean that nothing that a picture shows has changed; a heartbeat alone changes none."""
    run = connection.execute(RUN_MARK, {"run_id": run_id}).first()
    nodes = connection.execute(NODES_MARK, {"run_id": run_id}).first()
    return (*(run or ()), *(nodes or ()))


def data_version(connection: Connection) -> int | None:
    """A number that changes when another connection commits to this SQLite file; None on other databases.

    Two numbers compare only when both come from the same connection.
    """
    if connection.dialect.name != "sqlite":
        return None
    return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())
