"""The ledger: the one system of record."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

import pyarrow as pa
import sqlalchemy as sa

from features.errors import AgreementError, StoreError, UnknownError, nearest
from features.ledger import reading
from features.ledger.apply import check
from features.ledger.engine import Engines, connect
from features.ledger.letters import list_letters
from features.ledger.migrate import migrate
from features.ledger.records import Batch, Head, Receipt, StoredDeadLetter, now_micros
from features.ledger.tables import settings
from features.ledger.transaction import Position
from features.ledger.writer import Writer
from features.schema import TABLES

EMAIL_KEY_VARIABLE = "SMARKETING_EMAIL_KEY"


class Ledger:
    """A store of everything that was learnt of accounts, with two clocks on every fact.

    Open one in each process with `Ledger.open`, and close it, or use it as a context manager. Any thread may use it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Ledger.open(f"{folder}/market.db") as ledger:
    ...     ledger.append(Batch({"accounts": [{"account_id": "a-1"}]})).accepted
    1
    """

    def __init__(self, engines: Engines, clock: Callable[[], int]) -> None:
        self._engines = engines
        self._writer = Writer(engines, clock)

    @classmethod
    def open(
        cls, store: str | os.PathLike[str], *, clock: Callable[[], int] = now_micros, must_exist: bool = False
    ) -> Self:
        """Open a store, make it when it is not there, and bring its tables to this version.

        Parameters
        ----------
        store : str or path
            A database file, or a SQLAlchemy DSN.
        clock : callable
            The time now, in microseconds since the epoch.
        must_exist : bool, default=False
            Whether a store that is not there is refused instead of made: for those who only want to read.

        Raises
        ------
        StoreError
            When it is no store, can not be written, or is of a newer version than this program.
        UnknownError
            When it must exist and does not.
        """
        engines = connect(os.fspath(store))
        if must_exist and not engines.path.exists():
            raise UnknownError(f"There is no store {engines.path}.", hint="smarketing ingest FILE... makes one.")
        try:
            with _failures(engines):
                migrate(engines)
        except StoreError:
            engines.close()
            raise
        return cls(engines, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish appends under way and close the store."""
        self._writer.close()
        self._engines.close()

    @property
    def commits(self) -> int:
        """Transactions committed by this process: fewer than appends when many wait at once."""
        return self._writer.commits

    def append(self, batch: Batch) -> Receipt:
        """Store a batch in one transaction and return its receipt after the commit.

        Raises
        ------
        UnknownError
            When the batch names a table that can not be appended to.
        StoreError
            When the store can not be written; nothing of the batch is stored then.
        """
        check(batch)
        return self._writer.append(batch)

    def head(self) -> Head:
        """Return where the ledger stands."""
        with self._reading() as connection:
            position = Position.read(connection)
        return Head(position.seq, position.known_at)

    def account_seq(self, account_id: str) -> int | None:
        """Return the position of the last change that concerns an account; None when the account is unknown."""
        return self.account_seqs([account_id]).get(account_id)

    def any_account(self) -> str | None:
        """Return the id of some account that has rows; None in an empty ledger."""
        with self._reading() as connection:
            return reading.any_account(connection)

    def account_seqs(self, account_ids: Sequence[str]) -> dict[str, int]:
        """Return the position of the last change that concerns each of these accounts; unknown ones are left out."""
        with self._reading() as connection:
            return reading.account_seqs(connection, account_ids)

    def account_tables(self, *account_ids: str, at: int | None = None) -> dict[str, pa.Table]:
        """Return what the evaluators read of one account, or of some together.

        Parameters
        ----------
        account_ids : str
            Some hundreds at most.
        at : int, default=None
            Position of the ledger as of which it is read; the present one unless given.

        Returns
        -------
        dict of str to Table
            `account_touches`, `deals`, `stage_changes`, `attributes` (of the accounts, and of everyone who has a touch
            with one or was ever employed by it), `fx_rates`, `accounts`; without rows that are never visible. Unknown
            accounts have none.
        """
        with self._reading() as connection:
            return reading.account_tables(connection, account_ids, at)

    def deal_rows(self, *deal_ids: str) -> pa.Table:
        """Return all visible rows of some deals: of one that moved, those of its former account too."""
        with self._reading() as connection:
            return reading.deal_rows(connection, deal_ids)

    def tables(self, *, at: int | None = None) -> dict[str, pa.Table]:
        """Return what the evaluators read of all accounts, as in `account_tables`."""
        with self._reading() as connection:
            return reading.tables(connection, at)

    def export(self, table: str) -> pa.Table:
        """Return a table of the contract as stored, with every revision, in the order of the ledger.

        Raises
        ------
        UnknownError
            When there is no such table.
        """
        if table not in TABLES:
            raise UnknownError(f"There is no table {table!r}.{nearest(table, TABLES)} Allowed: {', '.join(TABLES)}.")
        with self._reading() as connection:
            return reading.export(connection, table)

    def dead_letters(
        self, *, batch: str | None = None, resolved: bool = False, after: int = 0, limit: int | None = None
    ) -> list[StoredDeadLetter]:
        """Return rows that were refused, oldest first.

        Parameters
        ----------
        batch : str, default=None
            Only those of this file or request.
        resolved : bool, default=False
            Also those that are settled.
        after : int, default=0
            Only those with a greater id: the last id of the page before.
        limit : int, default=None
            All of them.
        """
        with self._reading() as connection:
            return list_letters(connection, batch=batch, resolved=resolved, after=after, limit=limit)

    def email_key(self) -> bytes:
        """Return the 32 secret bytes under which e-mail addresses are hashed.

        They are made with the store; the environment variable `SMARKETING_EMAIL_KEY` (64 hex digits) goes first.

        Raises
        ------
        AgreementError
            When the variable is set to something else.
        """
        given = os.environ.get(EMAIL_KEY_VARIABLE)
        if given:
            with contextlib.suppress(ValueError):
                if len(key := bytes.fromhex(given)) == 32:
                    return key
            raise AgreementError(f"{EMAIL_KEY_VARIABLE} must be 64 hexadecimal digits. Got {len(given)} characters.")
        with self._reading() as connection:
            stored = sa.select(settings.c.value).where(settings.c.name == "email_key")
            return bytes.fromhex(connection.execute(stored).scalar_one())

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """Read one moment of the store."""
        with _failures(self._engines), self._engines.reader.connect() as connection, connection.begin():
            yield connection


@contextlib.contextmanager
def _failures(engines: Engines) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise StoreError(f"The store {engines.path} can not be used: {error.orig}.") from error
