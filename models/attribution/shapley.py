"""Shapley values over sets of channels, of two worths: conversions, in closed form, and the conversion rate."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

import numpy as np

from features.journeys import Journeys
from models.arrays import Floats, Integers
from models.attribution.allocation import by_total, draws_by_total, players, without_touch
from models.attribution.coalitions import EXACT, Coalitions
from models.attribution.credit import Credit, Evidence
from models.attribution.draws import Draws, totals

_AT_ONCE = 4_000_000
"""Journeys times channels that are counted together."""
_EXACT_DRAWS = 15
"""Channels up to which every draw is worked out exactly: 200 draws take a second."""
_PAIRS_OF_DRAW = 64
_MOST_CHANNELS = 400
"""Channels up to which values are worked out anew in every draw."""


class ShapleySets:
    """Each conversion shared equally among the different channels before it.

    That is the Shapley value of the worth "conversions of the journeys all of whose channels are in the coalition":
    a journey with the set R is a game that only coalitions with all of R win, and its |R| channels share it alike. The
    touches of one channel in a journey share its part equally. Order, repetition and non-converters do not matter.

    References
    ----------
    L. S. Shapley, A value for n-person games, 1953; Zhao, Mahboobi and Bagheri, Shapley value methods for attribution
    modeling in online advertising, 2018.
    """

    name = "shapley_sets"
    evidence = Evidence.CORRELATIONAL

    def fit(self, journeys: Journeys) -> Self:
        """Return itself: the closed form learns nothing."""
        return self

    def credit(self, journeys: Journeys) -> Credit:
        """Share the conversions of these journeys."""
        channels, code = players(journeys)
        won = journeys.of_converted
        touch = np.zeros(len(code))
        touch[won] = _equal_shares(journeys.of_touch[won], code[won], len(channels))
        touch[won] *= journeys.count[journeys.of_touch[won]]
        return Credit(self.name, self.evidence, journeys, touch, without_touch(journeys))


class ShapleyRate:
    """Credit in proportion to what each channel adds to the conversion rate, non-converters counted.

    Exact up to 20 channels, above that by sampling with a bound of the error (`models.attribution.coalitions`). The
    values make the rate of the journeys with a touch, and so all that there is to share; the totals of channels are in
    proportion to them. A channel whose value is negative is given nothing, and the others that much less.

    Parameters
    ----------
    pairs : int, default=500
        Orders that are drawn for more than 20 channels, each with its reverse.
    seed : int, default=0

    Attributes
    ----------
    values_ : dict of str to float
        Shapley value of each channel, signed: conversions per journey with a touch.
    standard_error_ : float
        Largest standard error of a value by sampling; 0 where they are exact.
    error_bound_ : float
        What the error of no value exceeds with probability 0.95, whatever the journeys; 0 where they are exact.
    """

    name = "shapley_rate"
    evidence = Evidence.CORRELATIONAL

    def __init__(self, *, pairs: int = 500, seed: int = 0) -> None:
        if pairs < 2:
            raise ValueError(f"`pairs` must be at least 2. Got {pairs} instead.")
        self.pairs = pairs
        self.seed = seed

    def fit(self, journeys: Journeys) -> Self:
        """Work out the value of each channel from the journeys that have a touch and are not censored."""
        channels, code = _by_size(journeys)
        sets = Coalitions.of(journeys, code, len(channels))
        won, all_ = (totals(one, sets.of_journey, sets.size) for one in _outcomes(journeys))
        if len(channels) <= EXACT:
            values, self.standard_error_, self.error_bound_ = sets.exact(won, all_), 0.0, 0.0
        else:
            sampled = sets.sampled(won[:, None], all_[:, None], self.pairs, self.seed)
            values = sampled.value[:, 0]
            self.standard_error_, self.error_bound_ = float(sampled.error.max()), float(sampled.bound.max())
        self.values_ = dict(zip(channels, values.tolist(), strict=True))
        return self

    def credit(self, journeys: Journeys) -> Credit:
        """Share the conversions of these journeys; a channel that was not there at fit has none."""
        channels, code = players(journeys)
        effect = np.array([max(self.values_.get(channel, 0.0), 0.0) for channel in channels])
        touch = by_total(journeys, code, effect)
        return Credit(self.name, self.evidence, journeys, touch, without_touch(journeys), per_journey=False)

    def clipped(self, journeys: Journeys) -> dict[str, float]:
        """Return the conversions that channels with a negative value take away, which `credit` sets to 0."""
        ended = float(_outcomes(journeys)[1].sum())
        return {channel: -value * ended for channel, value in self.values_.items() if value < 0}

    @property
    def learns_anew(self) -> bool:
        """Whether there are few enough channels to work out every draw."""
        return len(self.values_) <= _MOST_CHANNELS

    def credit_in_draws(self, journeys: Journeys, draws: Draws, amount: Floats) -> Floats:
        """Return what each channel is given in each draw, with its value worked out anew.

        Above 15 channels the draws differ from all journeys by what they do along the same few orders: the noise of
        sampling is common to both and goes out.

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
        channels, code = _by_size(journeys)
        sets = Coalitions.of(journeys, code, len(channels))
        won, all_ = (draws.sums(draws.table(sets.of_journey, one, sets.size)) for one in _outcomes(journeys))
        if len(channels) <= _EXACT_DRAWS:
            values = np.stack([sets.exact(*pair) for pair in zip(won, all_, strict=True)])
        else:
            # The last draw is that of all journeys once each.
            along = [
                np.vstack([drawn, totals(one, sets.of_journey, sets.size)]).T.copy()
                for drawn, one in zip((won, all_), _outcomes(journeys), strict=True)
            ]
            values = sets.sampled(along[0], along[1], _PAIRS_OF_DRAW, self.seed).value.T
            values = values[:-1] - values[-1] + np.array([self.values_.get(channel, 0.0) for channel in channels])
        effect = np.maximum(values, 0.0)
        given = draws_by_total(journeys, code, effect, amount, draws)
        return given[:, [channels.index(channel) for channel in players(journeys)[0]]]


def _equal_shares(journey: Integers, code: Integers, channels: int) -> Floats:
    """Return for touches whose journeys ascend 1 / (channels of the journey x touches of the same channel in it)."""
    # A journey's place among those that are here, and stretches of them few enough to count in a table.
    place = np.cumsum(np.diff(journey, prepend=-1) > 0) - 1
    share = np.empty(len(journey))
    some = max(1, _AT_ONCE // max(channels, 1))
    edges = np.searchsorted(place, np.arange(0, int(place.max(initial=-1)) + 1 + some, some))
    for start, end in pairwise(edges):
        row = place[start:end] - place[start]
        key = row * channels + code[start:end]
        same = np.bincount(key, minlength=(int(row[-1]) + 1) * channels)
        different = np.count_nonzero(same.reshape(-1, channels), axis=1)
        share[start:end] = 1.0 / (different[row] * same[key])
    return share


def _outcomes(journeys: Journeys) -> tuple[Floats, Floats]:
    """Return conversions and journeys per row, those that are censored or without a touch left out."""
    left_out = journeys.censored | (np.diff(journeys.offset) == 0)
    all_ = np.where(left_out, 0, journeys.count).astype(np.float64)
    return np.where(journeys.converted, all_, 0.0), all_


def _by_size(journeys: Journeys) -> tuple[tuple[str, ...], Integers]:
    """Return the channels by how often they were met: orders drawn then depend neither on names nor on rows."""
    channels, code = players(journeys)
    touches, won = (totals(one[journeys.of_touch], code, len(channels)) for one in _outcomes(journeys)[::-1])
    order = np.lexsort((-won, -touches))
    place = np.empty(len(channels), dtype=np.int64)
    place[order] = np.arange(len(channels))
    return tuple(channels[at] for at in order.tolist()), place[code]
