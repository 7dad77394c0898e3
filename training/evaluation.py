"""How good every rung of a fitted ladder is on the test snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.config import TrainingConfig
from training.dataset import Dataset
from training.ladder_report import Report, RungReport
from training.splits import Flags

if TYPE_CHECKING:
    from models.ladder import Ladder

_FEWEST_UNSEEN = 10
"""Outcomes of either kind that unseen accounts must have to be measured on."""


def judge(
    data: Dataset,
    config: TrainingConfig,
    ladder: Ladder,
    X: npt.NDArray[np.float64],
    fitted: Flags,
    capacity: int,
    calibration: str,
) -> Report:
    """Return the report of a run: every rung on the test snapshots, with calibrated log-odds.

    Parameters
    ----------
    data : Dataset
    config : TrainingConfig
    ladder : Ladder
        Every rung with the calibration line it is used with.
    X : ndarray of shape (n, n_features)
        The data set, encoded.
    fitted : ndarray of bool, shape (n,)
        Rows that the rungs were fitted on.
    capacity : int
        Test snapshots the team could have acted on.
    calibration : str
        What the calibration line was fitted on.
    """
    split, account = data.split, data.account_id
    share = capacity / max(data.counts.test, 1)
    rungs = []
    for name, rung in ladder.rungs.items():
        logit = np.full(len(X), np.nan)
        logit[split.test] = rung.calibration.logit(rung.scorer.margin(X[split.test]))
        measured = _measurer(data, logit, config.seed)
        unseen = measured(split.unseen, share) if _can_measure(data.label[split.unseen]) else None
        test = measured(split.test, share)
        rungs.append(RungReport(name, rung.fit.size, test, unseen, rung.log_loss, rung.excess, rung.excess_error))
    return Report(
        goal=config.goal.name,
        rungs=tuple(rungs),
        best=ladder.best,
        pinned=config.goal.rung != "best",
        calibration=calibration,
        counts=data.counts,
        base_rate=float(data.label[fitted].mean()),
        accounts_train=len(np.unique(account[split.train])),
        accounts_test=len(np.unique(account[split.test])),
        accounts_unseen=len(np.unique(account[split.unseen])),
        data_from=data.data_from,
        data_until=data.data_until,
        lag=data.lag,
        lag_is_assumed=data.lag_is_assumed,
        test_from=split.test_from,
        capacity=capacity,
        digest=data.digest,
        seed=config.seed,
    )


def _measurer(
    data: Dataset, logit: npt.NDArray[np.float64], seed: int
) -> Callable[[Flags, float], Mapping[str, float]]:
    from models.metrics import summary

    def measured(rows: Flags, share: float) -> Mapping[str, float]:
        capacity = share * float(rows.sum())
        return summary(data.label[rows], logit[rows], accounts=data.account_id[rows], capacity=capacity, seed=seed)

    return measured


def _can_measure(labels: npt.NDArray[np.int8]) -> bool:
    positive = int(labels.sum())
    return min(positive, len(labels) - positive) >= _FEWEST_UNSEEN
