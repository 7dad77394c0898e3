"""The one place that knows which database is underneath: SQLite, in write-ahead mode, durable at every commit.

Another database needs its own `connect`: two engines, and a lock that lets one writer in at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from features.errors import StoreError

_SQLITE_MAGIC = b"SQLite format 3\0"
_BUSY_SECONDS = 30
_PRAGMAS = ("foreign_keys=OFF", "temp_store=MEMORY", "cache_size=-65536")
_WRITER_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4000")


@dataclass(frozen=True)
class Engines:
    """Ways into one store.

    Parameters
    ----------
    path : Path
        The database file.
    reader : Engine
        Connections that can not write; each transaction sees one moment of the store.
    writer : Engine
        Connections whose transactions hold the database's write lock from their first statement.
    """

    path: Path
    reader: sa.Engine
    writer: sa.Engine

    @contextlib.contextmanager
    def write_lock(self) -> Iterator[None]:
        """Wait in the kernel's queue for the right to write, among threads and processes, and hold it.

        SQLite's own waiting is by polling, and starves one of several busy writers for seconds.
        """
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close every pooled connection."""
        self.reader.dispose()
        self.writer.dispose()


def connect(store: str) -> Engines:
    """Return engines for a store given as a path or as a SQLAlchemy DSN.

    Raises
    ------
    StoreError
        When the address is not one of a database file that can be read and written.
    """
    path = _path(store)
    _check(path)
    url = sa.URL.create("sqlite", database=str(path))
    arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
    reader = sa.create_engine(url, connect_args=arguments, poolclass=QueuePool, pool_size=8, max_overflow=32)
    writer = sa.create_engine(url, connect_args=arguments, poolclass=QueuePool, pool_size=1, max_overflow=1)
    _prepare(reader, "BEGIN", (*_PRAGMAS, "query_only=ON"))
    _prepare(writer, "BEGIN IMMEDIATE", (*_WRITER_PRAGMAS, *_PRAGMAS))
    return Engines(path, reader, writer)


def _path(store: str) -> Path:
    if "://" not in store:
        return Path(store).absolute()
    try:
        url = sa.make_url(store)
    except sa.exc.ArgumentError as error:
        raise StoreError(f"The store address {store!r} can not be read. Give a file, or sqlite:///file.") from error
    if url.get_backend_name() != "sqlite":
        raise StoreError(
            f"Stores of kind {url.get_backend_name()!r} are not supported by this version. Allowed: a file, or sqlite:///file."
        )
    if not url.database or url.database == ":memory:":
        raise StoreError("A store must be a file, so that readers and other processes see it. Got a store in memory.")
    return Path(url.database).absolute()


def _check(path: Path) -> None:
    if path.is_dir():
        raise StoreError(f"The store must be a database file. Got the folder {path}.")
    if not path.parent.is_dir():
        raise StoreError(f"The store {path} can not be made: there is no folder {path.parent}.")
    if not path.exists():
        if not os.access(path.parent, os.W_OK):
            raise StoreError(f"The store {path} can not be made: no permission to write in {path.parent}.")
        return
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        raise StoreError(f"The store {path} can not be used: no permission to read and write it and its folder.")
    with path.open("rb") as file:
        start = file.read(len(_SQLITE_MAGIC))
    if start and start != _SQLITE_MAGIC:
        raise StoreError(f"The store {path} is not a database: it does not begin as one.")


def _prepare(engine: sa.Engine, begin: str, pragmas: tuple[str, ...]) -> None:
    """Take transactions out of the driver's hands, and set every new connection up."""

    @event.listens_for(engine, "connect")
    def _connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)
