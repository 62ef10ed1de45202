"""The first tables, views, and what is missing in a database of CMBAgent's."""

from __future__ import annotations

from alembic import context, op

from cmbagent_otel.store import adopt

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    if context.is_offline_mode():
        for statement in adopt.statements(context.get_context().dialect):
            op.execute(statement)
    else:
        adopt.adopt(op.get_bind())


def downgrade() -> None:
    if context.is_offline_mode():
        for statement in adopt.drop_statements(context.get_context().dialect):
            op.execute(statement)
    else:
        adopt.release(op.get_bind())
