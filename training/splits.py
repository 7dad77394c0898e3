"""Which snapshots teach and which judge: purged in time, or whole accounts where there is no time.

The folds *inside* training, grouped by account, are those of `models.ladder`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from features.errors import NotEnoughDataError
from features.schema import DAY
from models.ladder import account_folds

Accounts = npt.NDArray[np.str_]
Moments = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_EPOCH = date(1970, 1, 1)
_MONDAY = date(1970, 1, 5)


@dataclass(frozen=True)
class Split:
    """What each snapshot is used for.

    Parameters
    ----------
    train, test : ndarray of bool, shape (n,)
        Disjoint; a row in neither is purged.
    unseen : ndarray of bool, shape (n,)
        Test rows of accounts that have no training row.
    embargo : int
        Horizon and reporting lag in microseconds: how far before the first test moment training must end.
    test_from : int or None
        First test moment; None when the test set is a set of accounts, not a stretch of time.
    """

    train: Flags
    test: Flags
    unseen: Flags
    embargo: int
    test_from: int | None

    def only(self, account_id: Accounts, kept: npt.NDArray[np.int64]) -> Split:
        """Return the split of the rows at the positions `kept`; accounts that keep no training row become unseen."""
        return self.of(account_id[kept], self.train[kept], self.test[kept])

    def of(self, account_id: Accounts, train: Flags, test: Flags) -> Split:
        """Return a split of other rows with the same embargo and first test moment."""
        return Split(train, test, _unseen(account_id, train, test), self.embargo, self.test_from)

    @property
    def purged(self) -> int:
        """Number of rows that neither teach nor judge."""
        return int((~(self.train | self.test)).sum())


def moments(start: int, stop: int, every: int, at: tuple[time, ...], tz: str, *, anchor: date | None = None) -> Moments:
    """Return the snapshot moments in ``[start, stop)``: every `every` days at the given hours of a time zone.

    Parameters
    ----------
    start, stop : int, in microseconds
        Start is included, stop is not.
    every : int, in days
    at : tuple of datetime.time
        Local times of day.
    tz : str
        IANA name of the time zone the days and hours are meant in.
    anchor : datetime.date or None, default=None
        A local day that is on the grid. None counts from a Monday, so that a grid does not shift when data are added.

    Returns
    -------
    ndarray of int64
        Ascending, without repetition.

    Examples
    --------
    >>> moments(0, 10 * DAY, 7, (time(9),), "UTC").tolist()
    [378000000000]
    """
    zone = ZoneInfo(tz)
    origin = _MONDAY if anchor is None else anchor
    first = (_EPOCH + timedelta(days=start // DAY - 1) - origin).days // every
    found: set[int] = set()
    day = origin + timedelta(days=first * every)
    while day <= _EPOCH + timedelta(days=stop // DAY + 1):
        found.update(local_micros(day, hour, zone) for hour in at)
        day += timedelta(days=every)
    return np.array(sorted(moment for moment in found if start <= moment < stop), dtype=np.int64)


def local_micros(day: date, hour: time, zone: ZoneInfo) -> int:
    """Return the instant of a local day and hour in UTC microseconds."""
    return int(datetime.combine(day, hour, tzinfo=zone).timestamp()) * 1_000_000


def time_split(account_id: Accounts, as_of: Moments, teach: Moments, judge: Moments, embargo: int) -> Split:
    """Split by time: rows at the moments `judge` judge, and rows at `teach` whose outcome was known before them teach.

    A row at ``t`` teaches when ``t + embargo`` lies before the first moment that judges, where `embargo` is the horizon
    plus the reporting lag: nothing the model learnt can have been learnt from the time it is judged on.

    Raises
    ------
    NotEnoughDataError
        When there is no moment that judges.
    """
    if not len(judge):
        raise NotEnoughDataError(
            "No snapshot is left to test on.", hint="Move [split] test_from to an earlier date, or wait for outcomes."
        )
    test_from = int(judge.min())
    test = np.isin(as_of, judge)
    train = np.isin(as_of, teach) & (as_of + embargo < test_from) & ~test
    return Split(train, test, _unseen(account_id, train, test), embargo, test_from)


def account_split(account_id: Accounts, label: npt.NDArray[np.int8], folds: int, seed: int, *, fold: int = 0) -> Split:
    """Split by account, for data without time: one group of accounts in `folds` judges, the others teach.

    `fold`, counted from 0, is the group that judges: over all folds, every account judges once.

    Raises
    ------
    NotEnoughDataError
        When fewer accounts than folds have a positive row, or a negative one.
    """
    test = account_folds(account_id, label, folds=folds, seed=seed) == fold
    return Split(~test, test, test.copy(), 0, None)


def default_test_from(grid: Moments, share: float) -> int:
    """Return the moment that leaves the last `share` of the grid's time for the test."""
    first, last = int(grid.min()), int(grid.max())
    return int(grid[np.searchsorted(grid, last - share * (last - first))])


def _unseen(account_id: Accounts, train: Flags, test: Flags) -> Flags:
    return test & ~np.isin(account_id, np.unique(account_id[train]))
