"""Every migration, up and down, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from cmbagent_otel.store import migrate
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.schema import metadata


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        names = {"cmbagent_otel_version", "cmbagent_otel_added"}
        options = {"include_name": lambda name, kind, _parents: kind != "table" or name not in names}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_an_upgraded_database_has_the_tables_of_the_code(empty: Engine) -> None:
    migrate.upgrade(empty)
    assert differences(empty) == []
    assert migrate.check(empty) == []


def test_a_downgraded_database_is_empty_again(empty: Engine) -> None:
    migrate.upgrade(empty)
    migrate.downgrade(empty, "base")
    assert inspect(empty).get_table_names() == inspect(empty).get_view_names() == []
    migrate.upgrade(empty)
    assert differences(empty) == []
