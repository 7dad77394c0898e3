"""One training run: the ladder fitted, judged and calibrated, and the bundle of its best rung."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.agreement import Agreement
from features.catalogue.assemble import points_features
from features.relations import Tables
from features.schema import DAY
from training.calibration_rule import later_slice
from training.config import TrainingConfig
from training.dataset import Dataset, Say, build_dataset
from training.evaluation import judge
from training.ladder_report import Report
from training.splits import Flags

if TYPE_CHECKING:
    from models.encoding import Encoding
    from models.ladder import FittedRung, Ladder

CROSS_FITTED = "cross-fitted margins (folds grouped by account)"
LATER_SLICE = "a later purged slice of the training time"


@dataclass(frozen=True)
class Trained:
    """A fitted ladder with all that its bundle needs.

    Parameters
    ----------
    report : Report
    dataset : Dataset
    encoding : Encoding
    ladder : Ladder
        Every rung with the calibration line it is used with.
    fitted : ndarray of bool
        Rows of the data set that the rungs were fitted on.
    X : ndarray of shape (n, n_features)
        The data set, encoded.
    config : TrainingConfig
        What the run was told.
    currency : str
        ISO 4217 code of the amounts.
    """

    report: Report
    dataset: Dataset
    encoding: Encoding
    ladder: Ladder
    fitted: Flags
    X: npt.NDArray[np.float64]
    config: TrainingConfig
    currency: str

    def save(self, folder: Path, *, trained_at: int) -> str:
        """Write the bundle of the best rung into a new folder and return its digest."""
        from models.background import fit_background
        from models.bundle import save_bundle
        from models.value import fit_value

        data, champion, rows = self.dataset, self.ladder.champion, self.fitted
        background = fit_background(
            champion,
            self.X[rows],
            data.label[rows],
            data.account_id[rows],
            data.as_of[rows],
            self.encoding,
            data.catalogue.features,
            weights=data.weight[rows],
            seed=self.report.seed,
        )
        won = rows & (data.label == 1)
        value = fit_value(
            self.X[won],
            data.amount[won],
            data.account_id[won],
            self.encoding,
            data.catalogue.features,
            currency=self.currency,
            seed=self.report.seed,
        )
        return save_bundle(
            folder,
            goal=self.config.goal,
            scorer=champion.scorer,
            calibration=champion.calibration,
            encoding=self.encoding,
            background=background,
            catalogue=data.catalogue,
            metrics=self.report.document(),
            trained_at=trained_at,
            data_from=int(data.as_of[rows].min()),
            data_until=data.data_until,
            value=value,
        )


def train_on(
    data: Dataset | Tables,
    agreement: Agreement,
    config: TrainingConfig,
    *,
    seed: int | None = None,
    say: Say | None = None,
) -> Trained:
    """Fit, judge and calibrate the ladder, without a registry.

    Parameters
    ----------
    data : Dataset, or mapping of str to pyarrow.Table
        Labelled snapshots, or the tables of a ledger to make them from.
    agreement : Agreement
    config : TrainingConfig
    seed : int, optional
        Instead of the configuration's.
    say : callable, optional
        Told what is being done.

    Raises
    ------
    NotEnoughDataError
        When there are too few outcomes to learn from.
    """
    from models.encoding import Encoding
    from models.ladder import fit_ladder

    say = say or (lambda message: None)
    config = config if seed is None else replace(config, seed=seed)
    data = data if isinstance(data, Dataset) else build_dataset(data, agreement, config, say=say)
    fitted, held = _calibration_rows(data, config)
    encoding = Encoding.fit(data.table.filter(fitted), data.catalogue.features)
    X = encoding.matrix(data.table)
    pin = None if config.goal.rung == "best" else config.goal.rung
    say(f"fitting the ladder on {int(fitted.sum()):,} snapshots")
    ladder = fit_ladder(
        X[fitted],
        data.label[fitted],
        data.account_id[fitted],
        encoding,
        stage=f"{config.goal.kind}_stage",
        points={name: points for name, points in points_features(agreement).items() if name in encoding.names},
        seed=config.seed,
        weights=data.weight[fitted],
        folds=config.split.folds,
        params=config.lightgbm,
        pin=pin,
    )
    if held is not None:
        rungs = {name: _recalibrated(rung, X[held], data, held, ladder.outcomes) for name, rung in ladder.rungs.items()}
        ladder = replace(ladder, rungs=rungs)
    say(f"{ladder.outcomes:,} winning accounts speak: the rung to beat is {ladder.default}")
    say(f"measuring on {data.counts.test:,} snapshots")
    capacity = min(max(round(agreement.capacity * data.test_weeks), 1), data.counts.test)
    report = judge(data, config, ladder, X, fitted, capacity, CROSS_FITTED if held is None else LATER_SLICE)
    return Trained(report, data, encoding, ladder, fitted, X, config, agreement.reporting_currency)


def _calibration_rows(data: Dataset, config: TrainingConfig) -> tuple[Flags, Flags | None]:
    train = data.split.train
    if data.split.test_from is None:
        return train, None
    horizon = config.goal.within_days * DAY
    slice_ = later_slice(
        data.as_of[train], data.label[train], data.account_id[train], horizon=horizon, embargo=data.split.embargo
    )
    if slice_ is None:
        return train, None
    fitted, held = np.zeros_like(train), np.zeros_like(train)
    fitted[train], held[train] = slice_.fit, slice_.calibrate
    return fitted, held


def _recalibrated(
    rung: FittedRung, X: npt.NDArray[np.float64], data: Dataset, held: Flags, outcomes: int
) -> FittedRung:
    from models.ladder import calibrate

    line = calibrate(
        rung.name,
        rung.scorer.margin(X),
        [scorer.margin(X) for scorer in rung.fit.fold_scorers],
        data.label[held],
        data.account_id[held],
        data.weight[held],
        outcomes=outcomes,
    )
    return replace(rung, calibration=line)
