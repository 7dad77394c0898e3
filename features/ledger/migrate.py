"""Brings a store's tables to this version."""

from __future__ import annotations

import secrets
from pathlib import Path

import sqlalchemy as sa

from features.errors import StoreError
from features.ledger.engine import Engines
from features.ledger.tables import settings

HEAD = "0002"
"""Newest version of the tables, the last file in `migrations/versions`."""

VERSION_TABLE = "ledger_version"
"""Where a store keeps its version. A name of our own, so that another program's database is never taken for a store."""


def migrate(engines: Engines) -> None:
    """Make or upgrade the tables, and the secret key of a new store.

    Raises
    ------
    StoreError
        When the store is of a newer version, or the database of another program.
    """
    with engines.reader.connect() as connection:
        if _version(connection, engines.path) == HEAD:
            return
    with engines.write_lock(), engines.writer.begin() as connection:
        version = _version(connection, engines.path)
        if version == HEAD:
            return
        _upgrade(connection)
        if version is None:
            connection.execute(sa.insert(settings).values(name="email_key", value=secrets.token_hex(32)))


def _version(connection: sa.Connection, path: Path) -> str | None:
    tables = sa.inspect(connection).get_table_names()
    if VERSION_TABLE not in tables:
        if tables:
            raise StoreError(f"The database {path} belongs to another program: it has tables, but no {VERSION_TABLE}.")
        return None
    stored: sa.Select[str] = sa.select(sa.column("version_num", sa.Text)).select_from(sa.table(VERSION_TABLE))
    version = connection.execute(stored).scalar_one()
    if version > HEAD:
        raise StoreError(
            f"The store {path} is of version {version}, newer than the {HEAD} of this program.",
            hint="Use a newer smarketing, or another store.",
        )
    return version


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, table=VERSION_TABLE)
    command.upgrade(config, HEAD)
