"""Gives recorded scores again, by the ledger as it stood and the model that answered, and compares every bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from features.agreement import Agreement
from features.catalogue import Catalogue
from features.errors import BundleError, SmarketingError, UnknownError
from features.ledger import Ledger
from models.bundle_cache import BundleCache
from serving.champion import Champion, Champions
from serving.scorebook import POINTS
from serving.scoring import Scored, Scoring
from serving.wire import rfc3339

_COMPARED = ("probability", "logit", "score", "grade")


@dataclass(frozen=True)
class Verdict:
    """A recorded score, and how what is given now differs from it; None when it does not.

    Parameters
    ----------
    record : dict
        Row of the table `scores`.
    difference : str or None
        In words.
    """

    record: dict[str, Any]
    difference: str | None

    @property
    def is_equal(self) -> bool:
        """Whether every figure is the same to the last bit."""
        return self.difference is None

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
        Under which the scores were given.
    declared : Catalogue
    cache : BundleCache
        Holds every model that has ever answered here, by its content.
    """
    scoring = Scoring(agreement, declared)
    models = _Models(Champions(cache, agreement, declared))
    for record in records.sort_by([("account_id", "ascending"), ("ledger_seq", "ascending")]).to_pylist():
        try:
            found = _again(record, ledger, scoring, models)
        except (BundleError, UnknownError) as error:
            yield Verdict(record, str(error))
        else:
            yield Verdict(record, _difference(record, found))


def _again(record: dict[str, Any], ledger: Ledger, scoring: Scoring, models: _Models) -> Scored:
    tables = ledger.account_tables(record["account_id"], at=record["ledger_seq"])
    prepared = scoring.prepare(tables, record["account_id"])
    goal = scoring.agreement.goal(record["goal"])
    champion = None if record["model_version"] == POINTS else models.of(record)
    return scoring.score(prepared, goal, record["scored_at"], champion, ledger_seq=record["ledger_seq"])


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
    if found.digest != record["model_digest"]:
        return "The agreement's points are others now."
    explained = found.explained
    now = {
        "probability": None if explained is None else explained.probability,
        "logit": None if explained is None else explained.logit,
        "score": found.score,
        "grade": found.grade,
    }
    said = [f"{name} was {record[name]!r} and is {now[name]!r}" for name in _COMPARED if now[name] != record[name]]
    return "; ".join(said) or None
