"""Incremental attribution: what the levers brought beyond what would have happened anyway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from features.errors import NotEnoughDataError
from features.journeys import Journeys
from features.schema import DAY
from models.arrays import Floats
from models.attribution.credit import BASELINE, Credit, Evidence
from models.attribution.draws import Draws, clusters
from models.attribution.incremental.allocation import Allocation
from models.attribution.incremental.cases import Cases
from models.attribution.incremental.effects import Effect, Effects
from models.attribution.incremental.exposure import lever_names, touched_before
from models.attribution.incremental.learning import learn
from models.attribution.incremental.lift import LiftTest, calibrate
from models.attribution.incremental.passages import cut_at, lost_for_good
from models.attribution.incremental.sensitivity import tipping_points
from models.attribution.intervals import Replicates
from models.bootstrap import Estimate

NEEDED = 10
"""Conversions below which there is nothing to learn a response from."""

MOST_LEVERS = 60
"""Levers that can be told apart; each has a term of its own beside all others."""


class Incremental:
    """A hazard of conversion in which levers act beside confounders, and the Shapley value of taking levers away.

    Levers are the channels of touches with `is_lever`; touches of other channels answer to the levers and to what the
    account wants anyway, so that they neither earn credit nor are held constant.

    Parameters
    ----------
    step_days : float, default=7
        Each journey is looked at once in every step, at least.
    horizon_days : float, default=180
        Days from the opening of a journey until which it is asked whether it would have converted anyway; at least as
        many as the longest journey took.
    seed : int, default=0
        For orders of arrival, where many levers are present, and for draws.

    Attributes
    ----------
    levers_ : tuple of str
        The most frequent first.
    stages_ : tuple of str
        At which ways are cut; none here.

    Notes
    -----
    Causal under three conditions: given the confounders, who was touched when has nothing to do with who would have
    converted; the touches of one account do not act on another; and the form of the response is near enough. The first
    can not be seen in the data: see `Effect.tipping`, and `models.attribution.falsification`.
    """

    name = "incremental"
    evidence = Evidence.ADJUSTED

    def __init__(self, *, step_days: float = 7, horizon_days: float = 180, seed: int = 0) -> None:
        self.step_days = step_days
        self.horizon_days = horizon_days
        self.seed = seed

    def fit(self, journeys: Journeys, confounders: pa.Table | None = None) -> Self:
        """Learn the response from journeys, converted or not.

        Parameters
        ----------
        journeys : Journeys
        confounders : pyarrow.Table of n rows, optional
            Numbers known before the lookback opened or the first lever touch, in the order of the journeys; missing
            ones may be null. A column `account_id` is not read.

        Raises
        ------
        NotEnoughDataError
            When there are fewer than `NEEDED` conversions, no time at risk, or more than `MOST_LEVERS` levers.
        """
        won = int(journeys.count[journeys.converted].sum())
        if won < NEEDED:
            raise NotEnoughDataError(
                f"Incremental attribution needs at least {NEEDED} conversions to learn from. Got {won}.",
                hint="Take a longer period, or an earlier stage as the transition.",
            )
        opened, ended = (journeys.journeys[name].to_numpy() for name in ("opened_at", "ended_at"))
        if not (ended > opened).any():
            raise NotEnoughDataError(
                "Incremental attribution needs time at risk, but every journey ends when it opens.",
                hint="`opened_at` must say when an account came under observation.",
            )
        levers = lever_names(journeys)
        if len(levers) > MOST_LEVERS:
            raise NotEnoughDataError(
                f"Incremental attribution can tell at most {MOST_LEVERS} levers apart. Got {len(levers)} channels.",
                hint="Merge them into channel groups, or make only those levers that money is spent on.",
            )
        self.levers_, self.stages_ = levers, self._stages(journeys)
        self._journeys, self._cluster = journeys, clusters(journeys)[0]
        # Beyond a horizon that lies before a conversion there would be no "anyway".
        horizon = max(round(self.horizon_days * DAY), int((ended - opened).max()))
        lost = lost_for_good(journeys, horizon)
        self._learnt = [
            learn(passage, levers, confounders, self._cluster,
                  step_days=self.step_days, horizon=horizon, lost=lost)
            for passage in cut_at(journeys, self.stages_)
        ]  # fmt: skip
        self._fitted = self._cases(journeys, confounders)
        return self

    def credit(self, journeys: Journeys, confounders: pa.Table | None = None) -> Credit:
        """Share the conversions of these journeys among their lever touches and the baseline, at least 0 each.

        Parameters
        ----------
        journeys : Journeys
        confounders : pyarrow.Table, optional
            As in `fit`; without it, accounts are taken to be average.
        """
        allocation = self._allocation(journeys, confounders)
        return Credit(self.name, self.evidence, journeys, *allocation.touches(journeys), rest_label=BASELINE)

    def clipped(self, journeys: Journeys, confounders: pa.Table | None = None) -> dict[str, float]:
        """Return the conversions that each lever cost, according to the model, and that `credit` sets to 0."""
        lost = self._allocation(journeys, confounders).lost
        return dict(zip(self.levers_, lost.tolist(), strict=True))

    def replicates(self, weights: Floats, amount: Floats | None = None) -> Replicates:
        """Return the signed effects of the levers and the baseline, of all journeys and of each draw.

        Parameters
        ----------
        weights : array of shape (n_draws, n_clusters)
            `Draws.weights` of the fitted journeys.
        amount : array of shape (n,), optional
            What the conversion of each journey is worth; default their number.
        """
        worth = self._journeys.count if amount is None else amount
        drawn = self._drawn(weights, [worth.astype(np.float64)])[0]
        return Replicates((*self.levers_, BASELINE), drawn.value, drawn.draws)

    def effects(self, draws: int = 200) -> Effects:
        """Return the table of effects on the fitted journeys, with 90 % intervals."""
        return self.calibrated((), draws)

    def calibrated(self, tests: Sequence[LiftTest], draws: int = 200) -> Effects:
        """Return the table of effects once experiments are taken into account.

        A test moves the other levers too, as far as the data can not tell them apart; conversions that it takes from
        the levers are the baseline's. Revenue is scaled along with the conversions.
        """
        levers = self.levers_
        weights = Draws.of(self._journeys, draws=draws, seed=self.seed).weights
        amounts = self._amounts()
        drawn, *money = self._drawn(weights, [self._journeys.count.astype(np.float64), *amounts.values()])
        value, replicates = drawn.value, drawn.draws
        if tests:
            k = len(levers)
            all_, every = value.sum(), replicates.sum(axis=1)
            own, moved = calibrate(
                replicates[:, :k], drawn.removal_draws, value[:k], drawn.removal, tests, levers, self.seed
            )
            value = np.append(own, all_ - own.sum())
            replicates = np.column_stack([moved, every - moved.sum(axis=1)])
            money = [one.scaled(drawn.value, value) for one in money]
        tested = {test.channel for test in tests}
        allocation = Allocation.of(self._fitted, self._journeys, self.seed)
        extra = dict(zip(levers, zip(allocation.lost.tolist(), tipping_points(self._fitted), strict=True), strict=True))
        total, totals = value[:-1].sum(), replicates[:, :-1].sum(axis=1)
        rows = [
            Effect(
                channel,
                _estimate(value[place], replicates[:, place]),
                _share(value[place], replicates[:, place], total, totals)
                if channel in levers
                else _share(value[place], replicates[:, place], value.sum(), replicates.sum(axis=1)),
                {name: _estimate(one.value[place], one.draws[:, place])
                 for name, one in zip(amounts, money, strict=True)},
                Evidence.EXPERIMENT if channel in tested else self.evidence,
                *extra.get(channel, (0.0, None)),
            )
            for place, channel in enumerate((*levers, BASELINE))
        ]  # fmt: skip
        ordered = sorted(rows[:-1], key=lambda row: (-row.conversions.value, row.channel))
        signed = Replicates((*levers, BASELINE), value, replicates)
        return Effects((*ordered, rows[-1]), _estimate(total, totals), signed)

    def _stages(self, journeys: Journeys) -> tuple[str, ...]:
        """Return the stages at which ways are cut; a variant may name some."""
        return ()

    def _cases(self, journeys: Journeys, confounders: pa.Table | None) -> Cases:
        # A table without columns has no rows either.
        if confounders is not None and confounders.num_columns and confounders.num_rows != journeys.size:
            raise ValueError(
                f"`confounders` must have a row for each of {journeys.size} journeys. "
                f"Got {confounders.num_rows} rows instead."
            )
        rows = np.flatnonzero(journeys.converted)
        case = np.full(journeys.size, -1)
        case[rows] = np.arange(len(rows))
        passings = tuple(
            one.response.passing(passage, confounders, case)
            for one, passage in zip(self._learnt, cut_at(journeys, self.stages_), strict=True)
        )
        return Cases(rows, self.levers_, touched_before(journeys, self.levers_)[rows], passings)

    def _allocation(self, journeys: Journeys, confounders: pa.Table | None) -> Allocation:
        return Allocation.of(self._cases(journeys, confounders), journeys, self.seed)

    def _amounts(self) -> dict[str, Floats]:
        """Return the revenue of each journey in each currency, of shape (n,)."""
        currency = np.array(self._journeys.journeys["currency"].to_pylist(), dtype=object)
        has = self._journeys.converted & (self._journeys.revenue > 0) & (currency != None)  # noqa: E711
        return {
            name: np.where(has & (currency == name), self._journeys.revenue, 0.0) for name in sorted({*currency[has]})
        }

    def _drawn(self, weights: Floats, amounts: list[Floats]) -> list[_Drawn]:
        """Return values and draws for each way to count a conversion.

        A draw weighs the journeys anew, and moves the coefficients: to first order, each by itself.
        """
        cases, k = self._fitted, len(self.levers_)
        found = cases.readings(self.seed)
        counted = np.stack([amount[cases.rows] for amount in amounts])
        moved = np.zeros((len(amounts), len(weights), found.shape[1]))
        for (_, influence), gradient in zip(self._learnt, cases.gradients(self.seed, counted), strict=True):
            moved += influence.steps(weights) @ gradient
        cluster, size = self._cluster[cases.rows], int(self._cluster.max()) + 1
        drawn = []
        for place, count in enumerate(counted):
            of_cluster = np.stack([np.bincount(cluster, count * column, size) for column in found.T], axis=1)
            draws = weights @ of_cluster + moved[place]
            value = of_cluster.sum(axis=0)
            drawn.append(_Drawn(value[: k + 1], draws[:, : k + 1], value[k + 1 :], draws[:, k + 1 :]))
        return drawn


class _Drawn(NamedTuple):
    """Shapley values and baseline, and what the removal of each lever alone costs, with their draws."""

    value: Floats
    draws: Floats
    removal: Floats
    removal_draws: Floats

    def scaled(self, before: Floats, after: Floats) -> _Drawn:
        """Return amounts scaled as the conversions they belong to."""
        factor = np.divide(after, before, out=np.ones_like(after), where=np.abs(before) > 1e-9)
        return self._replace(value=self.value * factor, draws=self.draws * factor)


def _estimate(value: float, draws: Floats) -> Estimate:
    return Estimate.of(float(value), float(np.std(draws)))


def _share(value: float, draws: Floats, total: float, totals: Floats) -> Estimate:
    """Return the interval of a ratio, to first order: its quantiles have no bounds when the total is near 0."""
    if not total:
        return Estimate(0.0)
    share = value / total
    return Estimate.of(float(share), float(np.std(draws - share * totals) / abs(total)))
