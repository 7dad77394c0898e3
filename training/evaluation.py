"""How good models are on the test snapshots, with intervals: every rung of a ladder, or one that was trained before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.bootstrap import Bootstrap, Estimate, Measured
from models.calibration import Platt
from models.metrics import log_losses
from models.propensity import Scorer
from training.config import TrainingConfig
from training.dataset import Dataset
from training.diagnosis import diagnose
from training.importance import explain_sample, importance
from training.ladder_report import PartReport, Report, RungReport
from training.parts import USE, Part, TestRows
from training.splits import Flags

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.ladder import FittedRung, Ladder

_Floats = npt.NDArray[np.float64]


def judge(
    data: Dataset,
    config: TrainingConfig,
    ladder: Ladder,
    X: _Floats,
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
    drawn = Bootstrap.of(data.label[fitted], data.account_id[fitted], data.weight[fitted], seed=config.seed)
    best = _losses(drawn, ladder.champion)
    contenders = {
        name: _Contender(
            rung.scorer,
            rung.calibration,
            rung.fit.size,
            _InTraining(
                rung.log_loss,
                rung.excess,
                rung.excess_error,
                None if name == ladder.best else drawn.mean(_losses(drawn, rung) - best),
            )
            if rung.fit.fold_scorers
            else _InTraining(),
        )
        for name, rung in ladder.rungs.items()
    }
    return _report(
        data,
        config,
        contenders,
        X,
        best=ladder.best,
        default=ladder.default,
        taught=fitted,
        capacity=capacity,
        calibration=calibration,
        pinned=config.goal.rung != "best",
    )


def judge_bundle(data: Dataset, config: TrainingConfig, bundle: Bundle, capacity: int) -> Report:
    """Return the report of a model that was trained before, on the test snapshots of a data set.

    Parameters
    ----------
    data : Dataset
        Whose test snapshots the model has not learnt from.
    config : TrainingConfig
    bundle : Bundle
    capacity : int
        Test snapshots the team could have acted on.
    """
    return _report(
        data,
        config,
        {bundle.rung: _Contender(bundle.scorer, bundle.calibration, 0, _InTraining())},
        bundle.encoding.matrix(data.table),
        best=bundle.rung,
        default=None,
        taught=data.split.train,
        capacity=capacity,
        calibration=str(bundle.metrics.get("calibration", "data of its own run")),
        pinned=False,
    )


@dataclass(frozen=True)
class _InTraining:
    log_loss: float | None = None
    excess: float | None = None
    excess_error: float | None = None
    out_of_fold: Estimate | None = None


@dataclass(frozen=True)
class _Contender:
    scorer: Scorer
    calibration: Platt
    trees: int
    in_training: _InTraining


def _losses(drawn: Bootstrap, rung: FittedRung) -> _Floats:
    """Return the out-of-fold log losses of the rows the ladder was fitted on."""
    return log_losses(drawn.y, rung.logits)


def _report(
    data: Dataset,
    config: TrainingConfig,
    contenders: Mapping[str, _Contender],
    X: _Floats,
    *,
    best: str,
    default: str | None,
    taught: Flags,
    capacity: int,
    calibration: str,
    pinned: bool,
) -> Report:
    tested, account, positive = TestRows.of(data, config.seed), data.account_id, data.label > 0
    parts, rows = tested.parts(), X[data.split.test]
    logits = {name: one.calibration.logit(one.scorer.margin(rows)) for name, one in contenders.items()}
    measured = {
        part: {name: _measure(chosen, logit, capacity / len(rows)) for name, logit in logits.items()}
        for part, chosen in parts.items()
        if chosen.is_enough
    }
    champion = contenders[best]
    explained = explain_sample(
        champion.scorer, champion.calibration, rows, data.catalogue.features, tested.weight, config.seed
    )
    return Report(
        goal=config.goal.name,
        rungs=tuple(_rung(name, one, measured, best) for name, one in contenders.items()),
        best=best,
        default=default,
        pinned=pinned,
        calibration=calibration,
        counts=data.counts,
        base_rate=float(np.average(data.label[taught], weights=data.weight[taught])) if taught.any() else 0.0,
        accounts_train=len(np.unique(account[data.split.train])),
        accounts_test=len(np.unique(tested.account_id)),
        accounts_unseen=len(np.unique(tested.account_id[tested.unseen])),
        outcomes_train=len(np.unique(account[taught & positive])),
        outcomes_test=parts[USE].outcomes,
        data_from=data.data_from,
        data_until=data.data_until,
        lag=data.lag,
        lag_is_assumed=data.lag_is_assumed,
        test_from=data.split.test_from,
        capacity=capacity,
        digest=data.digest,
        seed=config.seed,
        parts={
            name: PartReport(len(part.rows), part.accounts, part.outcomes, part.base_rate, part.is_enough)
            for name, part in parts.items()
        },
        diagnosis=diagnose(tested, parts, logits[best]),
        importance=importance(explained),
    )


def _measure(part: Part, logit: _Floats, share: float) -> Measured:
    return part.drawn.measure(logit[part.rows], capacity=share * float(part.drawn.weights.sum()))


def _rung(name: str, one: _Contender, measured: Mapping[str, Mapping[str, Measured]], best: str) -> RungReport:
    return RungReport(
        name=name,
        trees=one.trees,
        parts={USE: {}} | {part: of_rung[name].estimates() for part, of_rung in measured.items()},
        difference={}
        if name == best
        else {USE: {}} | {part: of_rung[name].minus(of_rung[best]) for part, of_rung in measured.items()},
        log_loss=one.in_training.log_loss,
        excess=one.in_training.excess,
        excess_error=one.in_training.excess_error,
        out_of_fold=one.in_training.out_of_fold,
    )
