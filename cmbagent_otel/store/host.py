"""Beside a host's own Alembic: what its autogenerate shall not see."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table

from cmbagent_otel.store.adopt import ADDED
from cmbagent_otel.store.migrate import VERSION_TABLE
from cmbagent_otel.store.schema import metadata


def is_ours(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:  # noqa: FBT001
    """Whether this is there because of us, so that the host's models need not know it.

    The arguments are those of Alembic's ``include_object``. What the host's models have as well is the host's, but for
    the ``NOT NULL`` of ``dag_nodes.depth``.
    """
    if kind == "column" and (thing.table.name, name) == ("dag_nodes", "depth"):
        return True
    if not reflected or compare_to is not None:
        return False
    if kind == "table":
        return name in {*metadata.tables, ADDED.name, VERSION_TABLE}
    table = metadata.tables.get(thing.table.name)
    return table is not None and name in _names(table, kind, thing)


def _names(table: Table, kind: str, thing: Any) -> set[str | None]:
    if kind == "column":
        return set(table.columns.keys())
    if kind == "index":
        return {str(index.name) for index in table.indexes}
    referring = {key.parent.name for key in table.foreign_keys}
    # A key that came with a column bears the name that the database gave it, or none.
    return {thing.name} if kind == "foreign_key_constraint" and set(thing.columns.keys()) <= referring else set()
