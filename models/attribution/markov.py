"""Markov chains of order 1 to 3: a channel is worth what would be lost if it were taken out of the chain."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np

from features.journeys import Journeys
from models.arrays import Floats
from models.attribution.allocation import by_total, draws_by_total, draws_within, players, within, without_touch
from models.attribution.chain import Chain
from models.attribution.credit import Credit, Evidence
from models.attribution.draws import Draws

ORDERS = (1, 2, 3)

_MOST_CHANNELS, _MOST_WORK = 400, 2e6
"""Up to which 200 draws take half a minute at most: at order 1, and above it as `Chain.work`."""


class Markov:
    """Credit in proportion to removal effects.

    A removal effect is the share of conversions, or of revenue, that the chain loses when a channel leads to null
    (`models.attribution.chain`). The effects overlap and do not add up to 1, so they are normalised, in one of
    two ways.

    Parameters
    ----------
    order : {1, 2, 3}, default=1
        How many of the last channels the next step depends on.
    worth : {"conversions", "revenue"}, default="conversions"
        What is lost. For revenue each conversion earns the revenue of its journeys; the credit is still of conversions,
        in the proportions of the revenue lost.
    per_journey : bool, default=False
        False is the allocation of Anderl et al.: the totals of channels are in proportion to their effects, whichever
        journeys they were in. True is consistent with each journey: its conversion is shared among its touches in
        proportion to the effects of their channels, so that the totals of channels follow from who was there.

    Attributes
    ----------
    chain_ : Chain
        With the transition matrix, `chain_.table()`.
    effects_ : dict of str to float
        Removal effect of each channel, in [0, 1].

    Notes
    -----
    Order 1 costs one inverse of k channels. Higher orders cost a few hundred products of the sparse transition matrix
    with one column per channel: half a second for 20 channels at order 3.

    References
    ----------
    E. Anderl, I. Becker, F. von Wangenheim and J. H. Schumann, Mapping the customer journey, International Journal of
    Research in Marketing 33, 2016.
    """

    evidence = Evidence.CORRELATIONAL

    def __init__(
        self,
        *,
        order: int = 1,
        worth: Literal["conversions", "revenue"] = "conversions",
        per_journey: bool = False,
    ) -> None:
        if order not in ORDERS:
            raise ValueError(f"`order` must be 1, 2 or 3. Got {order} instead.")
        if worth not in ("conversions", "revenue"):
            raise ValueError(f"`worth` must be conversions or revenue. Got {worth} instead.")
        self.order = order
        self.worth = worth
        self.per_journey = per_journey
        self.name = f"markov_{order}{'_paths' if per_journey else ''}{'_value' if worth == 'revenue' else ''}"

    def fit(self, journeys: Journeys) -> Self:
        """Learn the chain from the journeys that are not censored.

        Raises
        ------
        ValueError
            When revenue in several currencies would be added up, or there are too many channels for the order.
        """
        self.chain_ = Chain.of(journeys, self.order)
        amount = self._amount(journeys)
        reward = None
        if self.worth == "revenue":
            one = np.zeros(journeys.size, dtype=np.int64)
            reward = self.chain_.by_cluster(journeys, one, amount).toarray().reshape(-1) * self.chain_.is_final
        self.effects_ = dict(zip(self.chain_.channels, self.chain_.effects(reward=reward).tolist(), strict=True))
        return self

    def credit(self, journeys: Journeys) -> Credit:
        """Share the conversions of these journeys; a channel that was not there when the chain was learnt has none.

        Where no touch of a journey, or of all, has an effect, they share equally.
        """
        channels, code = players(journeys)
        effect = np.array([self.effects_.get(channel, 0.0) for channel in channels])
        touch = (within if self.per_journey else by_total)(journeys, code, effect)
        return Credit(self.name, self.evidence, journeys, touch, without_touch(journeys), self.per_journey)

    @property
    def learns_anew(self) -> bool:
        """Whether the chain is small enough to be learnt anew in every draw."""
        if self.order == 1:
            return len(self.chain_.channels) <= _MOST_CHANNELS
        return self.chain_.work <= _MOST_WORK

    def credit_in_draws(self, journeys: Journeys, draws: Draws, amount: Floats) -> Floats:
        """Return what each channel is given in each draw, with the chain learnt anew from the draw.

        Parameters
        ----------
        journeys : Journeys
            Those that were drawn.
        draws : Draws
        amount : array of shape (n,)
            What the conversions of each journey are worth.

        Returns
        -------
        array of shape (n_draws, k)
            By the order of `players`.
        """
        chain = Chain.of(journeys, self.order)
        counted = np.where(journeys.censored, 0, journeys.count).astype(np.float64)
        counts = draws.sums(chain.by_cluster(journeys, draws.cluster, counted))
        rewards: list[Floats | None] = [None] * len(counts)
        if self.worth == "revenue":
            earned = chain.by_cluster(journeys, draws.cluster, self._amount(journeys))
            rewards = list(draws.sums(earned) * chain.is_final)
        effects = np.stack([chain.effects(count, reward) for count, reward in zip(counts, rewards, strict=True)])
        _, code = players(journeys)
        return (draws_within if self.per_journey else draws_by_total)(journeys, code, effects, amount, draws)

    def _amount(self, journeys: Journeys) -> Floats:
        if self.worth == "conversions":
            return journeys.count.astype(np.float64)
        paid = journeys.converted & (journeys.revenue != 0)
        currencies = journeys.journeys["currency"].filter(paid).unique().to_pylist()
        if len(currencies) > 1:
            raise ValueError(
                f"Revenue in several currencies can not be added up: {', '.join(map(str, currencies))}. "
                "Convert it to the reporting currency first, or attribute conversions."
            )
        return np.where(journeys.converted, journeys.revenue, 0).astype(np.float64)
