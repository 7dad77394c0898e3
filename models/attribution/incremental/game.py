"""The game that the levers present play: which coalitions are looked at, and what is read from their worth.

References
----------
L. S. Shapley, A value for n-person games, 1953.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

from models.arrays import Floats

EXACT = 10
"""Levers present up to which all subsets are worked out."""

ORDERS = 200
"""Orders of arrival drawn above that, each with its reverse."""


@dataclass(frozen=True)
class Game:
    """c coalitions of k levers.

    Parameters
    ----------
    members : array of shape (c, k)
        1 for the levers of each coalition, 0 for the others.
    readings : array of shape (c, 2 k + 1)
        What each coalition's worth adds to the Shapley value of each lever, to what happens with none, and to what the
        removal of each lever alone costs, ``v(all) - v(all but j)``, which is what experiments compare.
    """

    members: Floats
    readings: Floats

    @classmethod
    def of(cls, levers: int, seed: int) -> Game:
        """Return the game of k levers: of all subsets up to `EXACT`, else of orders drawn."""
        return _exact(levers) if levers <= EXACT else _sampled(levers, seed)


@lru_cache(maxsize=EXACT + 1)
def _exact(k: int) -> Game:
    members = ((np.arange(2**k)[:, None] >> np.arange(k)) & 1).astype(np.float64)
    others = members.sum(axis=1).astype(np.int64)[:, None] - members.astype(np.int64)
    weight = np.array([1 / (k * comb(k - 1, size)) for size in range(k)])
    value = np.where(members > 0, 1.0, -1.0) * weight[others] if k else np.zeros((1, 0))
    return Game(members, np.concatenate([value, _plain(members)], axis=1))


@lru_cache(maxsize=8)
def _sampled(k: int, seed: int) -> Game:
    drawn = np.random.default_rng(seed).permuted(np.tile(np.arange(k), (ORDERS, 1)), axis=1)
    orders = np.concatenate([drawn, drawn[:, ::-1]])
    place = np.argsort(orders, axis=1)
    seen = (place[:, None, :] < np.arange(k + 1)[:, None]).reshape(-1, k)
    value = np.zeros((len(orders), k + 1, k))
    of, step = np.arange(len(orders))[:, None], np.arange(k)
    value[of, step + 1, orders] += 1 / len(orders)
    value[of, step, orders] -= 1 / len(orders)
    extremes = np.concatenate([np.zeros((1, k)), np.ones((1, k)), 1 - np.eye(k)])
    members, same = np.unique(np.concatenate([extremes, seen]), axis=0, return_inverse=True)
    summed = np.zeros((len(members), k))
    np.add.at(summed, same.ravel()[len(extremes) :], value.reshape(-1, k))
    return Game(members, np.concatenate([summed, _plain(members)], axis=1))


def _plain(members: Floats) -> Floats:
    """Return the readings of v(none), and of v(all) less v(all but j)."""
    k = members.shape[1]
    size = members.sum(axis=1)
    removal = (size == k)[:, None] * 1.0 - ((size == k - 1)[:, None] & (members == 0))
    return np.column_stack([size == 0, removal])
