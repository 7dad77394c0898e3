"""What an incoming row is to what is stored already: new, a duplicate, a correction, or a conflict. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from features.schema import FOREVER

AHEAD = 5 * 60 * 1_000_000
"""How far a sender's clock may run ahead of ours, in microseconds."""


@dataclass(slots=True)
class Version:
    """A stored revision of one key, as far as decisions need it."""

    revision: int
    digest: str
    known_at: int
    known_until: int
    ledger_seq: int
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """A revision to store: its number, until when it is visible, and the revisions that it closes."""

    revision: int
    known_until: int
    closes: Sequence[Version] = ()


class Duplicate:
    """The row is stored already."""


class Conflict:
    """Another content is stored under the revision that was sent."""


DUPLICATE = Duplicate()
CONFLICT = Conflict()
FIRST = Addition(1, FOREVER)


def digest(values: Sequence[object], *, deleted: bool) -> str:
    """Return the fingerprint of what a sender gave, in the order of the table's columns.

    Missing values at the end do not enter: a column that is added to the contract leaves old fingerprints as they are.
    """
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    written = orjson.dumps(values[:end])
    return blake2b(written + b"deleted" if deleted else written, digest_size=16).hexdigest()


def decide(
    history: Sequence[Version], fingerprint: str, known_at: int, *, revision: int | None, live: bool
) -> Addition | Duplicate | Conflict:
    """Decide what to do with a row, given every stored revision of its key.

    Parameters
    ----------
    history : sequence of Version
        In any order; empty for a key never seen.
    fingerprint : str
        `digest` of the row.
    known_at : int
        When the row is known from, in microseconds.
    revision : int or None
        The revision the sender gave it.
    live : bool
        Whether `known_at` is our own stamp. Other rows come from files that may come again, so a row that equals any
        stored revision in content and `known_at` is a duplicate, even when it has been corrected since.

    Notes
    -----
    A revision is visible from its `known_at` until the smallest `known_at` of a higher revision. When that is an empty
    interval the row is stored all the same.
    """
    if not history:
        return FIRST if revision is None else Addition(revision, FOREVER)
    if revision is None:
        current = max(history, key=_revision)
        if current.digest == fingerprint:
            return DUPLICATE
        if not live and any(old.digest == fingerprint and old.known_at == known_at for old in history):
            return DUPLICATE
        revision = current.revision + 1
    else:
        for old in history:
            if old.revision == revision:
                return DUPLICATE if old.digest == fingerprint else CONFLICT
    until = min((old.known_at for old in history if old.revision > revision), default=FOREVER)
    return Addition(revision, until, [old for old in history if old.revision < revision and old.known_until > known_at])


def _revision(version: Version) -> int:
    return version.revision
