"""What must hold of the rows, and what to do where it does not."""

from __future__ import annotations

from cmbagent_otel.store.schema import metadata

_LOST = "take the rows from a copy of the database, or delete them"


def _orphans(table: str, column: str, target: str) -> tuple[str, str, str]:
    query = (
        f"SELECT COUNT(*) FROM {table} t WHERE t.{column} IS NOT NULL "
        f"AND NOT EXISTS (SELECT 1 FROM {target} o WHERE o.id = t.{column})"
    )
    return f"{table}.{column} names no row of {target}", query, _LOST


VERIFICATION = (
    *(
        _orphans(table.name, key.parent.name, key.column.table.name)
        for table in metadata.sorted_tables
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
    ),
    (
        "dag_nodes.depth of ours is NULL in a run that is over",
        """
        SELECT COUNT(*) FROM dag_nodes n JOIN workflow_runs r ON r.id = n.run_id
         WHERE n.depth IS NULL AND n.trace_id IS NOT NULL AND r.status IN ('completed', 'failed')
        """,
        "its ancestors never came: send the spans of that run again",
    ),
)
"""What ``db check`` counts: subject, query, what to do if it is not 0."""
