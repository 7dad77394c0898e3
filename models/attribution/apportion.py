"""Whole numbers in given proportions: the method of the largest remainder."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from models.arrays import Floats, Integers

_EXACT_BELOW = 2**45
"""Amounts for which the rounding errors of all shares together, some 20 units in the last place, stay far below 1."""

_STEPS = 2**30
"""Remainders that differ by less than one of so many parts are equal: what differs there are rounding errors."""


def apportion(amount: Integers, weight: Floats, size: Integers) -> Integers:
    """Share whole amounts in proportion to weights, so that the shares of each amount make exactly that amount.

    Every share is rounded towards 0, and the units that are left go one each to the largest remainders; among equal
    ones, to one part in 10^9, the first. A weight of 0 gets nothing; a negative amount is shared as its opposite is.

    Parameters
    ----------
    amount : array of int64, shape (g,)
        In any unit that can not be divided, such as a cent.
    weight : array of shape (k,)
        At least 0 and, within each amount, not all 0. Those of one amount lie together.
    size : array of int64, shape (g,)
        How many weights belong to each amount, at least 1; they sum to k.

    Returns
    -------
    array of int64, shape (k,)

    References
    ----------
    M. L. Balinski and H. P. Young, Fair Representation, 2nd edition, 2001, appendix A: the method of Hamilton.

    Examples
    --------
    >>> apportion(np.array([100, -7]), np.array([1.0, 1.0, 1.0, 2.0, 1.0]), np.array([3, 2]))
    array([34, 33, 33, -5, -2])
    """
    if not len(amount):
        return np.zeros(0, dtype=np.int64)
    start = np.cumsum(size) - size
    whole = np.abs(amount)
    exact = np.repeat(whole.astype(np.float64), size)
    exact *= weight / np.repeat(np.add.reduceat(weight, start), size)
    share = np.floor(exact).astype(np.int64)
    left = whole - np.add.reduceat(share, start)
    # One key for the amount and, from the largest on, the remainder; a stable sort keeps equal ones in order.
    key = np.repeat(np.arange(1, len(size) + 1) * _STEPS, size)
    key -= np.rint((exact - share) * _STEPS).astype(np.int64)
    rank = np.arange(len(weight)) - np.repeat(start, size)
    share[np.argsort(key, kind="stable")] += rank < np.repeat(left, size)
    for huge in np.flatnonzero(whole >= _EXACT_BELOW):
        part = slice(start[huge], start[huge] + size[huge])
        share[part] = _apportion_exactly(int(whole[huge]), weight[part])
    share *= np.repeat(np.sign(amount), size)
    return share


def _apportion_exactly(amount: int, weight: Floats) -> Integers:
    """Share one amount without rounding on the way, whatever its size."""
    weights = [Fraction(one) for one in weight.tolist()]
    unit = Fraction(amount) / sum(weights)
    exact = [one * unit for one in weights]
    share = [int(one) for one in exact]
    for place in sorted(range(len(exact)), key=lambda at: share[at] - exact[at])[: amount - sum(share)]:
        share[place] += 1
    return np.array(share, dtype=np.int64)
