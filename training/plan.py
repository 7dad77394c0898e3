"""The moments of the grid, and the stretches of time in which snapshots teach and judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from zoneinfo import ZoneInfo

import numpy as np

from features.labels import Cases, Pairs
from training.config import TrainingConfig
from training.splits import (
    Accounts,
    Flags,
    Moments,
    Split,
    account_split,
    default_test_from,
    local_micros,
    moments,
    time_split,
)


@dataclass(frozen=True)
class Plan:
    """When snapshots are taken.

    Parameters
    ----------
    teach, judge : ndarray of int64
        Moments of the grid that may teach and that judge, UTC microseconds.
    teach_from, teach_to : int
        The stretch of time that `teach` lies in, end excluded.
    judge_to : int
        End of the stretch that `judge` lies in, excluded.
    is_told : bool
        Whether the test moments were given; else they are the end of `teach`, found among complete outcomes.
    """

    teach: Moments
    judge: Moments
    teach_from: int
    teach_to: int
    judge_to: int
    is_told: bool

    @classmethod
    def of(cls, config: TrainingConfig, data_from: int, data_until: int) -> Plan:
        """Return the plan of a configuration for a ledger whose facts span ``[data_from, data_until]``."""
        told, split = config.snapshots, config.split
        zone = ZoneInfo(told.tz)

        def start(day: date | None, otherwise: int) -> int:
            return otherwise if day is None else local_micros(day, time(), zone)

        until = data_until + 1
        teach_from, teach_to = start(told.from_, data_from), start(told.to, until)
        teach = moments(teach_from, teach_to, told.every, told.at, told.tz, anchor=told.from_)
        if split.kind == "folds" or split.test_from is None:
            return cls(teach, teach[:0], teach_from, teach_to, teach_to, False)
        judge_from, judge_to = start(split.test_from, 0), start(split.test_to, until)
        judge = moments(judge_from, judge_to, split.test_every, split.test_at, told.tz, anchor=split.test_from)
        return cls(teach, judge, teach_from, teach_to, judge_to, True)

    @property
    def grid(self) -> Moments:
        """All moments of the grid."""
        return np.union1d(self.teach, self.judge)

    def divide(self, config: TrainingConfig, cases: Cases, grid: Pairs, account_id: Accounts) -> Split:
        """Return what each pair of the grid whose outcome is complete is used for.

        Raises
        ------
        NotEnoughDataError
            When nothing is left to test on, or there are fewer accounts than folds.
        """
        split = config.split
        if split.kind == "folds":
            return account_split(account_id, cases.label(grid).label, split.folds, config.seed, fold=split.fold)
        judge = self.judge
        if not self.is_told:
            usable = np.unique(grid.as_of)
            judge = usable[usable >= default_test_from(usable, split.test_share)]
        return time_split(account_id, grid.as_of, self.teach, judge, cases.horizon + cases.lag)

    def divide_events(self, events: Pairs, grid: Pairs, divided: Split) -> tuple[Flags, Flags]:
        """Return which event-triggered pairs teach and which judge, as the grid was divided."""
        taught = (self.teach_from <= events.as_of) & (events.as_of < self.teach_to)
        if divided.test_from is None:
            train, test = (np.isin(events.account, grid.account[rows]) for rows in (divided.train, divided.test))
            return taught & train, taught & test
        test = (divided.test_from <= events.as_of) & (events.as_of < self.judge_to)
        return taught & (events.as_of + divided.embargo < divided.test_from), test
