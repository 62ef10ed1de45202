"""Run by Alembic: migrate over the connection that :mod:`cmbagent_otel.store.migrate` opened, or print the SQL."""

from __future__ import annotations

from alembic import context

from cmbagent_otel.store.migrate import VERSION_TABLE
from cmbagent_otel.store.schema import metadata

given = context.config.attributes

if context.is_offline_mode():
    context.configure(
        dialect_name=given["dialect"],
        literal_binds=True,
        output_buffer=given["output"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
    )
else:
    context.configure(
        connection=given["connection"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,
    )
context.run_migrations()
