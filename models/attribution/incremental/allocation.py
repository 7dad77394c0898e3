"""Signed values to credit: at least 0, and one conversion for each conversion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.journeys import Journeys
from features.schema import DAY
from models.arrays import Floats
from models.attribution.incremental.cases import Cases
from models.attribution.incremental.exposure import lever_of_touch
from models.attribution.incremental.shapes import HALF_LIVES

_LEAST = 1e-9
"""Part of a lever in a passage where it does nothing, or harm: credit always finds a touch."""


@dataclass(frozen=True)
class Allocation:
    """How each of n conversions is shared.

    Parameters
    ----------
    cases : Cases
    lever : array of shape (n, k)
        Conversions given to each lever, at least 0.
    rest : array of shape (n,)
        Conversions left to the baseline; with the levers they make the journey's count.
    lost : array of shape (k,)
        Conversions that each lever cost, set to 0 here.
    """

    cases: Cases
    lever: Floats
    rest: Floats
    lost: Floats

    @classmethod
    def of(cls, cases: Cases, journeys: Journeys, seed: int) -> Allocation:
        """Cut negative values at 0 and bring the others back to one conversion, the baseline left as it is."""
        values = cases.values(seed)
        rest = np.clip(values[:, -1], 0.0, 1.0)
        gains = np.maximum(values[:, :-1], 0.0)
        gained = gains.sum(axis=1)
        rest = np.where(gained > 0, rest, 1.0)
        count = journeys.count[cases.rows].astype(np.float64)
        lever = gains * (count * (1 - rest) / np.where(gained > 0, gained, 1.0))[:, None]
        lost = count @ np.maximum(-values[:, :-1], 0.0)
        return cls(cases, lever, rest * count, lost)

    def touches(self, journeys: Journeys) -> tuple[Floats, Floats]:
        """Return the credit of each touch, of shape (m,), and the rest of each journey.

        A lever's credit in a journey is split over the passages by the lever's part in the log-hazard of each, and of
        each passage it goes to the touches before it by what is left of each at its end, at the half-life of the lever
        there; equally, where nothing fades: the Shapley value of touches that add up, or of which one would do.
        """
        levers = self.cases.levers
        lever = lever_of_touch(journeys, levers)
        place = np.full(journeys.size, -1)
        place[self.cases.rows] = np.arange(len(self.cases.rows))
        own = np.flatnonzero((lever >= 0) & (place[journeys.of_touch] >= 0))
        case, lever = place[journeys.of_touch[own]], lever[own]
        cell = case * len(levers) + lever
        weight = np.zeros(len(own))
        for passing in self.cases.passings:
            half_lives = HALF_LIVES[[shape.half_life for shape in passing.form.shapes]] if levers else HALF_LIVES
            before = np.flatnonzero(journeys.occurred_at[own] < passing.ended[case])
            age = (passing.ended[case[before]] - journeys.occurred_at[own[before]]) / DAY
            # Weighed from the latest touch of each cell, so that a long half-life ago is not 0 of 0.
            latest = np.full(self.lever.size, np.inf)
            np.minimum.at(latest, cell[before], age)
            left = np.exp2(-(age - latest[cell[before]]) / half_lives[lever[before]])
            whole = np.bincount(cell[before], left, self.lever.size)
            part = np.maximum(passing.parts, _LEAST).ravel()
            weight[before] += left / whole[cell[before]] * part[cell[before]]
        whole = np.bincount(cell, weight, self.lever.size)
        touch = np.zeros(journeys.touches.num_rows)
        credited = np.flatnonzero(weight)
        touch[own[credited]] = self.lever.ravel()[cell[credited]] * weight[credited] / whole[cell[credited]]
        rest = np.zeros(journeys.size)
        rest[self.cases.rows] = self.rest
        return touch, rest
