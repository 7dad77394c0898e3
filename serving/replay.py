"""Gives recorded scores again, by the ledger as it stood and the model that answered, and compares every bit.

Scores of all accounts at once came from the other evaluator: they are compared to 1e-9. Those given under another
agreement are not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pyarrow as pa

from features.agreement import Agreement
from features.catalogue import Catalogue
from features.errors import BundleError, SmarketingError, UnknownError
from features.ledger import Ledger
from models.bundle_cache import BundleCache
from serving.champion import Champion, Champions
from serving.scorebook import BULK, POINTS
from serving.scoring import Prepared, Scored, Scoring
from serving.wire import rfc3339

_TOLERANCE = 1e-9
_AT_ONCE = 10_000
"""Records that are Python objects at the same time."""


class Finding(Enum):
    """What a replay finds of a recorded score."""

    EQUAL = "equal"
    """To the last bit."""
    CLOSE = "close"
    """To 1e-9, as two evaluators agree: a score of all accounts at once."""
    DIFFERENT = "different"
    ANOTHER_AGREEMENT = "anotherAgreement"
    """Not compared: it was given under another agreement."""


@dataclass(frozen=True)
class Verdict:
    """A recorded score, and how what is given now compares with it.

    Parameters
    ----------
    record : dict
        Row of the table `scores`.
    finding : Finding
    difference : str or None
        In words; None when there is none, or nothing was compared.
    """

    record: dict[str, Any]
    finding: Finding
    difference: str | None = None

    def document(self) -> dict[str, object]:
        """Return what names the score, and the difference, as plain JSON values."""
        record = self.record
        return {
            "accountId": record["account_id"],
            "goal": record["goal"],
            "asOf": rfc3339(record["scored_at"]),
            "ledgerSeq": record["ledger_seq"],
            "modelVersion": record["model_version"],
            "difference": self.difference,
        }


def replay(
    records: pa.Table, ledger: Ledger, agreement: Agreement, declared: Catalogue, cache: BundleCache
) -> Iterator[Verdict]:
    """Yield a verdict on each recorded score.

    Parameters
    ----------
    records : pyarrow.Table
        Rows of the table `scores`.
    ledger : Ledger
        Read as of the position each score rests on.
    agreement : Agreement
        The one that holds; what was given under another is not compared.
    declared : Catalogue
    cache : BundleCache
        Holds every model that has ever answered here, by its content.
    """
    desk = _Desk(ledger, Scoring(agreement, declared), _Models(Champions(cache, agreement, declared)))
    ordered = records.sort_by([("account_id", "ascending"), ("ledger_seq", "ascending")])
    for batch in ordered.to_batches(max_chunksize=_AT_ONCE):
        for record in batch.to_pylist():
            yield desk.verdict(record)


class _Desk:
    """Gives scores again, and keeps the account that was asked about last."""

    def __init__(self, ledger: Ledger, scoring: Scoring, models: _Models) -> None:
        self._ledger = ledger
        self._scoring = scoring
        self._models = models
        self._kept: tuple[tuple[str, int], Prepared] | None = None

    def verdict(self, record: dict[str, Any]) -> Verdict:
        if record["agreement_digest"] != self._scoring.agreement_digest:
            return Verdict(record, Finding.ANOTHER_AGREEMENT)
        try:
            difference = _difference(record, self._again(record))
        except (BundleError, UnknownError) as error:
            difference = str(error)
        if difference is not None:
            return Verdict(record, Finding.DIFFERENT, difference)
        return Verdict(record, Finding.CLOSE if record["origin"] == BULK else Finding.EQUAL)

    def _again(self, record: dict[str, Any]) -> Scored:
        seq = record["ledger_seq"]
        goal = self._scoring.agreement.goal(record["goal"])
        champion = None if record["model_version"] == POINTS else self._models.of(record)
        prepared = self._prepared(record["account_id"], seq)
        return self._scoring.score(prepared, goal, record["scored_at"], champion, ledger_seq=seq)

    def _prepared(self, account_id: str, seq: int) -> Prepared:
        wanted = (account_id, seq)
        if self._kept is None or self._kept[0] != wanted:
            tables = self._ledger.account_tables(account_id, at=seq)
            self._kept = (wanted, self._scoring.prepare(tables, account_id))
        return self._kept[1]


class _Models:
    """Models of the cache by content, each read once."""

    def __init__(self, champions: Champions) -> None:
        self._champions = champions
        self._read: dict[tuple[str, str], Champion | SmarketingError] = {}

    def of(self, record: dict[str, Any]) -> Champion:
        key = (record["goal"], record["model_digest"])
        if key not in self._read:
            try:
                self._read[key] = self._champions.of_digest(*key, record["model_version"])
            except (BundleError, UnknownError) as error:
                self._read[key] = error
        found = self._read[key]
        if isinstance(found, SmarketingError):
            raise found
        return found


def _difference(record: dict[str, Any], found: Scored) -> str | None:
    explained, tolerance = found.explained, _TOLERANCE if record["origin"] == BULK else 0.0
    now = {
        "model_digest": found.digest,
        "probability": None if explained is None else explained.probability,
        "logit": None if explained is None else explained.logit,
        "score": found.score,
        "grade": found.grade,
    }
    said = [
        f"{name} was {record[name]!r} and is {value!r}"
        for name, value in now.items()
        if not _is_same(record[name], value, tolerance)
    ]
    return "; ".join(said) or None


def _is_same(was: object, now: object, tolerance: float) -> bool:
    if tolerance and isinstance(was, float) and isinstance(now, float):
        return math.isclose(was, now, rel_tol=tolerance, abs_tol=tolerance)
    return was == now
