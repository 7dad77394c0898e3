"""The ladder: every rung fitted, calibrated and compared out of fold, inside training only.

How many outcomes speak decides where the burden of proof lies. With fewer than `FEW` winning accounts the default is
the shrunk rung, which the free logistic regression or LightGBM may beat; from then on it is LightGBM, which any rung
may beat. To beat is to have the lower log loss out of fold by more than one paired standard error. A single winning
account can not be held out: then the rungs that need no fold are fitted, and the default is best without a comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.errors import NotEnoughDataError, UnknownError, nearest
from models import metrics
from models.arrays import Floats, Integers
from models.calibration import Platt, fit_platt
from models.encoding import Encoding
from models.fitting import Rung, Sample
from models.propensity import Scorer
from models.rungs import ladder_rungs
from models.uncertainty import fit_band

Flags = NDArray[np.bool_]

FOLDS = 5

FEW = 200
"""Winning accounts from which LightGBM is the default (decision 7 has the curve it was chosen by)."""

_FOLDLESS = ("base_rate", "stage_table", "points", "shrunk")


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
        By fold, fitted on the rows of the other folds; none when there are too few outcomes for two folds.
    margins : array of shape (n,)
        Out-of-fold margins, or those of `scorer` when there are no folds.
    siblings : tuple of array of shape (n,)
        What each of the fold scorers says of every row, for the jackknife.
    """

    scorer: Scorer
    size: int
    fold: Integers
    fold_scorers: tuple[Scorer, ...]
    margins: Floats
    siblings: tuple[Floats, ...]

    def contributions(self, X: Floats, rows: Integers) -> Floats:
        """Return out-of-fold contributions of some training rows, of shape (n_rows, n_features + 1).

        Parameters
        ----------
        X : array of shape (n, n_features)
            The matrix that was fitted on.
        rows : array of int, shape (n_rows,)
        """
        if not self.fold_scorers:
            return self.scorer.contributions(X[rows])
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
        Fitted on the out-of-fold margins, with the band of its interval.
    log_loss : float
        Out of fold, calibrated.
    excess, excess_error : float
        Mean of this rung's log losses minus the default rung's on the same rows, and its standard error clustered by
        account.
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
        """Whether it beats the default rung by more than one paired standard error."""
        return self.excess < -self.excess_error


@dataclass(frozen=True)
class Ladder:
    """All rungs from the simplest, and the best.

    Parameters
    ----------
    rungs : mapping of str to FittedRung
    best : str
        The default, unless a rival is better by more than one paired standard error; or the rung that was pinned.
    default : str
        The rung that the others have to beat: ``shrunk`` while fewer than `FEW` winning accounts speak, then
        ``lightgbm``.
    outcomes : int
        Winning accounts that the rungs were fitted on.
    """

    rungs: Mapping[str, FittedRung]
    best: str
    default: str
    outcomes: int

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
    points: Mapping[str, float],
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
    points : mapping of str to float
        Points of the agreement by feature.
    seed : int
        Of the folds and of boosting.
    weights : array of shape (n,), optional
    folds : int, default=5
        At most; no more than there are accounts of either outcome.
    params : mapping, optional
        Replaces or adds to `models.rungs.LIGHTGBM`.
    pin : str, optional
        Name of the rung to call best whatever the figures say.

    Raises
    ------
    NotEnoughDataError
        When no account has a positive row, or none a negative one, or the pinned rung needs more of them.
    UnknownError
        When a feature or the pinned rung does not exist.
    """
    rungs = {rung.name: rung for rung in ladder_rungs(encoding, stage, points, params)}
    if pin is not None and pin not in rungs:
        raise UnknownError(f"There is no rung {pin!r}.{nearest(pin, rungs)} Allowed: {', '.join(rungs)}.")
    labels, w = np.asarray(y, dtype=np.float64), _weights(weights, len(X))
    outcomes, others = (int(accounts.sum()) for accounts in _outcomes(groups, labels)[1:])
    folds = min(folds, outcomes, others)
    if folds < 2:
        rungs = {name: rungs[name] for name in _FOLDLESS}
    if pin is not None and pin not in rungs:
        raise NotEnoughDataError(
            f"The rung {pin!r} needs at least 2 accounts of either outcome. Got {outcomes} and {others} instead.",
            hint=f'Pin one of {", ".join(rungs)}, or let the evidence choose: rung = "best".',
        )
    default = "shrunk" if outcomes < FEW else "lightgbm"
    fits = {name: cross_fit(rung, X, labels, groups, folds=folds, seed=seed, weights=w) for name, rung in rungs.items()}
    lines = {
        name: calibrate(name, fit.margins, fit.siblings, labels, groups, w, outcomes=outcomes)
        for name, fit in fits.items()
    }
    losses = {name: metrics.log_losses(labels, lines[name].logit(fit.margins)) for name, fit in fits.items()}
    fitted = {}
    for name, fit in fits.items():
        excess, error = metrics.clustered_mean(losses[name] - losses[default], groups, w)
        fitted[name] = FittedRung(name, fit, lines[name], float(np.average(losses[name], weights=w)), excess, error)
    # The shrunk rung starts from the simpler ones: what speaks for them with few outcomes is chance.
    rivals = [name for name in fitted if default == "lightgbm" or name not in _FOLDLESS]
    better = [fitted[name] for name in rivals if fitted[name].is_better]
    best = min(better, key=lambda rung: rung.log_loss).name if better else default
    return Ladder(fitted, pin or best, default, outcomes)


def calibrate(
    name: str,
    margins: Floats,
    siblings: Sequence[Floats],
    y: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike,
    *,
    outcomes: int,
) -> Platt:
    """Return the calibration line of a rung, with the band of its interval.

    The shrunk rung with few outcomes keeps the line of its prior, ``a = 1, b = 0``: it is calibrated as it stands, and
    a line through a handful of outcomes would add more noise than it takes away.

    Parameters
    ----------
    name : str
        Of the rung.
    margins : array of shape (n,)
        Of rows that its scorer has not seen.
    siblings : sequence of array of shape (n,)
        What the scorer of each fold says of these rows.
    y, groups, weights : array of shape (n,)
        Labels, accounts and weights of these rows.
    outcomes : int
        Winning accounts that the rung was fitted on.
    """
    line = Platt(1.0, 0.0) if name == "shrunk" and outcomes < FEW else fit_platt(margins, y, weights)
    return replace(line, band=fit_band(line.a, line.b, margins, y, groups, weights, siblings=siblings))


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

    With fewer than two folds nothing is held out: margins are those of the rows the scorer was fitted on, which only a
    rung without a size can give.

    Raises
    ------
    NotEnoughDataError
        When fewer accounts than folds have a positive row, or a negative one.
    """
    of_row = np.unique(np.asarray(groups), return_inverse=True)[1]
    sample = Sample(X, np.asarray(y, dtype=np.float64), _weights(weights, len(X)), of_row)
    fold = account_folds(groups, sample.y, folds=max(folds, 1), seed=seed)
    if folds < 2:
        scorer = rung.fit(sample, 0, seed)
        return CrossFit(scorer, 0, fold, (), scorer.margin(X), ())
    grown = [
        rung.grow(sample.take(np.flatnonzero(fold != held_out)), sample.take(np.flatnonzero(fold == held_out)), seed)
        for held_out in range(folds)
    ]
    size = int(np.median([one.size for one in grown]))
    scorers = tuple(one.scorer(size) for one in grown)
    siblings = tuple(scorer.margin(X) for scorer in scorers)
    margins = np.stack(siblings)[fold, np.arange(len(X))]
    return CrossFit(rung.fit(sample, size, seed), size, fold, scorers, margins, siblings)


def account_folds(groups: ArrayLike, y: ArrayLike, *, folds: int, seed: int) -> Integers:
    """Return the fold of each row, of shape (n,): rows of an account share one.

    Accounts with a positive row are dealt out first, then the others, each in random order, so that folds are alike.

    Raises
    ------
    NotEnoughDataError
        When fewer accounts than folds have a positive row, or a negative one.
    """
    of_row, positive, negative = _outcomes(groups, y)
    accounts = len(positive)
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


def _outcomes(groups: ArrayLike, y: ArrayLike) -> tuple[Integers, Flags, Flags]:
    """Return the account of each row, and per account whether it has a positive and a negative row."""
    of_row = np.unique(np.asarray(groups), return_inverse=True)[1]
    labels = np.asarray(y, dtype=np.float64)
    accounts = int(of_row.max(initial=-1)) + 1
    positive = np.bincount(of_row, weights=labels, minlength=accounts) > 0
    negative = np.bincount(of_row, weights=1 - labels, minlength=accounts) > 0
    return of_row, positive, negative


def _weights(weights: ArrayLike | None, rows: int) -> Floats:
    return np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
