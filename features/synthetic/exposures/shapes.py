"""Shapes: what the touches of levers until the start of a day add to the log-odds of converting on it.

A shape maps touches to terms that add up. A *main* term belongs to one lever and counts in every coalition that has it;
a *pair* term belongs to two and counts where both are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from features.synthetic.exposures.market import DAYS, ExposureMarket

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Touched:
    """The lever touches of some accounts, ordered by account, then by time.

    Parameters
    ----------
    size : int
        The number of accounts.
    account, lever : int array of shape (m,)
        Positions.
    at : float array of shape (m,)
        Days since the start of the account's observation.
    """

    size: int
    account: Ints
    lever: Ints
    at: Floats

    def of(self, accounts: Ints) -> Touched:
        """Return the touches of some accounts, which are numbered anew."""
        began = self._offset[accounts]
        count = self._offset[accounts + 1] - began
        end = np.cumsum(count)
        row = np.arange(end[-1] if len(end) else 0) + np.repeat(began - end + count, count)
        return Touched(len(accounts), np.repeat(np.arange(len(accounts)), count), self.lever[row], self.at[row])

    @cached_property
    def _offset(self) -> Ints:
        return np.searchsorted(self.account, np.arange(self.size + 1)).astype(np.int64)


@dataclass(frozen=True)
class Terms:
    """Log-odds by account, lever or pair, and day.

    Parameters
    ----------
    mains : array of shape (n_accounts, n_levers, DAYS)
    pairs : array of shape (n_accounts, n_pairs, DAYS)
    """

    mains: Floats
    pairs: Floats


def logistic(market: ExposureMarket, touched: Touched) -> Terms:
    """Return effect x whether the lever has touched at all."""
    return Terms(_effects(market) * _presence(market, touched), _no_pairs(touched))


def hazard(market: ExposureMarket, touched: Touched) -> Terms:
    """Return effect x adstock: the sum of ``2 ** (-age / half_life)`` over the lever's touches."""
    return Terms(_effects(market) * _adstock(market, touched), _no_pairs(touched))


def saturation(market: ExposureMarket, touched: Touched) -> Terms:
    """Return effect x ``1 - exp(-adstock)``: every further touch adds less."""
    return Terms(-_effects(market) * np.expm1(-_adstock(market, touched)), _no_pairs(touched))


def synergy(market: ExposureMarket, touched: Touched) -> Terms:
    """Return `logistic`, and the effect of every pair once both of it have touched."""
    there = _presence(market, touched)
    first, second = (np.array(members, dtype=np.int64) for members in _members(market))
    both = there[:, first] * there[:, second]
    return Terms(_effects(market) * there, _pair_effects(market) * both)


def order(market: ExposureMarket, touched: Touched) -> Terms:
    """Return `logistic`, and the effect of every pair once its second has touched after its first had."""
    began = _first(market, touched)
    terms = []
    for first, second in zip(*_members(market), strict=True):
        later = (touched.lever == second) & (touched.at > began[touched.account, first])
        after = np.full(touched.size, np.inf)
        np.minimum.at(after, touched.account[later], touched.at[later])
        terms.append(_since(after))
    return Terms(
        _effects(market) * _since(began),
        _pair_effects(market) * np.stack(terms, axis=1) if terms else _no_pairs(touched),
    )


SHAPES: Mapping[str, Callable[[ExposureMarket, Touched], Terms]] = MappingProxyType(
    {"logistic": logistic, "hazard": hazard, "saturation": saturation, "synergy": synergy, "order": order}
)
"""Shapes by the name that an `ExposureMarket` gives."""


def _effects(market: ExposureMarket) -> Floats:
    return np.array([lever.effect for lever in market.levers])[:, np.newaxis]


def _pair_effects(market: ExposureMarket) -> Floats:
    return np.array([pair.effect for pair in market.pairs])[:, np.newaxis]


def _members(market: ExposureMarket) -> tuple[list[int], list[int]]:
    return [market.lever(pair.first) for pair in market.pairs], [market.lever(pair.second) for pair in market.pairs]


def _no_pairs(touched: Touched) -> Floats:
    return np.zeros((touched.size, 0, DAYS))


def _first(market: ExposureMarket, touched: Touched) -> Floats:
    began = np.full((touched.size, len(market.levers)), np.inf)
    np.minimum.at(began, (touched.account, touched.lever), touched.at)
    return began


def _presence(market: ExposureMarket, touched: Touched) -> Floats:
    return _since(_first(market, touched))


def _since(moment: Floats) -> Floats:
    # A touch counts from the start of the next day.
    since: Floats = np.where(moment[..., np.newaxis] < np.arange(DAYS), 1.0, 0.0)
    return since


def _adstock(market: ExposureMarket, touched: Touched) -> Floats:
    levers = len(market.levers)
    half_lives = np.array([lever.half_life_days for lever in market.levers])
    day = touched.at.astype(np.int64)
    # What is left of each touch at the end of its day.
    left = np.exp2(-(day + 1 - touched.at) / half_lives[touched.lever])
    cell = (touched.account * levers + touched.lever) * DAYS + day
    arrived = np.bincount(cell, left, touched.size * levers * DAYS).reshape(touched.size, levers, DAYS)
    fade = np.exp2(-1 / half_lives)
    stock: Floats = np.zeros(arrived.shape)
    for today in range(1, DAYS):
        stock[:, :, today] = stock[:, :, today - 1] * fade + arrived[:, :, today - 1]
    return stock
