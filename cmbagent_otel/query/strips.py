"""How the steps of some runs went: what a list of runs shows as a strip of marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select

from cmbagent_otel.semconv import NodeType
from cmbagent_otel.store.schema import dag_nodes

_nodes = dag_nodes.c

ATTEMPTS: Select[Any] = (
    select(_nodes.run_id, _nodes.id, _nodes.meta["source_node_id"].as_string(), _nodes.status)
    .where(
        _nodes.run_id.in_(bindparam("run_ids", expanding=True)),
        _nodes.node_type.in_((NodeType.STEP, NodeType.BRANCH_POINT)),
    )
    .order_by(_nodes.run_id, _nodes.start_time_unix_nano, _nodes.id)
)

STATEMENTS: Mapping[str, tuple[Select[Any], str]] = {"attempts of runs": (ATTEMPTS, "dag_nodes by run")}
"""The statement of this module with the index meant for it."""


class StepMark(NamedTuple):
    """A step: how its last attempt went, and how many there were."""

    status: str
    attempts: int


def fetch_strips(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[StepMark]]:
    """The steps of each run, in the order of their starts."""
    strips: dict[str, dict[str, StepMark]] = {}
    if run_ids:
        for run_id, node_id, source_id, status in connection.execute(ATTEMPTS, {"run_ids": list(run_ids)}):
            steps = strips.setdefault(run_id, {})
            step = source_id or node_id
            before = steps.get(step)
            steps[step] = StepMark(status, 1 if before is None else before.attempts + 1)
    return {run_id: list(steps.values()) for run_id, steps in strips.items()}
