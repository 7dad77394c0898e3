"""Shapley values of a conversion rate: how much each channel adds to the rate of a coalition of channels.

The worth of a coalition is the conversion rate of the journeys with a touch all of whose channels are in it:
v(S) = conversions within S / journeys within S, and 0 where there is none. The Shapley value of a channel is what it
adds to those before it, on average over the orders in which the k channels can join:
phi_i = sum over S without i of |S|! (k - 1 - |S|)! / k! (v(S + i) - v(S)). A rate can fall when a channel joins, so the
value has a sign.

Nobody is in the empty coalition and it is worth nothing, as a game needs: the values make the rate of all journeys with
a touch, whose conversions are shared. Journeys without a touch are no measure of what happens without channels: those
that converted had less time to meet one, and in markets with known truth they convert twice as often as the others.
Even so a rate within few channels is that of short journeys, so that these values say who was there at a
conversion and not what made it.

Up to `EXACT` channels all coalitions are worked out: a journey's channels are the bits of a number, counts within every
coalition are sums over its subsets, k passes over 2^k numbers, and so are the differences. Above that, orders are drawn
by a seed, each with its reverse, and the error is bounded.

References
----------
L. S. Shapley, A value for n-person games, 1953; K. Zhao, S. H. Mahboobi and S. R. Bagheri, Shapley value methods for
attribution modeling in online advertising, 2018 (worth by coalition); A. Maurer and M. Pontil, Empirical Bernstein
bounds and sample variance penalization, 2009, theorem 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from features.journeys import Journeys
from models.arrays import Floats, Integers
from models.attribution.draws import totals

EXACT = 20
"""Channels up to which every coalition is worked out: 2^20 of them take two tenths of a second."""

CONFIDENCE = 0.95
_RANGE = 2.0
"""Of what a channel adds to a rate: from -1 to 1."""


class Sampled(NamedTuple):
    """Shapley values by sampling, each array of shape (k, n_draws).

    Parameters
    ----------
    value : array
    error : array
        Standard error of the sampling.
    bound : array
        What no error exceeds, over all channels together, with probability 0.95, whatever the game. It shrinks with the
        number of orders, not its root, and is much larger than the error before there are thousands.
    """

    value: Floats
    error: Floats
    bound: Floats


@dataclass(frozen=True)
class Coalitions:
    """The different sets of channels that journeys had.

    Parameters
    ----------
    channels : int
        The number k.
    member : array of int
        Channels of each set, one set after the other.
    offset : array of int, shape (n_sets + 1,)
        The members of set i are `member[offset[i]:offset[i + 1]]`; the first set is empty.
    of_journey : array of int, shape (n,)
        The set of each journey.
    """

    channels: int
    member: Integers
    offset: Integers
    of_journey: Integers

    @classmethod
    def of(cls, journeys: Journeys, code: Integers, channels: int) -> Coalitions:
        """Find the sets of some journeys, given the channel of each touch.

        Sets are told apart by the sum of a random 64-bit number per channel: among a million different ones, two are
        taken for the same with probability 3e-8.
        """
        mark = np.random.default_rng(0).integers(1, 2**63, channels, dtype=np.uint64)
        pair = np.unique(journeys.of_touch * channels + code)
        journey, channel = np.divmod(pair, max(channels, 1))
        label = np.zeros(journeys.size + 1, dtype=np.uint64)
        # The row added at the end has no touch: the empty set is there, and it sorts first.
        touched, first = np.unique(journey, return_index=True)
        if len(touched):
            label[touched] = np.add.reduceat(mark[channel], first)
        label[touched] += np.uint64(label[touched] == 0)
        _, example, of_journey = np.unique(label, return_index=True, return_inverse=True)
        size = np.bincount(journey, minlength=journeys.size + 1)
        start = np.concatenate(([0], np.cumsum(size)))[example]
        steps = size[example]
        offset = np.concatenate(([0], np.cumsum(steps)))
        place = np.arange(int(offset[-1])) + np.repeat(start - offset[:-1], steps)
        return cls(channels, channel[place], offset, of_journey[:-1])

    @property
    def size(self) -> int:
        """The number of different sets."""
        return len(self.offset) - 1

    def exact(self, won: Floats, all_: Floats) -> Floats:
        """Return the Shapley value of each channel, of shape (k,).

        Parameters
        ----------
        won, all_ : array of shape (n_sets,)
            Conversions and journeys of each set.
        """
        k = self.channels
        of = np.repeat(np.arange(self.size), np.diff(self.offset))
        mask = totals(np.exp2(self.member), of, self.size).astype(np.int64)
        worth = _rates(*(_within(totals(one, mask, 2**k), k) for one in (won, all_)))
        others = np.bitwise_count(np.arange(2 ** max(k - 1, 0), dtype=np.uint32))
        weight = _order_weights(k)[others]
        # With bit i split off, the other bits keep their number whichever bit it is.
        adds = (np.diff(worth.reshape(-1, 2, 2**i), axis=1).reshape(-1) for i in range(k))
        return np.array([float(weight @ add) for add in adds])

    def along(self, rank: Integers, won: Floats, all_: Floats) -> Floats:
        """Return what each channel adds when they join in some order, of shape (k, n_draws).

        Parameters
        ----------
        rank : array of int, shape (k,)
            The place of each channel in the order.
        won, all_ : array of shape (n_sets, n_draws)
            Conversions and journeys of each set.
        """
        # A set lies within the coalition from its last member on; the empty one from the beginning.
        last = np.zeros(self.size, dtype=np.int64)
        last[1:] = np.maximum.reduceat(rank[self.member], self.offset[1:-1]) + 1
        joins = sp.csc_array((np.ones(self.size), last, np.arange(self.size + 1)), (self.channels + 1, self.size))
        worth = _rates(*(np.cumsum(joins @ one, axis=0) for one in (won, all_)))
        return np.diff(worth, axis=0)[rank]

    def sampled(self, won: Floats, all_: Floats, pairs: int, seed: int) -> Sampled:
        """Return the Shapley values by sampling.

        Parameters
        ----------
        won, all_ : array of shape (n_sets, n_draws)
        pairs : int
            How many orders are drawn, each with its reverse.
        seed : int
        """
        random = np.random.default_rng(seed)
        total = np.zeros((self.channels, won.shape[1]))
        square = np.zeros_like(total)
        for _ in range(pairs):
            rank = random.permutation(self.channels)
            pair = (self.along(rank, won, all_) + self.along(self.channels - 1 - rank, won, all_)) / 2
            total += pair
            square += pair**2
        variance = np.maximum(square - total**2 / pairs, 0.0) / (pairs - 1)
        odds = np.log(4 * self.channels / (1 - CONFIDENCE))
        bound = np.sqrt(2 * variance * odds / pairs) + _RANGE * 7 * odds / (3 * (pairs - 1))
        return Sampled(total / pairs, np.sqrt(variance / pairs), bound)


def _within(of_mask: Floats, k: int) -> Floats:
    """Return for every mask the sum over its subsets."""
    for i in range(k):
        halves = of_mask.reshape(-1, 2, 2**i)
        halves[:, 1] += halves[:, 0]
    return of_mask


def _rates(won: Floats, all_: Floats) -> Floats:
    return np.divide(won, all_, out=np.zeros_like(won), where=all_ > 0)


def _order_weights(k: int) -> Floats:
    """Return s! (k - 1 - s)! / k! for s from 0 to k - 1."""
    weight = np.ones(max(k, 1)) / max(k, 1)
    for s in range(1, k):
        weight[s] = weight[s - 1] * s / (k - s)
    return weight
