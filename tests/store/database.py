"""What a database holds, to be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, inspect, text


def rows(engine: Engine, shape: dict[str, Any]) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {
            table: sorted(
                (tuple(row) for row in connection.execute(text(f"SELECT {', '.join(columns)} FROM {table}"))), key=repr
            )
            for table, columns in shape.items()
        }


def shape(engine: Engine) -> dict[str, dict[str, Any]]:
    return {
        table: {
            column["name"]: (str(column["type"]), column["nullable"], str(column["default"]).strip("'"))
            for column in sorted(columns, key=lambda column: column["name"])
        }
        for table, columns in by_table(inspect(engine).get_multi_columns()).items()
    }


def everything(engine: Engine) -> Any:
    inspector = inspect(engine)
    return (
        shape(engine),
        sorted(inspector.get_view_names()),
        {
            table: sorted(index["name"] or "" for index in indexes)
            for table, indexes in by_table(inspector.get_multi_indexes()).items()
        },
        {
            table: sorted((key["constrained_columns"], key["referred_table"]) for key in keys)
            for table, keys in by_table(inspector.get_multi_foreign_keys()).items()
        },
        by_table(inspector.get_multi_check_constraints()),
    )


def by_table(found: Mapping[tuple[str | None, str], Any]) -> dict[str, Any]:
    """What was read of all tables at once, which is far quicker than one by one."""
    return {table: things for (_, table), things in sorted(found.items())}
