"""Why a score is what it is: contributions that add up to it exactly, and reasons in words.

With margin ``m = base + sum_i c_i`` and calibration ``L = a m + b``, feature i has ``logit_i = a c_i`` and the
reference account ``L0 = a base + b``, so that ``L = L0 + sum_i logit_i``. In percentage points it has
``100 logit_i (p - p0) / (L - L0)``: free of order, additive over any grouping, and summing to ``100 (p - p0)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from features.errors import BundleError
from models.arrays import Floats, Integers
from models.background import SIDES, percentile
from models.bundle import Bundle
from models.metrics import sigmoid
from models.value import Expected

if TYPE_CHECKING:
    from features.agreement import Grades
    from features.feature import Feature

Value = float | str | None

LANGUAGES = ("en", "zh")
REASONS = 3
"""Reasons at most each way."""

SMALLEST_REASON = 0.5
"""Percentage points that a concept must move to be given as a reason."""


class Contribution(NamedTuple):
    """What one feature adds; a tuple, because an answer holds one for every feature.

    Parameters
    ----------
    feature, concept, family, side : str
    value : float, str or None
        Raw value, None when missing.
    logit : float
        Added log-odds.
    percentage_points : float
        Added points of probability, from the reference account.
    """

    feature: str
    concept: str
    family: str
    side: str
    value: Value
    logit: float
    percentage_points: float


@dataclass(frozen=True)
class Rest:
    """The contributions that are not listed, as one."""

    features: int
    logit: float
    percentage_points: float


@dataclass(frozen=True)
class Reason:
    """A concept that moved the score.

    Parameters
    ----------
    code : str
        The concept as an identifier.
    texts : mapping of str to str
        In words, by language.
    percentage_points : float
    """

    code: str
    texts: Mapping[str, str]
    percentage_points: float


@dataclass(frozen=True)
class Explained:
    """A score and its explanation.

    Parameters
    ----------
    probability, logit, base_probability, base_logit : float
        Calibrated, of the account and of the reference account.
    base_rate : float
        Share of positives in training.
    contributions : tuple of Contribution
        Every feature, the largest ``|logit|`` first.
    percentile : float
        Among the accounts the goal applied to, at training.
    score : int
        1 to 99.
    grade : str
    sides : mapping of str to int
        Scores, 1 to 99, of the sides fit and engagement.
    up, down : tuple of Reason
        The strongest first.
    interval : tuple of float or None
        Ends of the 90 % interval of the probability (`models.uncertainty`).
    value : Expected or None
        What a win would be worth; None where no amount is known.
    """

    probability: float
    logit: float
    base_probability: float
    base_logit: float
    base_rate: float
    contributions: tuple[Contribution, ...]
    percentile: float
    score: int
    grade: str
    sides: Mapping[str, int]
    up: tuple[Reason, ...]
    down: tuple[Reason, ...]
    interval: tuple[float, float] | None
    value: Expected | None

    def largest(self, number: int = 10) -> tuple[tuple[Contribution, ...], Rest]:
        """Return the largest contributions, and the rest as one: together they sum as all do."""
        rest = self.contributions[number:]
        return self.contributions[:number], Rest(
            len(rest), math.fsum(one.logit for one in rest), math.fsum(one.percentage_points for one in rest)
        )

    def by_concept(self) -> dict[str, tuple[float, float]]:
        """Return log-odds and percentage points summed per concept."""
        return self._summed("concept")

    def by_family(self) -> dict[str, tuple[float, float]]:
        """Return log-odds and percentage points summed per family."""
        return self._summed("family")

    def _summed(self, attribute: str) -> dict[str, tuple[float, float]]:
        groups: dict[str, list[Contribution]] = {}
        for one in self.contributions:
            groups.setdefault(getattr(one, attribute), []).append(one)
        return {
            name: (math.fsum(one.logit for one in group), math.fsum(one.percentage_points for one in group))
            for name, group in groups.items()
        }


class Explainer:
    """Explains the scores of one bundle.

    Parameters
    ----------
    bundle : Bundle
    features : sequence of Feature
        Today's declarations; those of the bundle are looked up by name for their words, concept and side.
    grades : Grades
        Cuts of the agreement.

    Raises
    ------
    BundleError
        When a feature of the bundle is no longer declared.
    """

    def __init__(self, bundle: Bundle, features: Sequence[Feature], grades: Grades) -> None:
        declared = {feature.name: feature for feature in features}
        gone = [name for name in bundle.encoding.names if name not in declared]
        if gone:
            raise BundleError(f"The model reads features that are no longer declared: {', '.join(gone[:5])}.")
        self.bundle = bundle
        self._features = tuple(declared[name] for name in bundle.encoding.names)
        # Families and sides are looked up here once: an answer has hundreds of features.
        self._words = tuple((one.name, one.concept, one.family, one.side) for one in self._features)
        self._grades = grades
        self._concepts = tuple(dict.fromkeys(feature.concept for feature in self._features))
        position = {concept: number for number, concept in enumerate(self._concepts)}
        self._concept: Integers = np.array([position[feature.concept] for feature in self._features], dtype=np.int64)
        self._sides = {side: np.array([feature.side == side for feature in self._features]) for side in SIDES}

    def explain(self, values: Sequence[Value], row: Floats | None = None) -> Explained:
        """Score and explain one account.

        Parameters
        ----------
        values : sequence of float, str or None
            Raw features in the order of the bundle's encoding.
        row : array of shape (n_features,), optional
            The same, encoded, when the caller has it.
        """
        encoded = self.bundle.encoding.row(values) if row is None else row
        return self.explain_batch([values], encoded[None, :])[0]

    def explain_batch(self, values: Sequence[Sequence[Value]], X: Floats) -> list[Explained]:
        """Score and explain many accounts.

        Parameters
        ----------
        values : sequence of n sequences
            Raw features in the order of the bundle's encoding.
        X : array of shape (n, n_features)
            The same, encoded.

        Raises
        ------
        BundleError
            When the contributions do not sum to what the model scores.
        """
        bundle = self.bundle
        margins, added = bundle.scorer.margin(X), bundle.scorer.contributions(X)
        logits = bundle.calibration.a * added[:, :-1]
        base = bundle.calibration.logit(added[:, -1])
        total = np.array([math.fsum((*row, start)) for row, start in zip(logits.tolist(), base.tolist(), strict=True)])
        expected = bundle.calibration.logit(margins)
        if not (np.abs(total - expected) <= 1e-9 * np.maximum(1.0, np.abs(expected))).all():
            raise BundleError("The model's contributions do not sum to its score: it can not be explained.")
        points = logits * (100.0 * points_per_logit(total, base))[:, None]
        ranks = percentile(bundle.background.margins, margins)
        side_ranks = {
            side: percentile(bundle.background.sides[side], added[:, :-1][:, members].sum(axis=1))
            for side, members in self._sides.items()
        }
        p, p0 = sigmoid(total), sigmoid(base)
        band = bundle.calibration.band
        ends = None if band is None else np.stack(band.interval(margins, total), axis=1).tolist()
        values_of = None if bundle.value is None else bundle.value.expected(X, p)
        return [
            self._explained(
                values[i],
                logits[i],
                points[i],
                (float(p[i]), float(total[i]), float(p0[i]), float(base[i])),
                float(ranks[i]),
                {side: score_of(float(found[i])) for side, found in side_ranks.items()},
                None if ends is None else (ends[i][0], ends[i][1]),
                None if values_of is None else values_of[i],
            )
            for i in range(len(X))
        ]

    def _explained(
        self,
        values: Sequence[Value],
        logits: Floats,
        points: Floats,
        totals: tuple[float, float, float, float],
        rank: float,
        sides: Mapping[str, int],
        interval: tuple[float, float] | None,
        value: Expected | None,
    ) -> Explained:
        order = np.argsort(-np.abs(logits), kind="stable").tolist()
        logit_of, points_of = logits.tolist(), points.tolist()
        plain = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
        contributions = tuple(
            Contribution(name, concept, family, side, plain[column], logit_of[column], points_of[column])
            for column in order
            for name, concept, family, side in (self._words[column],)
        )
        up, down = self._reasons(plain, points)
        probability, logit, base_probability, base_logit = totals
        return Explained(
            probability,
            logit,
            base_probability,
            base_logit,
            self.bundle.background.base_rate,
            contributions,
            rank,
            score_of(rank),
            self._grades.grade(rank),
            sides,
            up,
            down,
            interval,
            value,
        )

    def _reasons(self, values: Sequence[Value], points: Floats) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
        moved = np.bincount(self._concept, weights=points, minlength=len(self._concepts))
        strongest = np.argsort(-np.abs(moved), kind="stable").tolist()
        ups = [concept for concept in strongest if moved[concept] >= SMALLEST_REASON]
        downs = [concept for concept in strongest if moved[concept] <= -SMALLEST_REASON]
        return (
            tuple(self._reason(c, float(moved[c]), values, points) for c in ups[:REASONS]),
            tuple(self._reason(c, float(moved[c]), values, points) for c in downs[:REASONS]),
        )

    def _reason(self, concept: int, moved: float, values: Sequence[Value], points: Floats) -> Reason:
        # The words are those of the feature that pushed hardest the way the whole concept went.
        members = np.flatnonzero(self._concept == concept)
        column = int(members[np.argmax(points[members] * math.copysign(1.0, moved))])
        feature = self._features[column]
        texts = {language: feature.phrase(values[column], language) for language in LANGUAGES}
        return Reason(feature.concept.replace(" ", "_"), texts, moved)


def points_per_logit(logit: ArrayLike, base_logit: ArrayLike) -> Floats:
    """Return ``(p - p0) / (L - L0)``, and its limit ``p0 (1 - p0)`` where the two meet.

    Written as ``p0 q0 (e^d - 1) / (d (q0 + p0 e^d))`` with ``q0 = 1 - p0`` and ``d = L - L0 <= 0`` (for d > 0 both are
    mirrored), which neither cancels for small d nor overflows for large ones.

    Examples
    --------
    >>> points_per_logit([0.0, 2.0], [0.0, 0.0]).round(6).tolist()
    [0.25, 0.190399]
    """
    L, L0 = np.asarray(logit, dtype=np.float64), np.asarray(base_logit, dtype=np.float64)
    d = -np.abs(L - L0)
    start = np.where(L > L0, -L0, L0)
    slope = np.divide(np.expm1(d), d, out=np.ones_like(d), where=d != 0)
    ratio: Floats = sigmoid(start) * sigmoid(-start) * slope / (sigmoid(-start) + sigmoid(start) * np.exp(d))
    return ratio


def score_of(rank: float) -> int:
    """Return the score from 1 to 99 of a percentile in [0, 1].

    Examples
    --------
    >>> score_of(0.0), score_of(0.823), score_of(1.0)
    (1, 82, 99)
    """
    return min(99, max(1, round(100 * rank)))
