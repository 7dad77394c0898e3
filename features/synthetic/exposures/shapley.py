"""The truth: what each lever is worth to each account, exactly.

The worth of a set S of levers to account i is the probability that it converts within `DAYS` when only the levers of S
touch it: ``v(S) = 1 - prod over days t of (1 - h(t | S))``. All touches that were drawn count, those after the actual
conversion too: without the others the account would have lived to see them. Responses change nothing. The worth of a
lever is its Shapley value, over all sets of the levers that touch the account, and ``v(empty)`` is the baseline.

References
----------
L. S. Shapley (1953), A value for n-person games, section 3, formula 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.synthetic.exposures.market import DAYS, ExposureMarket
from features.synthetic.exposures.shapes import SHAPES, Floats, Ints, Terms, Touched

_CELLS = 4_000_000
"""Days of coalitions of accounts that are in memory at once."""


@dataclass(frozen=True)
class Worth:
    """Who brought the conversions of a market, in expectation over all that chance could have made of them.

    Parameters
    ----------
    channels : tuple of str
        The levers, then the responses; levers that nobody records are among them.
    by_account : array of shape (n_accounts, n_channels)
        Incremental conversions: probability of converting that the channel adds. Of a response always 0.
    baseline_by_account : array of shape (n_accounts,)
        Probability of converting without any lever.
    recorded : bool array of shape (n_channels,)
        Whether the touches of the channel are written down.
    """

    channels: tuple[str, ...]
    by_account: Floats
    baseline_by_account: Floats
    recorded: npt.NDArray[np.bool_]

    @property
    def incremental(self) -> Floats:
        """Expected conversions that each channel brings, of shape (n_channels,)."""
        total: Floats = self.by_account.sum(axis=0)
        return total

    @property
    def baseline(self) -> float:
        """Expected conversions without any lever."""
        return float(self.baseline_by_account.sum())

    @property
    def shares(self) -> Floats:
        """Share of each recorded channel in what the recorded ones bring, of shape (n_channels,); others have 0."""
        brought = np.where(self.recorded, self.incremental, 0.0)
        share: Floats = brought / brought.sum()
        return share

    def table(self) -> pa.Table:
        """Return one row per channel, and the baseline as the row ``(baseline)``."""
        return pa.table(
            {
                "channel": [*self.channels, "(baseline)"],
                "recorded": [*map(bool, self.recorded), True],
                "incremental": [*map(float, self.incremental), self.baseline],
                "share": [*map(float, self.shares), None],
            }
        )


def worth(market: ExposureMarket, base: Floats, touched: Touched) -> Worth:
    """Return the exact worth of every channel.

    Parameters
    ----------
    market : ExposureMarket
    base : array of shape (n_accounts,)
        Daily log-odds of conversion without touches.
    touched : Touched
        The touches of all levers until the end of the observation, as if nobody had converted before.
    """
    active = _active(market)
    by_account = np.zeros((touched.size, len(market.channels)))
    present = np.zeros((touched.size, len(market.levers)), dtype=bool)
    present[touched.account, touched.lever] = True
    mask = present[:, active] @ (1 << np.arange(len(active)))
    for players in np.unique(mask[mask > 0]):
        members = active[(players >> np.arange(len(active)) & 1).astype(bool)]
        rows = np.flatnonzero(mask == players)
        for some in np.array_split(rows, -(-len(rows) * DAYS * 2 ** len(members) // _CELLS)):
            terms = SHAPES[market.shape](market, touched.of(some))
            by_account[np.ix_(some, members)] = _values(market, base[some], terms, members) @ _weights(len(members))
    recorded = np.array([lever.recorded for lever in market.levers] + [True] * len(market.responses))
    return Worth(market.channels, by_account, -np.expm1(-DAYS * softplus(base)), recorded)


def softplus(logit: Floats) -> Floats:
    """Return ``-log(1 - sigmoid(logit))``: what a day of these log-odds adds to the cumulated hazard."""
    hazard: Floats = np.logaddexp(0.0, logit)
    return hazard


def _active(market: ExposureMarket) -> Ints:
    """Return the levers that do anything; the others are null players, worth exactly 0."""
    paired = {name for pair in market.pairs if pair.effect for name in (pair.first, pair.second)}
    return np.flatnonzero([lever.effect != 0 or lever.name in paired for lever in market.levers])


def _values(market: ExposureMarket, base: Floats, terms: Terms, members: Ints) -> Floats:
    """Return v of every set of the members, of shape (n_accounts, 2 ** n_members), set s having bit j for member j."""
    place = {int(lever): bit for bit, lever in enumerate(members)}
    logit = np.empty((len(base), 2 ** len(members), DAYS))
    logit[:, 0] = base[:, np.newaxis]
    for bit, lever in enumerate(members):
        np.add(logit[:, : 2**bit], terms.mains[:, lever, np.newaxis], out=logit[:, 2**bit : 2 ** (bit + 1)])
    sets = np.arange(2 ** len(members))
    for position, pair in enumerate(market.pairs):
        both = [place.get(market.lever(name)) for name in (pair.first, pair.second)]
        if None not in both:
            having = np.logical_and.reduce([sets >> bit & 1 for bit in both])
            logit[:, having] += terms.pairs[:, position, np.newaxis]
    converts: Floats = -np.expm1(-softplus(logit).sum(axis=2))
    return converts


@cache
def _weights(players: int) -> Floats:
    """Return the matrix that turns the values of all sets, 2 ** n of them, into the Shapley values of n players."""
    sets = np.arange(2**players)
    weights = np.zeros((2**players, players))
    for one in sets:
        size = int(one).bit_count()
        for player in range(players):
            if one >> player & 1:
                weights[one, player] = 1 / (players * comb(players - 1, size - 1))
            else:
                weights[one, player] = -1 / (players * comb(players - 1, size))
    return weights
