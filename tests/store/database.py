"""What a database holds, to be compared."""

from __future__ import annotations

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
    inspector = inspect(engine)
    return {
        table: {
            column["name"]: (str(column["type"]), column["nullable"], str(column["default"]).strip("'"))
            for column in sorted(inspector.get_columns(table), key=lambda column: column["name"])
        }
        for table in inspector.get_table_names()
    }


def everything(engine: Engine) -> Any:
    inspector = inspect(engine)
    return (
        shape(engine),
        sorted(inspector.get_view_names()),
        {table: sorted(index["name"] or "" for index in inspector.get_indexes(table)) for table in shape(engine)},
        {
            table: sorted(
                (key["constrained_columns"], key["referred_table"]) for key in inspector.get_foreign_keys(table)
            )
            for table in shape(engine)
        },
        {table: inspector.get_check_constraints(table) for table in shape(engine)},
    )
