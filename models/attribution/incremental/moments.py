"""The moments at which accounts were at risk of converting: every conversion, and one moment of every step.

The likelihood of a hazard lambda is ``sum over conversions of log lambda - integral of lambda over the time at risk``.
A journey is cut into steps, and the integral over a step is taken at one moment within, times the length of the step: a
sample of the time at risk, stratified by journey and step, that leaves the estimate unbiased whatever the length of the
step. So an event and its non-events are compared at exact moments: exposure in the same step before the conversion
counts, and exposure after it does not.

References
----------
J. A. Hanley and O. S. Miettinen, Fitting smooth-in-time prognostic risk functions via logistic regression,
International Journal of Biostatistics 5, 2009 (a sample of the base beside all the cases).
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from features.journeys import Journeys
from features.schema import DAY
from models.arrays import Floats, Integers

PER_EVENT = 15
"""Moments per conversion beyond which more say next to nothing: the variance grows by 1/15 at most."""

FEWEST = 50_000
"""Moments up to which they are all kept, however few the conversions: rare exposures need them."""

MOST = 100_000
"""Moments beyond which steps are lengthened whatever the number of conversions: there are then enough of either."""

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Moments:
    """r moments at risk.

    Parameters
    ----------
    journey : array of int, shape (r,)
    at : array of int64, shape (r,)
        In microseconds.
    events : array of shape (r,)
        Conversions at the moment.
    exposure : array of shape (r,)
        Days at risk that the moment stands for; 0 for the moment of a conversion.
    """

    journey: Integers
    at: Integers
    events: Floats
    exposure: Floats

    @classmethod
    def of(cls, journeys: Journeys, step_days: float) -> Moments:
        """Return the moments of all journeys, where a moment's place within its step comes from the account's id.

        Steps are `step_days` long, or longer where that would make many more moments than the conversions need.
        """
        opened, ended = (journeys.journeys[name].to_numpy() for name in ("opened_at", "ended_at"))
        risk = np.maximum(ended - opened, 0)
        enough = min(MOST, max(FEWEST, PER_EVENT * int(np.count_nonzero(journeys.converted))))
        step = max(round(step_days * DAY), int(risk.sum() / enough))
        steps = -(-risk // step)
        journey = np.repeat(np.arange(journeys.size), steps)
        number = np.arange(len(journey)) - np.repeat(np.cumsum(steps) - steps, steps)
        length = np.minimum(risk[journey] - number * step, step)
        place = _places(journeys)[journey] + number * _GOLDEN
        at = opened[journey] + number * step + np.floor((place % 1.0) * length).astype(np.int64)
        cases = np.flatnonzero(journeys.converted)
        return cls(
            np.concatenate([journey, cases]),
            np.concatenate([at, ended[cases]]),
            np.concatenate([np.zeros(len(journey)), journeys.count[cases]]),
            np.concatenate([length / DAY * journeys.count[journey], np.zeros(len(cases))]),
        )


def _places(journeys: Journeys) -> Floats:
    ids = journeys.journeys["account_id"].to_pylist()
    return np.array([crc32(str(account).encode()) for account in ids], dtype=np.float64) / 2**32
