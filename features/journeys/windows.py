"""Which touches lie within reach of a journey, for all journeys at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.journeys.journeys import Bools, Ints


@dataclass(frozen=True)
class Windows:
    """Runs of touches: of journey i those from `first[i]` to `stop[i]`, the latter excluded.

    Parameters
    ----------
    first, stop : array of int64, shape (n,)
    reach : array of int64, shape (n,)
        Where each run would begin without a limit on the number of touches.
    """

    first: Ints
    stop: Ints
    reach: Ints

    @property
    def touch(self) -> Ints:
        """The touches of all journeys, one journey after the other."""
        size = self.stop - self.first
        before = np.cumsum(size) - size
        return np.asarray(np.arange(int(size.sum())) + np.repeat(self.first - before, size))

    @property
    def offset(self) -> Ints:
        """Where the touches of each journey begin in `touch`, of shape (n + 1,)."""
        return np.concatenate(([0], np.cumsum(self.stop - self.first)))


def find_windows(owner_offset: Ints, occurred_at: Ints, owner: Ints, after: Ints, before: Ints, most: int) -> Windows:
    """Return the touches of each owner that lie strictly between two moments.

    Parameters
    ----------
    owner_offset : array of int64, shape (number of owners + 1,)
        The touches of owner k are those from owner_offset[k] to owner_offset[k + 1].
    occurred_at : array of int64, shape (m,)
        When each touch was; ascending within an owner.
    owner, after, before : array of int64, shape (n,)
        Whose touches a journey takes, and the two moments.
    most : int
        At most so many, the latest; 0 for no limit.
    """
    low, high = owner_offset[owner], owner_offset[owner + 1]
    reach = _bisect(occurred_at, low, high, after + 1)
    stop = np.maximum(_bisect(occurred_at, low, high, before), reach)
    return Windows(np.maximum(reach, stop - most) if most else reach, stop, reach)


def covered(first: Ints, stop: Ints, size: int) -> Bools:
    """Return which of `size` rows lie in at least one of the runs."""
    edges = np.bincount(first, minlength=size + 1) - np.bincount(stop, minlength=size + 1)
    return np.asarray(np.cumsum(edges)[:size] > 0)


def _bisect(values: Ints, low: Ints, high: Ints, wanted: Ints) -> Ints:
    """Return, for each stretch of ascending values, the first place whose value is at least the wanted one."""
    low, high = low.copy(), high.copy()
    while (open_ := np.flatnonzero(low < high)).size:
        middle = (low[open_] + high[open_]) // 2
        below = values[middle] < wanted[open_]
        low[open_[below]] = middle[below] + 1
        high[open_[~below]] = middle[~below]
    return low
