"""Versions of the store's tables, for alembic."""
