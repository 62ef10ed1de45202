"""Alembic's environment: runs on the connection that :mod:`cmbagent_otel.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from cmbagent_otel.store.schema import metadata

VERSION_TABLE = "cmbagent_otel_version"

if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.attributes["dialect"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        literal_binds=True,
        output_buffer=context.config.output_buffer,
    )
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,
    )
with context.begin_transaction():
    context.run_migrations()
