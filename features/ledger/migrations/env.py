"""Runs migrations on the connection that `features.ledger.migrate` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table=context.config.attributes["table"])
context.run_migrations()
