"""Intervals of measures, and of differences between models, from a bootstrap that draws accounts.

The rows of an account come out together, so a draw takes whole accounts, with replacement. Every model is measured on
the same draws: the interval of a difference is then that of the pairs, much narrower than those of its two sides.
A draw without a positive row, or without a negative one, can not be measured and is drawn again: with a handful of
positive accounts, intervals are those of draws that hold one at least.

An interval is the value plus and minus 1.645 standard deviations over the draws, within what the measure can be.
Quantiles of the draws would do for smooth measures, but not for the calibration error, which every resampling inflates:
its quantiles can lie wholly above it.

References
----------
A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application, 1997, sections 3.8 (clusters) and 5.2 (the
normal interval); R. Davidson and J. G. MacKinnon, Bootstrap testing in nonlinear models, International Economic Review
40, 1999 (one Newton step a draw for what is fitted, here the calibration line).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from models import metrics
from models.arrays import Floats, Integers

DRAWS = 500
CONFIDENCE = 0.9

_AT_ONCE = 200_000
"""Rows times draws that are worked on together: few enough for the processor's cache."""

_Z = 1.6448536269514722
_LOWEST = dict.fromkeys(("brier_skill", "calibration_slope", "calibration_intercept"), -np.inf)
_HIGHEST = dict.fromkeys(("log_loss", "lift_at_10", "calibration_slope", "calibration_intercept"), np.inf)
"""Measures that are not confined to [0, 1], from below and from above."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 90 % interval; `low` and `high` are None for a figure that has no error of its own."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, error: float, lowest: float = -np.inf, highest: float = np.inf) -> Estimate:
        """Return the interval of a value with a standard error, within bounds."""
        return cls(value, float(max(value - _Z * error, lowest)), float(min(value + _Z * error, highest)))

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval; from the value to the value for a figure that has no error of its own."""
        return (self.value, self.value) if self.low is None or self.high is None else (self.low, self.high)

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.bounds[1] - self.bounds[0]) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and 0 lies outside."""
        return self.low is not None and (self.bounds[0] > 0 or self.bounds[1] < 0)


@dataclass(frozen=True)
class Measured:
    """Measures of one model on all rows, and on every draw.

    Parameters
    ----------
    values : mapping of str to float
        `models.metrics.summary`.
    draws : mapping of str to array of shape (n_draws,)
        Of those measures that vary from draw to draw.
    """

    values: Mapping[str, float]
    draws: Mapping[str, Floats]

    def estimates(self) -> dict[str, Estimate]:
        """Return every measure, with an interval where it has draws."""
        return {
            name: Estimate.of(value, float(np.std(self.draws[name])), _LOWEST.get(name, 0.0), _HIGHEST.get(name, 1.0))
            if name in self.draws
            else Estimate(value)
            for name, value in self.values.items()
        }

    def minus(self, other: Measured) -> dict[str, Estimate]:
        """Return this model's measures minus those of another on the same draws, with paired intervals."""
        return {
            name: Estimate.of(self.values[name] - other.values[name], float(np.std(self.draws[name] - draws)))
            for name, draws in other.draws.items()
            if name in self.draws
        }


@dataclass(frozen=True)
class Bootstrap:
    """Rows to measure on, and draws of their accounts.

    Parameters
    ----------
    y : array of shape (n,)
        Labels in {0, 1}.
    account_id : array of shape (n,)
        Account of each row.
    account : array of int, shape (n,)
        The same as codes.
    weights : array of shape (n,)
    counts : array of int, shape (n_draws, n_accounts)
        How often each draw took each account.
    seed : int
    """

    y: Floats
    account_id: npt.NDArray[np.generic]
    account: Integers
    weights: Floats
    counts: npt.NDArray[np.int16]
    seed: int

    @classmethod
    def of(
        cls,
        y: ArrayLike,
        accounts: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        draws: int = DRAWS,
        seed: int = 0,
    ) -> Bootstrap:
        """Draw the accounts of some rows.

        Parameters
        ----------
        y, accounts : array of shape (n,)
        weights : array of shape (n,), optional
        draws : int, default=500
        seed : int, default=0
        """
        labels, account_id = np.asarray(y, dtype=np.float64), np.asarray(accounts)
        names, account = np.unique(account_id, return_inverse=True)
        w = np.ones_like(labels) if weights is None else np.asarray(weights, dtype=np.float64)
        # Rows of one class have no draw with both.
        classes = [of_class for of_class in (labels > 0, labels <= 0) if 0 < of_class.sum() < len(labels)]
        needed = [np.bincount(account[of_class], minlength=len(names)) > 0 for of_class in classes]
        random = np.random.default_rng(seed)
        counts = np.empty((draws, len(names)), dtype=np.int16)
        for row in counts:
            row[:] = _draw(random, len(names))
            while not all(row[holds].any() for holds in needed):
                row[:] = _draw(random, len(names))
        return cls(labels, account_id, account.astype(np.int64), w, counts, seed)

    def measure(self, logit: ArrayLike, *, capacity: float | None = None) -> Measured:
        """Measure calibrated log-odds.

        Parameters
        ----------
        logit : array of shape (n,)
        capacity : float, optional
            Sum of weights the team can act on; in a draw, the same share of its weight.

        Raises
        ------
        NotEnoughDataError
            When a class is absent.
        """
        x = np.asarray(logit, dtype=np.float64)
        options = {"accounts": self.account_id, "weights": self.weights, "capacity": capacity, "seed": self.seed}
        values = metrics.summary(self.y, x, **options)  # type: ignore[arg-type]  # each has the type of its option
        share = None if capacity is None else min(capacity / float(self.weights.sum()), 1.0)
        draws = {**self._by_account(x), **self._by_rank(x, share)}
        if "calibration_slope" in values:
            draws |= self._lines(x, values["calibration_slope"], values["calibration_intercept"])
        return Measured(values, {name: of_draw for name, of_draw in draws.items() if np.isfinite(of_draw).all()})

    def mean(self, of_row: ArrayLike) -> Estimate:
        """Return the weighted mean of a number per row, such as a difference of losses."""
        x = np.asarray(of_row, dtype=np.float64)
        total, weight = self._sums(self.weights * x), self._sums(self.weights)
        value = float(np.sum(self.weights * x) / self.weights.sum())
        return Estimate.of(value, float(np.std(self._drawn(total) / self._drawn(weight))))

    def rates(self, member: Floats) -> tuple[Estimate, ...]:
        """Return the share of positives in groups of rows.

        Parameters
        ----------
        member : array of shape (n, n_groups)
            How much of each row belongs to each group.
        """
        found = []
        for part in member.T:
            w = self.weights * part
            weight, positive = self._drawn(self._sums(w)), self._drawn(self._sums(w * self.y))
            error = float(np.std(positive[weight > 0] / weight[weight > 0]))
            found.append(Estimate.of(float(w @ self.y / w.sum()), error, 0.0, 1.0))
        return tuple(found)

    def lifts(self, logit: ArrayLike, shares: Floats) -> tuple[Estimate, ...]:
        """Return the share of positives among the best `shares` of rows over that among all.

        Parameters
        ----------
        logit : array of shape (n,)
        shares : array of shape (n_shares,)
            In (0, 1].
        """
        x = np.asarray(logit, dtype=np.float64)
        drawn = np.concatenate(
            [
                _reached(shares * weight[:, -1:], weight, positive) / shares / positive[:, -1:]
                for weight, positive, _ in self._ranked(x)
            ]
        )
        values = [metrics.lift_at(self.y, x, float(share), self.weights) for share in shares]
        return tuple(
            Estimate.of(value, float(error), 0.0) for value, error in zip(values, drawn.std(axis=0), strict=True)
        )

    def _sums(self, of_row: Floats) -> Floats:
        return np.bincount(self.account, weights=of_row, minlength=self.counts.shape[1]).astype(np.float64)

    def _drawn(self, of_account: Floats) -> Floats:
        """Return the sum over each draw of a number per account, of shape (n_draws, ...)."""
        return np.stack([row.astype(np.float64) @ of_account for row in self.counts])

    def _by_account(self, x: Floats) -> dict[str, Floats]:
        """Return the measures that are means of something per row."""
        p = metrics.sigmoid(x)
        parts = np.stack([np.ones_like(x), self.y, (p - self.y) ** 2, metrics.log_losses(self.y, x)])
        weight, positive, square, loss = self._drawn(np.stack([self._sums(self.weights * one) for one in parts]).T).T
        rate, brier = positive / weight, square / weight
        with np.errstate(divide="ignore", invalid="ignore"):
            skill = 1 - brier / (rate * (1 - rate))
        return {"base_rate": rate, "brier": brier, "brier_skill": skill, "log_loss": loss / weight}

    def _by_rank(self, x: Floats, share: float | None) -> dict[str, Floats]:
        """Return the measures that need the rows in the order of their scores."""
        bins = np.linspace(0.0, 1.0, metrics.BINS + 1)
        cuts = np.array([0.1] if share is None else [0.1, share])
        found: list[Floats] = []
        for weight, positive, predicted in self._ranked(x):
            total, hits = weight[:, -1:], positive[:, -1:]
            of_group, misses = np.diff(positive), np.diff(weight - positive)
            edges = bins * total
            gap = np.diff(_reached(edges, weight, predicted) - _reached(edges, weight, positive))
            with np.errstate(divide="ignore", invalid="ignore"):
                pairs = (misses * (positive[:, :-1] + of_group / 2)).sum(axis=1, keepdims=True)
                precision = positive[:, 1:] / np.where(weight[:, 1:] > 0, weight[:, 1:], 1.0)
                among = _reached(cuts * total, weight, positive) / (cuts * total)
                among[:, :1] /= hits / total
                auc = pairs / (hits * (total - hits))
                average = (precision * of_group).sum(axis=1, keepdims=True) / hits
            found.append(np.hstack([auc, average, np.abs(gap).sum(axis=1, keepdims=True) / total, among]))
        names = ("auc", "pr_auc", "ece", "lift_at_10", "precision_at_capacity")
        return dict(zip(names, np.concatenate(found).T, strict=False))

    def _ranked(self, x: Floats) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Yield for some draws at a time the weight, the positives and the sum of probabilities, from the best row on.

        Each is cumulated, of shape (n_some, n_groups + 1). The rows are sorted once. Groups of equal scores are cut at
        their last row, so that an interpolation shares a group that lies across an edge in proportion.
        """
        order = np.argsort(-x, kind="stable")
        values, account, weights = x[order], self.account[order], self.weights[order]
        parts = (weights, weights * self.y[order], weights * metrics.sigmoid(values))
        last = np.flatnonzero(np.concatenate([values[1:] != values[:-1], [True]]))
        some = max(1, _AT_ONCE // len(x))
        for first in range(0, len(self.counts), some):
            taken = self.counts[first : first + some, account]
            weight, positive, predicted = (_cumulated(taken * part, last) for part in parts)
            yield weight, positive, predicted

    def _lines(self, x: Floats, slope: float, intercept: float) -> dict[str, Floats]:
        """Return the calibration line of every draw, one Newton step from that of all rows."""
        p = metrics.sigmoid(slope * x + intercept)
        residual, spread = self.weights * (self.y - p), self.weights * p * (1 - p)
        parts = (residual * x, residual, spread * x * x, spread * x, spread)
        gx, g1, hxx, hx1, h11 = self._drawn(np.stack([self._sums(part) for part in parts]).T).T
        determinant = hxx * h11 - hx1**2
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "calibration_slope": slope + (h11 * gx - hx1 * g1) / determinant,
                "calibration_intercept": intercept + (hxx * g1 - hx1 * gx) / determinant,
            }


def _draw(random: np.random.Generator, accounts: int) -> Integers:
    return np.bincount(random.integers(0, accounts, accounts), minlength=accounts)


def _cumulated(of_row: Floats, last: Integers) -> Floats:
    found = np.zeros((len(of_row), len(last) + 1))
    found[:, 1:] = np.cumsum(of_row, axis=1)[:, last]
    return found


def _reached(at: Floats, weight: Floats, of_weight: Floats) -> Floats:
    """Return for each draw what is cumulated when some weights are reached."""
    return np.stack([np.interp(*one) for one in zip(at, weight, of_weight, strict=True)])
