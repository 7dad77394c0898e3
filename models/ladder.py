"""The ladder: every rung fitted, calibrated and compared out of fold, inside training only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from features.errors import NotEnoughDataError, UnknownError, nearest
from models import metrics
from models.arrays import Floats, Integers
from models.calibration import Platt, fit_platt
from models.encoding import Encoding
from models.fitting import Rung, Sample
from models.propensity import Scorer
from models.rungs import ladder_rungs

FOLDS = 5


@dataclass(frozen=True)
class CrossFit:
    """A rung fitted on all rows, and what it says of each row when fitted on the other accounts.

    Parameters
    ----------
    scorer : Scorer
        Fitted on all rows.
    size : int
        Trees of `scorer`: the median over the folds; 0 for a scorer without a size.
    fold : array of int, shape (n,)
        Fold of each row; rows of an account share one.
    fold_scorers : tuple of Scorer
        By fold, fitted on the rows of the other folds.
    margins : array of shape (n,)
        Out-of-fold margins.
    """

    scorer: Scorer
    size: int
    fold: Integers
    fold_scorers: tuple[Scorer, ...]
    margins: Floats

    def contributions(self, X: Floats, rows: Integers) -> Floats:
        """Return out-of-fold contributions of some training rows, of shape (n_rows, n_features + 1).

        Parameters
        ----------
        X : array of shape (n, n_features)
            The matrix that was fitted on.
        rows : array of int, shape (n_rows,)
        """
        found = np.empty((len(rows), X.shape[1] + 1))
        for fold, scorer in enumerate(self.fold_scorers):
            here = self.fold[rows] == fold
            if here.any():
                found[here] = scorer.contributions(X[rows[here]])
        return found


@dataclass(frozen=True)
class FittedRung:
    """One rung of the ladder.

    Parameters
    ----------
    name : str
    fit : CrossFit
    calibration : Platt
        Fitted on the out-of-fold margins.
    log_loss : float
        Out of fold, calibrated.
    excess, excess_error : float
        Mean of this rung's log losses minus LightGBM's on the same rows, and its standard error clustered by account.
    """

    name: str
    fit: CrossFit
    calibration: Platt
    log_loss: float
    excess: float
    excess_error: float

    @property
    def scorer(self) -> Scorer:
        """The scorer fitted on all training rows."""
        return self.fit.scorer

    @property
    def logits(self) -> Floats:
        """Calibrated out-of-fold log-odds of the training rows."""
        return self.calibration.logit(self.fit.margins)

    @property
    def is_better(self) -> bool:
        """Whether it beats LightGBM by more than one paired standard error."""
        return self.excess < -self.excess_error


@dataclass(frozen=True)
class Ladder:
    """All rungs from the simplest, and the best.

    Parameters
    ----------
    rungs : mapping of str to FittedRung
    best : str
        LightGBM, unless a simpler rung is better by more than one paired standard error; or the rung that was pinned.
    """

    rungs: Mapping[str, FittedRung]
    best: str

    @property
    def champion(self) -> FittedRung:
        """The best rung."""
        return self.rungs[self.best]


def fit_ladder(
    X: Floats,
    y: ArrayLike,
    groups: ArrayLike,
    encoding: Encoding,
    *,
    stage: str,
    seed: int,
    weights: ArrayLike | None = None,
    folds: int = FOLDS,
    params: Mapping[str, Any] | None = None,
    pin: str | None = None,
) -> Ladder:
    """Fit, calibrate and compare the rungs on training rows.

    Parameters
    ----------
    X : array of shape (n, n_features)
        Encoded features.
    y : array of shape (n,)
        Labels in {0, 1}.
    groups : array of shape (n,)
        Account of each row.
    encoding : Encoding
        What made `X`.
    stage : str
        The feature that holds the stage, e.g. ``new_stage``.
    seed : int
        Of the folds and of boosting.
    weights : array of shape (n,), optional
    folds : int, default=5
    params : mapping, optional
        Replaces or adds to `models.rungs.LIGHTGBM`.
    pin : str, optional
        Name of the rung to call best whatever the figures say.

    Raises
    ------
    NotEnoughDataError
        When fewer accounts than folds have a positive row, or a negative one.
    UnknownError
        When the stage feature or the pinned rung does not exist.
    """
    rungs = ladder_rungs(encoding, stage, params)
    names = [rung.name for rung in rungs]
    if pin is not None and pin not in names:
        raise UnknownError(f"There is no rung {pin!r}.{nearest(pin, names)} Allowed: {', '.join(names)}.")
    labels, w = np.asarray(y, dtype=np.float64), _weights(weights, len(X))
    fits = {rung.name: cross_fit(rung, X, labels, groups, folds=folds, seed=seed, weights=w) for rung in rungs}
    lines = {name: fit_platt(fit.margins, labels, w) for name, fit in fits.items()}
    losses = {name: metrics.log_losses(labels, lines[name].logit(fit.margins)) for name, fit in fits.items()}
    fitted = {}
    for name, fit in fits.items():
        excess, error = metrics.clustered_mean(losses[name] - losses["lightgbm"], groups, w)
        fitted[name] = FittedRung(name, fit, lines[name], float(np.average(losses[name], weights=w)), excess, error)
    better = [rung for rung in fitted.values() if rung.is_better]
    best = min(better, key=lambda rung: rung.log_loss).name if better else "lightgbm"
    return Ladder(fitted, pin or best)


def cross_fit(
    rung: Rung,
    X: Floats,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    folds: int = FOLDS,
    seed: int,
    weights: ArrayLike | None = None,
) -> CrossFit:
    """Fit a rung in folds grouped by account, then on all rows at the median size.

    Out-of-fold margins are taken at the median size too, not at each fold's own best one: that would let a fold choose
    its size on the rows it is judged by.

    Raises
    ------
    NotEnoughDataError
        When fewer accounts than folds have a positive row, or a negative one.
    """
    of_row = np.unique(np.asarray(groups), return_inverse=True)[1]
    sample = Sample(X, np.asarray(y, dtype=np.float64), _weights(weights, len(X)), of_row)
    fold = account_folds(groups, sample.y, folds=folds, seed=seed)
    grown = [
        rung.grow(sample.take(np.flatnonzero(fold != held_out)), sample.take(np.flatnonzero(fold == held_out)), seed)
        for held_out in range(folds)
    ]
    size = int(np.median([one.size for one in grown]))
    scorers = tuple(one.scorer(size) for one in grown)
    margins = np.empty(len(X))
    for held_out, scorer in enumerate(scorers):
        margins[fold == held_out] = scorer.margin(X[fold == held_out])
    return CrossFit(rung.fit(sample, size, seed), size, fold, scorers, margins)


def account_folds(groups: ArrayLike, y: ArrayLike, *, folds: int, seed: int) -> Integers:
    """Return the fold of each row, of shape (n,): rows of an account share one.

    Accounts with a positive row are dealt out first, then the others, each in random order, so that folds are alike.

    Raises
    ------
    NotEnoughDataError
        When fewer accounts than folds have a positive row, or a negative one.
    """
    of_row = np.unique(np.asarray(groups), return_inverse=True)[1]
    labels = np.asarray(y, dtype=np.float64)
    accounts = int(of_row.max(initial=-1)) + 1
    positive = np.bincount(of_row, weights=labels, minlength=accounts) > 0
    negative = np.bincount(of_row, weights=1 - labels, minlength=accounts) > 0
    for kind, number in (("positive", int(positive.sum())), ("negative", int(negative.sum()))):
        if number < folds:
            raise NotEnoughDataError(
                f"Training needs at least {folds} accounts with a {kind} outcome. Got {number} instead.",
                hint="Import a longer history, widen the snapshots, or choose a goal that more accounts reach.",
            )
    random = np.random.default_rng(seed)
    dealt = np.lexsort((random.random(accounts), ~positive))
    of_account = np.empty(accounts, dtype=np.int64)
    of_account[dealt] = np.arange(accounts) % folds
    return of_account[of_row]


def _weights(weights: ArrayLike | None, rows: int) -> Floats:
    return np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
