"""How sure a probability is: a 90 % interval as a band around the calibrated log-odds.

The log-odds ``L = a m + b`` of an account with margin m are unsure for two reasons. The *line* rests on so many
outcomes: its sandwich covariance V, in which an account counts as one observation however many snapshots it has, gives
``v(m) = (m, 1) V (m, 1)'``. The *margin* would be another one had other accounts taught: the scorers of the K folds,
each taught without one fold, give by the delete-a-fold jackknife ``j(m) = (K - 1) / K sum_k (m_k - mean)^2``, averaged
over the rows whose margin is near m. The level that the fold scorers share is the line's affair, so that it is not
counted twice. Beyond the margins seen, v goes on by its formula and j grows with the square of the distance from their
mean, as it does where fold scorers are straight lines that disagree. Half the band is ``t sqrt(v(m) + a^2 j(m))`` with
the 95th percentile t of Student's distribution with as many degrees of freedom as there are accounts with a positive
outcome: the rarer class decides what is known.

The band is that of accounts like those that taught: among accounts that are unlike them and yet have an ordinary
margin, fewer intervals than nine of ten hold the truth.

References
----------
K.-Y. Liang and S. L. Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73, 1986 (the
covariance); B. Efron and C. Stein, The jackknife estimate of variance, Annals of Statistics 9, 1981.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from features.errors import BundleError
from models.arrays import Floats
from models.metrics import sigmoid

LEVEL = 0.9
"""Share of intervals that hold the truth."""

_KNOTS = 41
"""Margins at most at which the band is kept, besides one beyond either end; it is a straight line in between."""


@dataclass(frozen=True)
class Band:
    """Half the width of the 90 % interval of calibrated log-odds, over the margin.

    Parameters
    ----------
    margin : tuple of float
        Ascending.
    half_width : tuple of float
        In log-odds, at each of these margins.
    """

    margin: tuple[float, ...]
    half_width: tuple[float, ...]

    def at(self, margin: ArrayLike) -> Floats:
        """Return half the width at some margins, in log-odds; beyond the outermost it goes on as it ends, or level."""
        m = np.asarray(margin, dtype=np.float64)
        half: Floats = np.interp(m, self.margin, self.half_width)
        if len(self.margin) > 1:
            rise = np.diff(self.half_width) / np.diff(self.margin)
            half = half + max(-rise[0], 0.0) * np.maximum(self.margin[0] - m, 0.0)
            half = half + max(rise[-1], 0.0) * np.maximum(m - self.margin[-1], 0.0)
        return half

    def interval(self, margin: ArrayLike, logit: ArrayLike) -> tuple[Floats, Floats]:
        """Return the ends of the 90 % intervals of some probabilities.

        Parameters
        ----------
        margin, logit : array of shape (n,)
            Margins, and the calibrated log-odds they give.

        Examples
        --------
        >>> low, high = Band((0.0,), (1.0,)).interval([5.0], [0.0])
        >>> low.round(3).tolist(), high.round(3).tolist()
        ([0.269], [0.731])
        """
        half, middle = self.at(margin), np.asarray(logit, dtype=np.float64)
        return sigmoid(middle - half), sigmoid(middle + half)

    def to_json(self) -> dict[str, list[float]]:
        """Return what `from_json` reads."""
        return {"margin": list(self.margin), "half_width": list(self.half_width)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Band:
        """Return the band that `to_json` described.

        Raises
        ------
        BundleError
            When its margins do not ascend or a width can not be.
        """
        margin, half = (tuple(float(one) for one in document[key]) for key in ("margin", "half_width"))
        steps = np.diff(margin)
        if not margin or len(margin) != len(half) or not (steps > 0).all() or not np.isfinite([*margin, *half]).all():
            raise BundleError("The band of the calibration needs ascending margins and as many widths.")
        if min(half) < 0:
            raise BundleError(f"A width of the band must not be negative. Got {min(half)} instead.")
        return cls(margin, half)


def fit_band(
    slope: float,
    intercept: float,
    margin: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    siblings: Sequence[Floats] = (),
) -> Band:
    """Return the band of a calibration line on the rows it was fitted to.

    Parameters
    ----------
    slope, intercept : float
        Of the line.
    margin, y, groups : array of shape (n,)
        Margins the line was fitted to, labels in {0, 1}, and the account of each row.
    weights : array of shape (n,), optional
    siblings : sequence of array of shape (n,)
        What the scorer of each fold says of these rows; fewer than two say nothing of the model.
    """
    m, labels = np.asarray(margin, dtype=np.float64), np.asarray(y, dtype=np.float64)
    w = np.ones_like(m) if weights is None else np.asarray(weights, dtype=np.float64)
    of_row = np.unique(np.asarray(groups), return_inverse=True)[1]
    winners = len(np.unique(of_row[(labels > 0) & (w > 0)]))
    knots = np.unique(np.quantile(m, np.linspace(0.0, 1.0, _KNOTS)))
    unsure = _smoothed(m, _jackknife(np.stack(siblings), w), w, knots) if len(siblings) > 1 else np.zeros_like(knots)
    if len(knots) > 1:
        knots, unsure = _beyond(knots, unsure, float(np.average(m, weights=w)))
    design = np.stack([knots, np.ones_like(knots)])
    covariance = _sandwich(slope, intercept, m, labels, of_row, w)
    variance = np.einsum("ik,ij,jk->k", design, covariance, design) + slope**2 * unsure
    half = student(max(winners, 1)) * np.sqrt(np.maximum(variance, 0.0))
    return Band(tuple(knots.tolist()), tuple(half.tolist()))


def _sandwich(slope: float, intercept: float, m: Floats, y: Floats, of_row: Any, w: Floats) -> Floats:
    """Return the covariance of slope and intercept, of shape (2, 2), clustered by account."""
    p = sigmoid(slope * m + intercept)
    # Margins are centred and scaled for the inversion, and the covariance is taken back afterwards.
    centre = float(np.average(m, weights=w))
    scale = float(np.sqrt(np.average((m - centre) ** 2, weights=w))) or 1.0
    design = np.stack([(m - centre) / scale, np.ones_like(m)])
    information = (design * (w * p * (1 - p))) @ design.T
    clusters = int(of_row.max()) + 1
    scores = np.stack([np.bincount(of_row, weights=w * (y - p) * row, minlength=clusters) for row in design])
    bread = np.linalg.pinv(information)
    covariance = bread @ (scores @ scores.T) @ bread * clusters / max(clusters - 1, 1)
    back = np.array([[1 / scale, 0.0], [-centre / scale, 1.0]])
    found: Floats = back @ covariance @ back.T
    return found


def _jackknife(said: Floats, w: Floats) -> Floats:
    """Return the variance of each row's margin from what K fold scorers say of it, levels taken out."""
    levelled = said - np.average(said, axis=1, weights=w)[:, None]
    folds = len(said)
    spread: Floats = (folds - 1) * levelled.var(axis=0)
    return spread


def _smoothed(m: Floats, variance: Floats, w: Floats, knots: Floats) -> Floats:
    """Return the mean variance of the rows that lie nearest to each knot."""
    nearest = np.searchsorted((knots[1:] + knots[:-1]) / 2, m)
    total = np.bincount(nearest, weights=w, minlength=len(knots))
    summed = np.bincount(nearest, weights=w * variance, minlength=len(knots))
    held = total > 0
    filled: Floats = np.interp(knots, knots[held], summed[held] / total[held])
    return filled


def _beyond(knots: Floats, variance: Floats, centre: float) -> tuple[Floats, Floats]:
    """Return the knots with one more at either end, as far out again, and the variance that grows on the way there."""
    ends = knots[[0, -1]]
    far = ends + (ends - ends[::-1])
    grown = variance[[0, -1]] * ((far - centre) / (ends - centre)) ** 2
    return np.array([far[0], *knots, far[1]]), np.array([grown[0], *variance, grown[1]])


def student(freedom: int) -> float:
    """Return the 95th percentile of Student's distribution, so that 90 % lie within it either way."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))
