"""Run by Alembic: migrate over the connection that :mod:`cmbagent_otel.store.migrate` opened."""

from __future__ import annotations

from alembic import context

from cmbagent_otel.store.migrate import VERSION_TABLE
from cmbagent_otel.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
