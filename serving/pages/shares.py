"""Numbers that still add up when they are rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def rounded(parts: Sequence[float], total: float, digits: int) -> list[float]:
    """Round parts so that they add up to the rounded total, by the method of the largest remainder.

    Each part is rounded down to the last digit shown; the units that are then missing go to the parts that lost most.

    Parameters
    ----------
    parts : sequence of float
        Sum to `total` before rounding.
    total : float
        As it is shown; it has no more than `digits` decimals.
    digits : int
        Decimals.

    Returns
    -------
    list of float
        Each less than one unit of the last digit away from its part.

    Examples
    --------
    >>> rounded([0.333, 0.333, 0.334], 1.0, 1)
    [0.3, 0.3, 0.4]
    >>> rounded([-1.26, 0.06, 2.0], 0.8, 1)
    [-1.3, 0.1, 2.0]
    """
    unit = 10**digits
    exact = np.asarray(parts, dtype=np.float64) * unit
    down = np.floor(exact)
    missing = round(total * unit) - int(down.sum())
    order = np.argsort(-(exact - down), kind="stable")
    # Cycled, since the total was rounded too: one unit more may be missing than there are parts.
    for step in range(abs(missing)):
        down[order[step % len(order)] if missing > 0 else order[-1 - step % len(order)]] += math.copysign(1, missing)
    return [math.copysign(abs(value) / unit, value) if value else 0.0 for value in down.tolist()]
