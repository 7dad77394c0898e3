"""What the parts of one append share: the connection, the stamp, the position, and what has changed so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from features.ledger.records import Rejection
from features.ledger.tables import head

_READ = sa.select(head.c.ledger_seq, head.c.known_at)
_WRITE = sa.update(head).values(ledger_seq=sa.bindparam("seq"), known_at=sa.bindparam("at"))


@dataclass
class Position:
    """Where the ledger stands inside a transaction.

    Parameters
    ----------
    seq : int
        Last position given out.
    known_at : int
        Newest moment, not after now, at which something became known.
    """

    seq: int
    known_at: int

    @classmethod
    def read(cls, connection: sa.Connection) -> Position:
        """Return the position of the last commit."""
        seq, known_at = connection.execute(_READ).one()
        return cls(seq, known_at)

    def write(self, connection: sa.Connection) -> None:
        """Store the position."""
        connection.execute(_WRITE, {"seq": self.seq, "at": self.known_at})


@dataclass
class Transaction:
    """One append under way.

    Parameters
    ----------
    connection : Connection
        Inside a transaction that holds the write lock.
    position : Position
    stamp : int
        When what arrives without a time of its own is known from. It never goes back, though clocks do.
    backfill : bool
        Whether rows without `known_at` were known when they happened.
    """

    connection: sa.Connection
    position: Position
    stamp: int
    backfill: bool
    accepted: int = 0
    duplicates: int = 0
    corrected: int = 0
    unattached: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    """Accounts whose features may be different from now on."""
    named: dict[str, int | None] = field(default_factory=dict)
    """Accounts that rows name, with the earliest time at which they do."""

    def next_seq(self, known_at: int | None = None) -> int:
        """Give out a position to a row, known from that moment; what is known only later moves the head no further."""
        self.position.seq += 1
        if known_at is not None and self.position.known_at < known_at <= self.stamp:
            self.position.known_at = known_at
        return self.position.seq

    def reject(self, table: str, index: int, field: str, code: str, message: str) -> None:
        """Refuse one row."""
        self.rejected.append(Rejection(table, index, field, code, message))

    def name_account(self, account_id: str, at: int | None) -> None:
        """Note that a row names an account."""
        before = self.named.get(account_id)
        if before is None or (at is not None and at < before):
            self.named[account_id] = at
