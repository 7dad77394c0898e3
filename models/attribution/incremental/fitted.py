"""A fitted response: how a passage came about, in plain numbers and names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.schema import DAY
from models.arrays import Floats, Integers
from models.attribution.incremental.cases import Passing
from models.attribution.incremental.exposure import Exposures
from models.attribution.incremental.hazard import HIGHEST
from models.attribution.incremental.pace import Pace
from models.attribution.incremental.passages import Passage
from models.attribution.incremental.shapes import HALF_LIVES, Form
from models.attribution.incremental.surroundings import Surroundings

_STRETCHES = 8
"""Parts that the time from a passage to the horizon is cut into, to add up the hazard."""

_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Response:
    """How likely a passage is, and what levers do for it.

    Parameters
    ----------
    levers : tuple of str
    form : Form
    surroundings : Surroundings
    beta : array of shape (p,)
        Coefficients: of the surroundings that change with time, of the account, of the form's terms.
    pace : Pace or None
        When it is a term of the surroundings, the last one.
    loss : float
        Journeys lost for good per day at risk: one rate for all, in which levers have no part. Its own uncertainty is
        left out of the intervals.
    horizon : int
        Microseconds from the opening of a journey until which it is asked whether it would have passed anyway.
    """

    levers: tuple[str, ...]
    form: Form
    surroundings: Surroundings
    beta: Floats
    pace: Pace | None
    loss: float
    horizon: int

    def passing(self, passage: Passage, confounders: pa.Table | None, case: Integers) -> Passing:
        """Return how conversions made this passage.

        Parameters
        ----------
        passage : Passage
        confounders : pyarrow.Table or None
            Of all journeys.
        case : array of int
            Place of each journey among the n conversions, -1 for one that did not convert.
        """
        rows = np.flatnonzero(case[passage.rows] >= 0)
        some, began = passage.journeys.take(rows), passage.opened[rows]
        opened, ended = (some.journeys[name].to_numpy() for name in ("opened_at", "ended_at"))
        exposures = Exposures(some, self.levers, HALF_LIVES)
        states = [exposures.before(lever, np.arange(some.size), ended) for lever in range(len(self.levers))]
        known = None if confounders is None else confounders.take(pa.array(passage.rows[rows]))
        own = self.surroundings.of_journeys(some.size, known)
        left = np.maximum(began + self.horizon - ended, 0)
        if self.pace is not None:
            own = np.column_stack([own, self.pace.at(states, (ended - began) / DAY)])
        ahead, slope = self._ahead(opened, ended, own, left)
        n, place = int(case.max(initial=-1)) + 1, case[passage.rows[rows]]
        terms = self.form.design(states, some.size)
        made = np.full(n, _NEVER)
        made[place] = ended
        beta = self.beta[len(self.beta) - self.form.size :]
        return Passing(
            self.form, _spread(terms, place, n), beta, made,
            _spread(ahead, place, n, -np.inf), _spread(slope, place, n), _spread(self.loss * left / DAY, place, n),
        )  # fmt: skip

    def _ahead(self, opened: Integers, ended: Integers, own: Floats, left: Integers) -> tuple[Floats, Floats]:
        """Return the log of the hazard without levers, added up from the end to the horizon, and its gradient."""
        beta = self.beta[: len(self.beta) - self.form.size]
        hazard, gradient = np.zeros(len(ended)), np.zeros((len(ended), len(beta)))
        for stretch in range(_STRETCHES):
            moment = ended + ((stretch + 0.5) / _STRETCHES * left).astype(np.int64)
            around = np.concatenate([self.surroundings.at(opened, moment), own], axis=1)
            here = np.exp(np.minimum(around @ beta, HIGHEST)) * left / DAY / _STRETCHES
            hazard, gradient = hazard + here, gradient + here[:, None] * around
        with np.errstate(divide="ignore"):
            return np.log(hazard), gradient / np.where(hazard > 0, hazard, 1.0)[:, None]


def _spread(value: Floats, place: Integers, size: int, otherwise: float = 0.0) -> Floats:
    """Return the rows of `value` at their places among `size`, and `otherwise` elsewhere."""
    whole = np.full((size, *value.shape[1:]), otherwise)
    whole[place] = value
    return whole
