"""Draws of accounts, with replacement: how often each counts, so that anything additive need only be weighted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from features.journeys import Journeys
from models.arrays import Floats, Integers

DRAWS = 200


@dataclass(frozen=True)
class Draws:
    """How often each cluster was drawn.

    A cluster is an account, whose journeys come out together. In data that come as counted paths nobody knows whose
    they are: then each of the journeys that a row stands for is drawn by itself.

    Parameters
    ----------
    cluster : array of int, shape (n,)
        Of each journey: `Journeys.account`, or its own row.
    size : array of int, shape (n_clusters,)
        How many units each cluster stands for: 1, or the `count` of a row.
    drawn : array of int, shape (n_draws, n_clusters)
        How many units of each cluster were drawn.
    """

    cluster: Integers
    size: Integers
    drawn: npt.NDArray[np.int32]

    @classmethod
    def of(cls, journeys: Journeys, *, draws: int = DRAWS, seed: int = 0) -> Draws:
        """Draw from some journeys as many units as there are; a draw without any conversion is drawn again."""
        cluster, size = clusters(journeys)
        random = np.random.default_rng(seed)
        won = np.bincount(cluster, weights=journeys.converted, minlength=len(size)) > 0
        drawn = np.empty((draws, len(size)), dtype=np.int32)
        for row in drawn:
            row[:] = _draw(random, size)
            while won.any() and not row[won].any():
                row[:] = _draw(random, size)
        return cls(cluster, size, drawn)

    @cached_property
    def weights(self) -> Floats:
        """How often each cluster counts in each draw, of shape (n_draws, n_clusters)."""
        return self.drawn / self.size

    def by_cluster(self, of_journey: Floats) -> Floats:
        """Return the sums over clusters of some numbers per journey, of shape (n_clusters, ...)."""
        found = [totals(column, self.cluster, len(self.size)) for column in of_journey.T]
        return np.stack(found, axis=1) if found else np.zeros((len(self.size), 0))

    def table(self, group: Integers, value: Floats, groups: int, of: Integers | None = None) -> sp.csr_array:
        """Return the sums of some numbers by cluster and group, of shape (n_clusters, groups).

        Parameters
        ----------
        group : array of int, shape (t,)
        value : array of shape (t,)
        groups : int
        of : array of int, shape (t,), optional
            Journey of each number; default one number per journey.
        """
        holds = np.flatnonzero(value)
        cluster = self.cluster[holds if of is None else of[holds]]
        return sp.csr_array((value[holds], (cluster, group[holds])), (len(self.size), groups))

    def sums(self, of_cluster: Floats | sp.csr_array) -> Floats:
        """Return the sums over each draw of some numbers per cluster, of shape (n_draws, ...)."""
        per_unit = sp.diags_array(1 / self.size) @ of_cluster
        turned = per_unit.T.tocsr() if sp.issparse(per_unit) else np.ascontiguousarray(per_unit.T)
        return np.stack([turned @ row.astype(np.float64) for row in self.drawn])


def clusters(journeys: Journeys) -> tuple[Integers, Integers]:
    """Return the cluster of each journey, and how many units each cluster stands for."""
    if (journeys.count == 1).all():
        return journeys.account, np.ones(int(journeys.account.max(initial=-1)) + 1, dtype=np.int64)
    return np.arange(journeys.size), journeys.count


def totals(value: Floats, group: Integers, groups: int) -> Floats:
    """Return the sum of some numbers in each group, of shape (groups,)."""
    return np.asarray(np.bincount(group, weights=value, minlength=groups), dtype=np.float64)


def _draw(random: np.random.Generator, size: Integers) -> Integers:
    units = int(size.sum())
    if units == len(size):
        return np.bincount(random.integers(0, units, units), minlength=units)
    return random.multinomial(units, size / units)
