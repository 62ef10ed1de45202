"""The views, one SQL file each, or one for each database. ``@name`` stands for what the two spell differently."""

from __future__ import annotations

from importlib.resources import files

VIEWS = ("dag_tree", "dag_steps", "step_events", "run_summary", "redo_chain")
"""In the order of their making; ``redo_chain`` and the others read tables only."""

_SPELLINGS = {
    "sqlite": {
        "@run_wall_seconds": "CAST((MAX(n.end_time_unix_nano) - MIN(n.start_time_unix_nano)) AS REAL) / 1000000000",
        "@meta_kind": "json_extract(n.meta, '$.kind')",
        "@meta_step_number": "json_extract(n.meta, '$.step_number')",
        "@meta_branch_name": "json_extract(n.meta, '$.branch_name')",
        "@meta_hypothesis": "json_extract(n.meta, '$.hypothesis')",
        "@meta_reason": "json_extract(n.meta, '$.reason')",
        "@meta_source": "json_extract(n.meta, '$.source_node_id')",
        "@meta_goal": "json_extract(n.meta, '$.goal')",
    },
    "postgresql": {
        "@run_wall_seconds": (
            "CAST(MAX(n.end_time_unix_nano) - MIN(n.start_time_unix_nano) AS double precision) / 1000000000"
        ),
        "@meta_kind": "(n.meta ->> 'kind')",
        "@meta_step_number": "CAST(n.meta ->> 'step_number' AS integer)",
        "@meta_branch_name": "(n.meta ->> 'branch_name')",
        "@meta_hypothesis": "(n.meta ->> 'hypothesis')",
        "@meta_reason": "(n.meta ->> 'reason')",
        "@meta_source": "(n.meta ->> 'source_node_id')",
        "@meta_goal": "(n.meta ->> 'goal')",
    },
}


def create_view(name: str, dialect: str) -> str:
    """The statement that makes the view ``name`` in that dialect."""
    folder = files("cmbagent_otel.store").joinpath("sql")
    own = folder.joinpath(f"{name}.{dialect}.sql")
    statement = (own if own.is_file() else folder.joinpath(f"{name}.sql")).read_text()
    for mark, spelling in _SPELLINGS[dialect].items():
        statement = statement.replace(mark, spelling)
    return statement.strip().rstrip(";")
