"""Alembic's entry: runs the migrations on the connection that `ledger.database` hands over."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, version_table="ledger_version", version_table_schema="public"
)
with context.begin_transaction():
    context.run_migrations()
