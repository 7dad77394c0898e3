"""Learning the response of one passage."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.schema import DAY
from models.arrays import Integers
from models.attribution.incremental.exposure import Exposures
from models.attribution.incremental.fitted import Response
from models.attribution.incremental.influence import Influence
from models.attribution.incremental.moments import Moments
from models.attribution.incremental.pace import Pace
from models.attribution.incremental.passages import Passage
from models.attribution.incremental.response import Risk, fit_response
from models.attribution.incremental.shapes import HALF_LIVES
from models.attribution.incremental.surroundings import Surroundings


class Learnt(NamedTuple):
    """A response, and how it would change if accounts counted otherwise."""

    response: Response
    influence: Influence


def learn(
    passage: Passage,
    levers: tuple[str, ...],
    confounders: pa.Table | None,
    cluster: Integers,
    *,
    step_days: float,
    horizon: int,
    lost: npt.NDArray[np.bool_],
) -> Learnt:
    """Learn how a passage comes about.

    Parameters
    ----------
    passage : Passage
    levers : tuple of str
    confounders : pyarrow.Table or None
        Of all journeys.
    cluster : array of int, shape (n,)
        Of all journeys.
    step_days : float
    horizon : int
        As `Response` has it.
    lost : array of bool, shape (n,)
        Whether each of all journeys ended for good without converting.
    """
    journeys = passage.journeys
    known = None if confounders is None else confounders.take(pa.array(passage.rows))
    moments = Moments.of(journeys, step_days)
    surroundings = Surroundings.of(journeys, known)
    exposures = Exposures(journeys, levers, HALF_LIVES)
    opened = journeys.journeys["opened_at"].to_numpy()[moments.journey]
    own = surroundings.of_journeys(journeys.size, known)[moments.journey]
    risk = Risk(
        [exposures.before(lever, moments.journey, moments.at) for lever in range(len(levers))],
        np.concatenate([surroundings.at(opened, moments.at), own], axis=1),
        moments.events,
        moments.exposure,
    )
    age = (moments.at - passage.opened[moments.journey]) / DAY
    pace = Pace.of(risk.states, age, risk.exposure)
    learnt, form, beta = fit_response(risk, pace.at(risk.states, age))
    response = Response(
        levers, form, surroundings, beta, None if learnt is risk else pace,
        float(journeys.count[lost[passage.rows] & ~journeys.converted].sum() / moments.exposure.sum()), horizon,
    )  # fmt: skip
    of_moment = cluster[passage.rows][moments.journey]
    return Learnt(response, Influence.of(learnt, form, beta, of_moment, int(cluster.max()) + 1))
