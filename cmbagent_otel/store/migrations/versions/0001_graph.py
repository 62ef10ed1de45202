"""The first tables, views, and what is missing in a database of CMBAgent's.

PostgreSQL's come and go in steps of their own, so that none locks writers out: before this, and after it.
"""

from __future__ import annotations

from alembic import op

from cmbagent_otel.store import adopt_sqlite

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        adopt_sqlite.adopt(op.get_bind())


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        adopt_sqlite.release(op.get_bind())
