"""In a database that a host migrates by an Alembic chain of its own, each sees to its own things."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, MetaData, inspect

from cmbagent_otel.store import migrate
from cmbagent_otel.store.engine import open_engine
from tests.store import cmbagent_database
from tests.store.database import everything, rows, shape

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()

ENV = """
from alembic import context

{example}

given = context.config.attributes
with given["engine"].begin() as connection:
    context.configure(connection=connection, target_metadata=given["models"], include_object={include_object})
    context.run_migrations()
"""
FIRST = """
revision = "theirs"
down_revision = None

def upgrade(): pass
def downgrade(): pass
"""
SECOND = """
import sqlalchemy
from alembic import op

revision = "reports"
down_revision = "theirs"

def upgrade():
    op.create_table("reports", sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True))
    op.add_column("dag_nodes", sqlalchemy.Column("colour", sqlalchemy.String(10)))

def downgrade():
    op.drop_column("dag_nodes", "colour")
    op.drop_table("reports")
"""
TEMPLATE = """
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

def upgrade():
    ${upgrades}
"""


class Host:
    """A program with models, and a folder of revisions."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.models = MetaData()
        self.models.reflect(engine)
        (folder / "versions").mkdir(parents=True)
        (folder / "versions" / "theirs.py").write_text(FIRST)
        (folder / "script.py.mako").write_text(TEMPLATE)
        self.look_at_everything()

    def look_at_everything(self) -> None:
        self._environment("", "None")

    def leave_ours_out(self) -> None:
        (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        self._environment(example, "include_object")

    def _environment(self, example: str, include_object: str) -> None:
        (self.folder / "env.py").write_text(ENV.format(example=example, include_object=include_object))

    def write_revision(self) -> None:
        (self.folder / "versions" / "reports.py").write_text(SECOND)

    def config(self) -> Config:
        config = Config(attributes={"engine": self.engine, "models": self.models})
        config.set_main_option("script_location", str(self.folder))
        config.set_main_option("path_separator", "os")
        return config

    def differences(self) -> list[str]:
        revision = command.revision(self.config(), autogenerate=True)
        path = Path(revision.path)  # type: ignore[union-attr]
        found = [line.strip() for line in path.read_text().splitlines() if line.strip().startswith("op.")]
        path.unlink()
        return found


@pytest.fixture(params=["flat", "tree-stages"])
def host(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Host]:
    engine = open_engine(database_url)
    cmbagent_database.make(engine, request.param)
    yield Host(engine, tmp_path / "host")
    engine.dispose()


@pytest.mark.filterwarnings("ignore:Autogenerate rendered a drop_constraint:UserWarning")  # of SQLite's nameless keys
def test_autogenerate_of_the_host_makes_nothing_of_what_is_ours(host: Host) -> None:
    assert host.differences() == []
    migrate.upgrade(host.engine)
    assert any("dag_nodes" in line for line in host.differences())
    host.leave_ours_out()
    assert host.differences() == []


def test_autogenerate_of_the_host_still_sees_what_is_its_own(host: Host) -> None:
    migrate.upgrade(host.engine)
    host.leave_ours_out()
    with host.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE forgotten (id INTEGER)")
        connection.exec_driver_sql("ALTER TABLE dag_nodes ADD COLUMN forgotten INTEGER")
    host.models.tables["files"].indexes.clear()
    found = host.differences()
    assert "op.drop_table('forgotten')" in found
    assert "op.drop_column('dag_nodes', 'forgotten')" in found
    assert any("idx_files_event" in line for line in found)


def test_upgrade_and_downgrade_of_the_host_leave_ours_alone(host: Host) -> None:
    migrate.upgrade(host.engine)
    before, held = everything(host.engine), ours(host.engine)
    host.write_revision()
    command.upgrade(host.config(), "head")
    assert inspect(host.engine).has_table("reports")
    assert migrate.check(host.engine) == []
    command.downgrade(host.config(), "theirs")
    assert everything(host.engine) == before
    assert ours(host.engine) == held
    assert migrate.check(host.engine) == []


def test_our_upgrade_and_downgrade_leave_the_hosts_revision_alone(host: Host) -> None:
    host.write_revision()
    command.upgrade(host.config(), "head")
    before, held = everything(host.engine), rows(host.engine, shape(host.engine))
    migrate.upgrade(host.engine)
    assert rows(host.engine, {"alembic_version": ["version_num"]}) == {"alembic_version": [("reports",)]}
    migrate.downgrade(host.engine, "base")
    assert everything(host.engine) == before
    assert rows(host.engine, shape(host.engine)) == held


def ours(engine: Engine) -> dict[str, list[Any]]:
    names = ("cmbagent_otel_added", "cmbagent_otel_version", "run_traces")
    return rows(engine, {name: shape(engine)[name] for name in names})
