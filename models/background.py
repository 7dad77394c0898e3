"""What a score is compared with: the training accounts, as distributions and as examples.

Distributions are kept of *margins*, not of calibrated log-odds: a percentile then survives a recalibration, which only
stretches and shifts both sides alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from features.errors import BundleError
from models.arrays import Floats, Integers
from models.encoding import Encoding

if TYPE_CHECKING:
    from features.feature import Feature
    from models.ladder import FittedRung

QUANTILES = 1001
SIDES = ("fit", "engagement")
"""Sides of the account that get a score of their own."""

_GOLDEN_ROWS = 40
_SIDE_ROWS = 4000
"""Accounts at most whose contributions are computed for the distributions of the sides."""


@dataclass(frozen=True)
class Background:
    """Reference distributions of a bundle.

    Parameters
    ----------
    base_rate : float
        Share of positives among the training rows.
    outcomes : int
        Training accounts with a positive row: how many wins the model rests on.
    base_margin : float
        Margin of the reference account: the base of every explanation.
    margins : array of shape (1001,)
        Quantiles of out-of-fold margins, the latest snapshot of each training account.
    sides : mapping of str to array of shape (1001,)
        The same for the summed contributions of the features of a side.
    drift : mapping of str to mapping
        Per feature the share missing, and deciles of a number or shares of the values of a category.
    golden_rows : array of shape (m, n_features)
        Encoded examples, from the lowest margin to the highest, and a row with everything missing.
    golden_margins : array of shape (m,)
        What the scorer says of them.
    """

    base_rate: float
    outcomes: int
    base_margin: float
    margins: Floats
    sides: Mapping[str, Floats]
    drift: Mapping[str, Mapping[str, Any]]
    golden_rows: Floats
    golden_margins: Floats

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "base_rate": self.base_rate,
            "outcomes": self.outcomes,
            "base_margin": self.base_margin,
            "margins": self.margins.tolist(),
            "sides": {side: quantiles.tolist() for side, quantiles in self.sides.items()},
            "drift": self.drift,
            "golden_rows": [[None if np.isnan(x) else x for x in row] for row in self.golden_rows.tolist()],
            "golden_margins": self.golden_margins.tolist(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Background:
        """Return the background that `to_json` described.

        Raises
        ------
        BundleError
            When a part has the wrong size.
        """
        rows = [[np.nan if x is None else x for x in row] for row in document["golden_rows"]]
        background = cls(
            base_rate=float(document["base_rate"]),
            outcomes=int(document["outcomes"]),
            base_margin=float(document["base_margin"]),
            margins=np.array(document["margins"], dtype=np.float64),
            sides={side: np.array(document["sides"][side], dtype=np.float64) for side in SIDES},
            drift=document["drift"],
            golden_rows=np.array(rows, dtype=np.float64),
            golden_margins=np.array(document["golden_margins"], dtype=np.float64),
        )
        quantiles = (background.margins, *background.sides.values())
        if any(one.shape != (QUANTILES,) or not (np.diff(one) >= 0).all() for one in quantiles):
            raise BundleError(f"The background needs {QUANTILES} ascending quantiles.")
        if background.golden_rows.ndim != 2 or len(background.golden_rows) != len(background.golden_margins):
            raise BundleError("The background's golden batch has rows without a margin.")
        return background


def fit_background(
    rung: FittedRung,
    X: Floats,
    y: ArrayLike,
    accounts: ArrayLike,
    as_of: ArrayLike,
    encoding: Encoding,
    features: Sequence[Feature],
    *,
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> Background:
    """Describe the training rows as the rung sees them.

    Parameters
    ----------
    rung : FittedRung
        The rung to be put in the bundle, fitted on these rows.
    X, y, accounts, as_of : arrays of n rows
        Training rows: encoded features, labels, account and moment.
    encoding : Encoding
    features : sequence of Feature
        Declarations in the order of the columns, for their sides.
    weights : array of shape (n,), optional
    seed : int, default=0
        Chooses accounts for the distributions of the sides when there are very many.
    """
    latest = _latest(np.asarray(accounts), np.asarray(as_of))
    sampled = latest
    if len(latest) > _SIDE_ROWS:
        sampled = np.random.default_rng(seed).choice(latest, _SIDE_ROWS, replace=False)
    added = rung.fit.contributions(X, sampled)
    side = np.array([feature.side for feature in features])
    golden = _golden(X, rung.fit.margins)
    w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=np.float64)
    labels = np.asarray(y, dtype=np.float64)
    return Background(
        base_rate=float(np.average(labels, weights=w)),
        outcomes=len(np.unique(np.asarray(accounts)[labels > 0])),
        base_margin=float(rung.scorer.contributions(golden[:1])[0, -1]),
        margins=quantiles(rung.fit.margins[latest]),
        sides={name: quantiles(added[:, :-1][:, side == name].sum(axis=1)) for name in SIDES},
        drift={name: _distribution(X[:, column], encoding, name) for column, name in enumerate(encoding.names)},
        golden_rows=golden,
        golden_margins=rung.scorer.margin(golden),
    )


def quantiles(values: ArrayLike) -> Floats:
    """Return 1,001 quantiles of a sample, each a value of it: equal values fill their share of the grid."""
    grid: Floats = np.quantile(
        np.asarray(values, dtype=np.float64), np.linspace(0, 1, QUANTILES), method="inverted_cdf"
    )
    return grid


def percentile(grid: Floats, value: ArrayLike) -> Floats:
    """Return the mid-rank share of the sample below each value, in [0, 1].

    Parameters
    ----------
    grid : array of shape (1001,)
        From `quantiles`.
    value : array of shape (n,)

    Examples
    --------
    >>> grid = quantiles([0.0, 1.0, 1.0, 2.0])
    >>> percentile(grid, [-5.0, 1.0, 9.0]).round(3).tolist()
    [0.0, 0.5, 1.0]
    """
    x = np.asarray(value, dtype=np.float64)
    low, high = np.searchsorted(grid, x, "left"), np.searchsorted(grid, x, "right")
    left, right = grid[np.clip(low - 1, 0, None)], grid[np.clip(low, None, QUANTILES - 1)]
    gap = np.where(right > left, right - left, 1.0)
    between = np.where(low == 0, 0.0, np.where(low == QUANTILES, QUANTILES - 1.0, low - 1 + (x - left) / gap))
    position = np.where(high > low, (low + high - 1) / 2, between)
    shares: Floats = np.clip(position / (QUANTILES - 1), 0.0, 1.0)
    return shares


def _latest(accounts: np.ndarray[Any, Any], as_of: np.ndarray[Any, Any]) -> Integers:
    of_row = np.unique(accounts, return_inverse=True)[1]
    order = np.lexsort((as_of, of_row))
    last = np.flatnonzero(np.append(of_row[order][1:] != of_row[order][:-1], True))
    rows: Integers = np.sort(order[last])
    return rows


def _golden(X: Floats, margins: Floats) -> Floats:
    order = np.argsort(margins, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, _GOLDEN_ROWS).astype(np.int64))]
    return np.concatenate([X[chosen], np.full((1, X.shape[1]), np.nan)])


def _distribution(values: Floats, encoding: Encoding, name: str) -> dict[str, Any]:
    given = values[~np.isnan(values)]
    missing = float(np.mean(np.isnan(values)))
    if name in encoding.categories:
        levels = encoding.categories[name]
        shares = np.bincount(given.astype(np.int64), minlength=len(levels)) / max(len(values), 1)
        return {"missing": missing, "shares": dict(zip(levels, shares.tolist(), strict=True))}
    deciles = np.quantile(given, np.linspace(0, 1, 11)).tolist() if len(given) else []
    return {"missing": missing, "deciles": deciles}
