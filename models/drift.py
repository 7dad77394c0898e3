"""How far a distribution has moved: the population stability index, and what chance alone would make of it.

``PSI = sum_b (q_b - p_b) ln(q_b / p_b)`` over bins fixed from the expected sample, in which p and q are the shares
expected and found. By custom less than 0.1 is no change, and more than 0.2 one to act on. Two samples of the same
distribution, of n and m independent units, give ``PSI ~ chi2(B - 1) (1/n + 1/m)``: small samples move by themselves.

References
----------
B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model
Validation 14, 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Floats

BINS = 10

_SMALLEST = 1e-4
"""Share taken for an empty bin, so that the logarithm is finite."""


def bin_edges(expected: ArrayLike, bins: int = BINS) -> Floats:
    """Return the inner edges of bins of equal count; equal values share a bin, so that there may be fewer."""
    inner = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    edges: Floats = np.unique(np.quantile(np.asarray(expected, dtype=np.float64), inner, method="inverted_cdf"))
    return edges


def stability_index(expected: ArrayLike, found: ArrayLike, edges: ArrayLike | None = None) -> float:
    """Return the population stability index of two samples.

    Parameters
    ----------
    expected, found : array of shape (n,), (m,)
    edges : array, optional
        Inner edges of the bins; those of `expected` unless given. A value on an edge belongs below it.

    Examples
    --------
    >>> stability_index(range(100), range(100))
    0.0
    >>> round(stability_index([0, 1], [0, 1, 1, 1], edges=[0]), 3)
    0.275
    """
    inner = bin_edges(expected) if edges is None else np.asarray(edges, dtype=np.float64)
    p, q = _shares(expected, inner), _shares(found, inner)
    return float(np.sum((q - p) * np.log(q / p)))


def chance_index(bins: int, expected: int, found: int, level: float = 0.95) -> float:
    """Return the index that two samples of one distribution exceed with probability 1 - `level`.

    Parameters
    ----------
    bins : int
    expected, found : int
        Independent units of either sample: accounts, not rows.
    level : float, default=0.95
    """
    from scipy.stats import chi2

    if bins < 2:
        return 0.0
    return float(chi2.ppf(level, bins - 1)) * (1.0 / max(expected, 1) + 1.0 / max(found, 1))


def _shares(values: ArrayLike, edges: Floats) -> Floats:
    at = np.searchsorted(edges, np.asarray(values, dtype=np.float64), side="left")
    shares: Floats = np.maximum(np.bincount(at, minlength=len(edges) + 1) / max(len(at), 1), _SMALLEST)
    return shares
