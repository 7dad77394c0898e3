"""The search for better parameters of the boosted rung: inside the training time, folds purged, a budget of time.

Every trial is judged on folds that lie later than what taught it, and horizon and reporting lag apart, as the test
lies later than training. The last fold is kept from the search: on it alone the best trial is compared with the
parameters in use, because the best of many is the luckiest of them too. The test is never seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from features.errors import NotEnoughDataError
from models.bootstrap import Bootstrap, Estimate
from models.encoding import Encoding
from models.fitting import Sample
from models.ladder import account_folds
from models.metrics import log_loss, log_losses
from models.rungs import LIGHTGBM, LightgbmRung
from training.config import TrainingConfig
from training.dataset import Dataset, Say
from training.splits import Flags

if TYPE_CHECKING:
    import optuna

SEARCH_FOLDS = 3
"""Folds that judge trials; one more is kept for the end."""

FEWEST = 10
"""Accounts with the outcome, and without, that either side of a fold must have."""

FIRST_SHARE = 0.4
"""Share of the usable training time that lies before the first fold."""

SPACE: Mapping[str, tuple[float, float]] = {
    "learning_rate": (0.01, 0.15),
    "num_leaves": (4, 64),
    "min_data_in_leaf": (10, 400),
    "feature_fraction": (0.1, 1.0),
    "bagging_fraction": (0.4, 1.0),
    "lambda_l2": (0.1, 200.0),
    "cat_smooth": (1.0, 200.0),
}
"""Lowest and highest value of what is searched, on a logarithmic scale; fractions on a plain one."""

BY_TIME = "later than what taught, purged"
BY_ACCOUNT = "other accounts than taught, as there is too little time for later folds"


@dataclass(frozen=True)
class Trial:
    """One set of parameters that was tried.

    Parameters
    ----------
    params : mapping of str to float
    log_loss : float or None
        Mean over the folds of the search; None for a trial that was given up.
    seconds : float
    """

    params: Mapping[str, float]
    log_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Parameters
    ----------
    params : mapping of str to float
        The best trial's where it is proven better than the parameters in use, else those; with what the run was told
        besides.
    trials : tuple of Trial
        In the order of their making; the first has the parameters in use.
    folds : str
        `BY_TIME` or `BY_ACCOUNT`.
    improvement : Estimate
        Log loss of the best less that of the parameters in use, on the fold no trial was judged on.
    """

    params: Mapping[str, float]
    trials: tuple[Trial, ...]
    folds: str
    improvement: Estimate

    @classmethod
    def of(cls, told: Mapping[str, float], trials: tuple[Trial, ...], folds: str, improvement: Estimate) -> Tuned:
        """Choose between the parameters in use, those of the first trial, and those of the best.

        `told` is what the run was told, of which only what was searched gives way.
        """
        found = cls({**told, **trials[0].params}, trials, folds, improvement)
        return replace(found, params={**told, **found.best.params}) if found.is_better else found

    @property
    def best(self) -> Trial:
        """The trial with the lowest log loss."""
        return min((one for one in self.trials if one.log_loss is not None), key=lambda one: one.log_loss or 0.0)

    @property
    def is_better(self) -> bool:
        """Whether the best trial is proven better than the parameters in use, on the fold that judged no trial."""
        return self.improvement.value < 0 and self.improvement.excludes_zero

    @property
    def verdict(self) -> str:
        """Say in words whether the best parameters are better than those in use."""
        if self.best == self.trials[0]:
            return "No trial was better than the parameters in use."
        low, high = self.improvement.low, self.improvement.high
        figures = f"log loss {self.improvement.value:+.5f} ({low:+.5f} to {high:+.5f}) on the fold kept for the end"
        if self.is_better:
            return f"The tuned parameters are better: {figures}."
        found = "worse" if self.improvement.excludes_zero else "not proven better"
        return f"The parameters in use stay, as the tuned ones are {found}: {figures}."

    def toml(self) -> str:
        """Return the training file of the parameters to train with."""
        lines = [f"{name} = {value}" for name, value in self.params.items()]
        return "\n".join([f"# {self.verdict}", "[lightgbm]", *lines, ""])


def tune(
    data: Dataset,
    config: TrainingConfig,
    *,
    minutes: float,
    most_trials: int | None = None,
    say: Say | None = None,
) -> Tuned:
    """Search for `minutes`, a trial that has begun being let run to the end of its fold.

    Parameters
    ----------
    data : Dataset
        Only its training rows are used.
    config : TrainingConfig
        Its parameters are tried first; its seed is that of the search.
    minutes : float
    most_trials : int, optional
        End after so many, so that a search can be repeated exactly.
    say : callable, optional
        Told of every trial that is better than those before.

    Raises
    ------
    NotEnoughDataError
        When the training rows can not be divided into folds.
    """
    import optuna

    deadline = time.monotonic() + 60 * minutes
    train = data.split.train
    table = data.table.filter(train)
    encoding = Encoding.fit(table, data.catalogue.features)
    sample = Sample(
        encoding.matrix(table),
        data.label[train].astype(np.float64),
        data.weight[train],
        np.unique(data.account_id[train], return_inverse=True)[1],
    )
    folds, by = _folds(data, config)
    used = {name: {**LIGHTGBM, **config.lightgbm}[name] for name in SPACE}
    search = _Search(sample, folds[:-1], encoding, config.lightgbm, _space(used), config.seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=config.seed, n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    study.enqueue_trial(used)
    study.optimize(
        lambda trial: search.judge(trial, deadline),
        n_trials=most_trials,
        timeout=max(deadline - time.monotonic(), 0.001),
        callbacks=[_teller(say)] if say else None,
    )
    best = study.best_trial
    improvement = search.confirm(folds[-1], data.account_id[train], used, best, study.trials[0])
    return Tuned.of(config.lightgbm, tuple(_trial(one) for one in study.trials), by, improvement)


def chained_folds(as_of: npt.NDArray[np.int64], embargo: int, number: int) -> list[tuple[Flags, Flags]]:
    """Return `number` folds, each a stretch of time and the rows whose outcome was known before it.

    The stretches are equally long and end with the last moment; before the first lies `FIRST_SHARE` of the time in
    which anything is known. A row at t teaches a fold that begins at T when ``t + embargo < T``.

    Parameters
    ----------
    as_of : ndarray of int64, shape (n,)
        UTC microseconds.
    embargo : int, in microseconds
        Horizon and reporting lag.
    number : int

    Returns
    -------
    list of (teach, judge)
        Flags of shape (n,); empty flags where there is too little time.
    """
    known, last = int(as_of.min()) + embargo, int(as_of.max())
    edges = known + (last + 1 - known) * np.linspace(FIRST_SHARE, 1.0, number + 1)
    return [(as_of + embargo < begin, (as_of >= begin) & (as_of < end)) for begin, end in pairwise(edges)]


@dataclass(frozen=True)
class _Search:
    sample: Sample
    folds: Sequence[tuple[Flags, Flags]]
    encoding: Encoding
    told: Mapping[str, float]
    """What the run was told, of which only what is in the space varies."""
    space: Mapping[str, tuple[float, float]]
    seed: int

    def judge(self, trial: optuna.Trial, deadline: float) -> float:
        """Return the mean log loss of a trial, which is given up when it lags behind, or time is over."""
        import optuna

        params = {name: _suggested(trial, name, *ends) for name, ends in self.space.items()}
        rung = self._rung(params)
        losses, sizes = [], []
        for at, fold in enumerate(self.folds):
            teach, judge = (self.sample.take(np.flatnonzero(rows)) for rows in fold)
            grown = rung.grow(teach, judge, self.seed)
            sizes.append(grown.size)
            losses.append(log_loss(judge.y, grown.scorer(grown.size).margin(judge.X), judge.weights))
            trial.report(float(np.mean(losses)), at)
            late = time.monotonic() > deadline and at + 1 < len(self.folds)
            if trial.number and (late or trial.should_prune()):
                raise optuna.TrialPruned
        trial.set_user_attr("trees", int(np.median(sizes)))
        return float(np.mean(losses))

    def confirm(
        self,
        fold: tuple[Flags, Flags],
        account_id: npt.NDArray[np.str_],
        used: Mapping[str, float],
        best: optuna.trial.FrozenTrial,
        first: optuna.trial.FrozenTrial,
    ) -> Estimate:
        """Return log loss of the best less that of the parameters in use, on a fold no trial was judged on."""
        teach, judge = (self.sample.take(np.flatnonzero(rows)) for rows in fold)
        margins = [
            self._rung(params).fit(teach, trial.user_attrs["trees"], self.seed).margin(judge.X)
            for params, trial in ((best.params, best), (used, first))
        ]
        draws = Bootstrap.of(judge.y, account_id[fold[1]], judge.weights, seed=self.seed)
        return draws.mean(log_losses(judge.y, margins[0]) - log_losses(judge.y, margins[1]))

    def _rung(self, params: Mapping[str, float]) -> LightgbmRung:
        return LightgbmRung(self.encoding, {**self.told, **params})


def _space(used: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return the space, made wide enough for the parameters in use."""
    return {name: (min(low, used[name]), max(high, used[name])) for name, (low, high) in SPACE.items()}


def _folds(data: Dataset, config: TrainingConfig) -> tuple[list[tuple[Flags, Flags]], str]:
    train = data.split.train
    label, account, as_of = data.label[train], data.account_id[train], data.as_of[train]

    def enough(rows: Flags) -> bool:
        sides = (account[rows & (label > 0)], account[rows & (label == 0)])
        return min(len(np.unique(side)) for side in sides) >= FEWEST

    chained = chained_folds(as_of, data.split.embargo, SEARCH_FOLDS + 1)
    if data.split.test_from is not None and all(enough(side) for fold in chained for side in fold):
        return chained, BY_TIME
    of_row = account_folds(account, label, folds=SEARCH_FOLDS + 1, seed=config.seed)
    folds = [(of_row != number, of_row == number) for number in range(SEARCH_FOLDS + 1)]
    if not all(enough(side) for fold in folds for side in fold):
        raise NotEnoughDataError(
            f"Tuning needs {FEWEST} accounts with the outcome and {FEWEST} without on either side of"
            f" {SEARCH_FOLDS + 1} folds.",
            hint="Import a longer history; until then the defaults are the better choice.",
        )
    return folds, BY_ACCOUNT


def _suggested(trial: optuna.Trial, name: str, low: float, high: float) -> float:
    if isinstance(LIGHTGBM[name], int):
        return trial.suggest_int(name, int(low), int(high), log=True)
    return trial.suggest_float(name, low, high, log=not name.endswith("_fraction"))


def _teller(say: Say) -> Callable[[Any, Any], None]:
    def told(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if trial.value is not None and study.best_trial.number == trial.number:
            say(f"trial {trial.number}: log loss {trial.value:.5f}")

    return told


def _trial(trial: optuna.trial.FrozenTrial) -> Trial:
    is_whole = trial.state.name == "COMPLETE"
    seconds = trial.duration.total_seconds() if trial.duration is not None else 0.0
    return Trial(dict(trial.params), trial.value if is_whole else None, seconds)
