"""The test snapshots, and the parts of them that are measured one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.bootstrap import Bootstrap
from training.dataset import Dataset
from training.splits import Accounts, Flags, Moments

FEWEST = 10
"""Accounts with the outcome, and accounts without it, that rows must have to be measured on."""

USE = "use"
"""The part that stands for the declared use: all rows, weighted."""


@dataclass(frozen=True)
class Part:
    """Rows of the test that are measured together.

    Parameters
    ----------
    rows : ndarray of int, shape (m,)
        Positions among the test rows.
    drawn : Bootstrap
        Their labels, accounts and weights, and the draws of the accounts.
    """

    rows: npt.NDArray[np.int64]
    drawn: Bootstrap

    @property
    def accounts(self) -> int:
        """Accounts that the rows belong to."""
        return len(self.drawn.counts[0])

    @property
    def base_rate(self) -> float:
        """Weighted share of positives."""
        return float(np.average(self.drawn.y, weights=self.drawn.weights))

    @property
    def outcomes(self) -> int:
        """Accounts with a positive row."""
        return len(np.unique(self.drawn.account[self.drawn.y > 0]))

    @property
    def is_enough(self) -> bool:
        """Whether there are outcomes enough of both kinds to be measured on."""
        return min(self.outcomes, len(np.unique(self.drawn.account[self.drawn.y == 0]))) >= FEWEST

    def mean(self, of_row: npt.NDArray[np.float64]) -> float:
        """Return the weighted mean of a number per test row."""
        return float(np.average(of_row[self.rows], weights=self.drawn.weights))


@dataclass(frozen=True)
class TestRows:
    """The n snapshots that judge.

    Parameters
    ----------
    table : pyarrow.Table of n rows
        A column per feature.
    label, account_id, as_of, weight, is_event : ndarray, shape (n,)
        As in the data set.
    unseen : ndarray of bool, shape (n,)
        Rows of accounts that no training row belongs to.
    seed : int
        Of the draws.
    origin : ndarray of str, shape (n,), optional
        Channel of the account's first touch.
    """

    # pytest would take it for a test.
    __test__ = False

    table: pa.Table
    label: npt.NDArray[np.int8]
    account_id: Accounts
    as_of: Moments
    weight: npt.NDArray[np.float64]
    is_event: Flags
    unseen: Flags
    seed: int
    origin: npt.NDArray[np.str_] | None = None

    @classmethod
    def of(cls, data: Dataset, seed: int) -> TestRows:
        """Return the test rows of a data set."""
        test = data.split.test
        return cls(
            data.table.filter(pa.array(test)),
            data.label[test],
            data.account_id[test],
            data.as_of[test],
            data.weight[test],
            data.is_event[test],
            data.split.unseen[test],
            seed,
            None if data.origin is None else data.origin[test],
        )

    def part(self, chosen: Flags, *, is_weighted: bool = True) -> Part:
        """Return some of the rows as a part.

        Parameters
        ----------
        chosen : ndarray of bool, shape (n,)
        is_weighted : bool, default=True
            Whether they count as in the declared use; else each counts 1.
        """
        rows = np.flatnonzero(chosen)
        weights = self.weight[rows] if is_weighted else None
        return Part(rows, Bootstrap.of(self.label[rows], self.account_id[rows], weights, seed=self.seed))

    def parts(self) -> Mapping[str, Part]:
        """Return the declared use, and of the other parts those that hold some of the rows but not all."""
        found = {USE: self.part(np.ones(len(self.label), dtype=np.bool_))}
        if self.is_event.any() and not self.is_event.all():
            found["grid"] = self.part(~self.is_event, is_weighted=False)
            found["event"] = self.part(self.is_event, is_weighted=False)
        if self.unseen.any() and not self.unseen.all():
            found["unseen"] = self.part(self.unseen)
        return found
