"""The system of record: one append-only ledger with two clocks, in a database behind SQLAlchemy Core.

`Ledger.open` gives the store; `Ledger.append` takes a `Batch` and answers with a `Receipt` after the commit.
"""

from features.ledger.records import Batch, DeadLetter, Head, Receipt, Rejection, Row, StoredDeadLetter, now_micros
from features.ledger.store import EMAIL_KEY_VARIABLE, Ledger

__all__ = [
    "EMAIL_KEY_VARIABLE",
    "Batch",
    "DeadLetter",
    "Head",
    "Ledger",
    "Receipt",
    "Rejection",
    "Row",
    "StoredDeadLetter",
    "now_micros",
]
