"""The points of the agreement: a score that people wrote down, and can read.

A touch of a type earns the points the agreement gives it, and they halve with every half-life. Their sum needs no
outcome to be formed: it answers before there is a model (`points_score`), and it is a rung of the ladder once there are
outcomes to calibrate it on (`PointsScorer`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.catalogue.assemble import points_features
from features.errors import BundleError
from models.arrays import Floats, Integers

if TYPE_CHECKING:
    from features.agreement import Agreement
    from features.feature import Feature, Value
    from models.encoding import Encoding

UNIT = 50.0
"""Points that make one unit of margin, and half of the way to the highest score."""

REASONS = 3
"""Reasons at most each way."""

_LEAST = 0.5
"""Points from which touches are a reason: fewer would be told as none."""


@dataclass(frozen=True)
class PointsScorer:
    """The sum of the points as a margin, in units of `UNIT` points; the reference account has none.

    Parameters
    ----------
    name : str
    n_features : int
    features : tuple of str
        Decayed counts, a touch type each.
    column : array of int, shape (n_terms,)
        Their columns.
    points : array of shape (n_terms,)
        Points for one fresh touch.
    """

    name: str
    n_features: int
    features: tuple[str, ...]
    column: Integers
    points: Floats
    kind = "points"
    file = "model.json"

    def margin(self, X: Floats) -> Floats:
        """Return the points of each row in units of `UNIT`, of shape (n,)."""
        margins: Floats = self._added(X).sum(axis=1)
        return margins

    def contributions(self, X: Floats) -> Floats:
        """Return what each feature adds, of shape (n, n_features + 1); the last column, the base, is 0."""
        found = np.zeros((len(X), self.n_features + 1))
        found[:, self.column] = self._added(X)
        return found

    def _added(self, X: Floats) -> Floats:
        added: Floats = np.nan_to_num(X[:, self.column]) * (self.points / UNIT)
        return added

    def files(self) -> dict[str, bytes]:
        """Return the content of the files that keep it, by name: the table, as the agreement has it."""
        rows = zip(self.features, self.column.tolist(), self.points.tolist(), strict=True)
        document = {
            "name": self.name,
            "n_features": self.n_features,
            "points_per_unit": UNIT,
            "table": [{"feature": name, "column": column, "points": points} for name, column, points in rows],
        }
        return {self.file: json.dumps(document, allow_nan=False, indent=1).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], name: str) -> PointsScorer:
        """Return the scorer that `files` described.

        Raises
        ------
        BundleError
            When its table can not be.
        """
        document = json.loads(files[cls.file])
        n_features, table = int(document["n_features"]), document["table"]
        column = np.array([row["column"] for row in table], dtype=np.int64)
        points = np.array([row["points"] for row in table], dtype=np.float64)
        if document["name"] != name or document["points_per_unit"] != UNIT or not np.isfinite(points).all():
            raise BundleError(f"The points must be finite numbers, {UNIT:g} to the unit.")
        if len(set(column.tolist())) != len(column) or not set(column.tolist()) <= set(range(n_features)):
            raise BundleError(f"The points name a feature twice, or one beyond their {n_features}.")
        return cls(name, n_features, tuple(str(row["feature"]) for row in table), column, points)


def make_points(encoding: Encoding, points: Mapping[str, float]) -> PointsScorer:
    """Return the scorer of a table of points.

    Parameters
    ----------
    encoding : Encoding
    points : mapping of str to float
        By feature, as `features.catalogue.assemble.points_features` gives them.

    Raises
    ------
    UnknownError
        When the encoding lacks one of the features.
    """
    column = np.array([encoding.column(name) for name in points], dtype=np.int64)
    return PointsScorer("points", len(encoding.names), tuple(points), column, np.array([*points.values()], dtype=float))


@dataclass(frozen=True)
class PointsReason:
    """A touch type that earned points.

    Parameters
    ----------
    code : str
        The concept of its features as an identifier.
    texts : mapping of str to str
        In words, by language ("en", "zh").
    points : float
    """

    code: str
    texts: Mapping[str, str]
    points: float


@dataclass(frozen=True)
class PointsScore:
    """What the agreement's points say of an account, before there is a model.

    Parameters
    ----------
    points : float
        Their sum.
    score : int
        1 to 99: ``100 (1 - 2 ** (-points / 50))``, rounded and kept within 1 and 99.
    up, down : tuple of PointsReason
        The touch types that add and take away most, the strongest first; none below half a point.
    """

    points: float
    score: int
    up: tuple[PointsReason, ...]
    down: tuple[PointsReason, ...]


def points_score(agreement: Agreement, declared: Sequence[Feature], values: Sequence[Value]) -> PointsScore:
    """Score an account by the agreement's points alone. It is no probability: nothing has been learnt yet.

    Parameters
    ----------
    agreement : Agreement
    declared : sequence of Feature
        Of the agreement's catalogue.
    values : sequence of float, str or None
        Their values, in the same order.
    """
    value_of = {feature.name: (feature, value) for feature, value in zip(declared, values, strict=True)}
    total, reasons = 0.0, []
    for name, points in points_features(agreement).items():
        feature, value = value_of[name]
        earned = points * float(np.nan_to_num(np.float64(value or 0.0)))
        total += earned
        if abs(earned) >= _LEAST:
            said = {"en": f"{earned:+,.0f} points", "zh": f"{earned:+,.0f} 分"}
            texts = {
                "en": f"{feature.phrase(value, 'en')}: {said['en']}",
                "zh": f"{feature.phrase(value, 'zh')}：{said['zh']}",
            }
            reasons.append(PointsReason(feature.concept.replace(" ", "_"), texts, earned))
    strongest = sorted(reasons, key=lambda reason: -abs(reason.points))
    return PointsScore(
        total,
        min(99, max(1, round(100 * (1 - 2 ** min(-total / UNIT, 1.0))))),
        tuple(reason for reason in strongest if reason.points > 0)[:REASONS],
        tuple(reason for reason in strongest if reason.points < 0)[:REASONS],
    )
