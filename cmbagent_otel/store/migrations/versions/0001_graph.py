"""The graph: CMBAgent's tables with our columns beside theirs, and the views."""

from __future__ import annotations

from alembic import op
from sqlalchemy import MetaData
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.views import VIEWS, create_view

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in metadata.sorted_tables:
        op.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.execute(CreateIndex(index))
    for name in VIEWS:
        op.execute(create_view(name, op.get_context().dialect.name))


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    known: MetaData = metadata
    for table in reversed(known.sorted_tables):
        op.execute(DropTable(table))
