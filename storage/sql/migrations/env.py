"""Alembic's environment: runs on the connection that `storage.sql.upgrade` hands over."""

from alembic import context

from storage.sql.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
