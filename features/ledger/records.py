"""What goes into a ledger and what comes back: batches, receipts, dead letters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

Row = Mapping[str, object]
"""One row of a table of `features.schema.TABLES`: columns by name, typed as stored.

It may also carry `revision`, `known_at` and `deleted`. A column that is absent is missing.
"""


@dataclass(frozen=True)
class DeadLetter:
    """One incoming row that could not be accepted, kept so that it can be mended and sent again.

    Parameters
    ----------
    batch : str
        File or request it came in.
    row_number : int
        Its place there, from 1.
    table : str
        Table it was meant for; empty when that is not known.
    field, code, reason : str
        Which column was at fault, the machine-readable reason (`features.errors.RowError`), and the message.
    value : str
        The offending value; the caller has hashed it when it is personal.
    raw : str
        The whole row as JSON text, enough to try again.
    """

    batch: str
    row_number: int
    table: str
    field: str
    code: str
    value: str
    reason: str
    raw: str


@dataclass(frozen=True)
class StoredDeadLetter:
    """A dead letter as listed: its id, the letter, and when it came and was settled (`None`: still open)."""

    id: int
    letter: DeadLetter
    created_at: int
    resolved_at: int | None


@dataclass(frozen=True)
class Rejection:
    """A row of a batch that the ledger refused, by table and place in that table's rows."""

    table: str
    index: int
    field: str
    code: str
    message: str


@dataclass(frozen=True)
class Batch:
    """Rows that are appended in one transaction.

    Parameters
    ----------
    rows : mapping of str to sequence of Row
        Validated rows by table name.
    backfill : bool, default=False
        Rows without `known_at` were known when they happened (*assumed*), instead of now.
    dead : sequence of DeadLetter
        Rows refused before they reached the ledger, stored in the same transaction.
    resolves : sequence of int
        Ids of dead letters that this batch settles.
    scores : sequence of tuple
        Scores given, in the order of the columns of that table. They take no position in the ledger, and one that is
        there already stays as it is.
    on_rejection : callable, default=None
        Makes a dead letter of a row that the ledger itself refuses, for the same transaction. It runs in the writer's
        thread; without it the sender alone hears of the refusal.
    """

    rows: Mapping[str, Sequence[Row]] = field(default_factory=lambda: MappingProxyType({}))
    backfill: bool = False
    dead: Sequence[DeadLetter] = ()
    resolves: Sequence[int] = ()
    scores: Sequence[tuple[object, ...]] = ()
    on_rejection: Callable[[Rejection], DeadLetter] | None = None

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.rows.values()) + len(self.dead) + len(self.scores)


@dataclass(frozen=True)
class Receipt:
    """What became of a batch, given after its commit.

    Every row is counted once: `accepted` (new), `corrected` (a further revision, or a changed account or contact),
    `duplicates`, or in `rejected`.

    Parameters
    ----------
    ledger_seq : int
        Position of the ledger after the batch.
    known_at : int
        The stamp of the batch: a reader who asks as of this moment or later sees it.
    unattached : int
        Touches of this batch that belong to no account as yet.
    stub_accounts : int
        Accounts made because a row named them and they were unknown.
    """

    accepted: int
    duplicates: int
    corrected: int
    ledger_seq: int
    known_at: int
    rejected: tuple[Rejection, ...] = ()
    unattached: int = 0
    stub_accounts: int = 0


@dataclass(frozen=True)
class Head:
    """Where the ledger stands: its last position, and the newest moment at which it learnt something."""

    ledger_seq: int
    known_at: int


def now_micros() -> int:
    """Return the time now, UTC, in integer microseconds since the epoch."""
    return time.time_ns() // 1_000
