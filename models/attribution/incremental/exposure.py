"""What each lever had done to an account at a moment: how often, how lately, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from features.journeys import Journeys
from features.schema import DAY
from models.arrays import Floats, Integers
from models.attribution.credit import UNASSIGNED

_MINUTE = 60_000_000


@dataclass(frozen=True)
class State:
    """What one lever had done at r moments, of which it had been there at some.

    Parameters
    ----------
    rows : array of int, shape (s,)
        The moments, ascending, before which the lever had touched the journey; at all others it has no state.
    count : array of shape (s,)
        Touches until then.
    adstock : array of shape (s, n_half_lives)
        Touches until then, each halved with every half-life that has passed since; the count, for an endless one.
    first, last : array of int64, shape (s,)
        When the first and the last of them was, in microseconds.
    """

    rows: Integers
    count: Floats
    adstock: Floats
    first: Integers
    last: Integers


class Exposures:
    """The levers' touches of some journeys, ready to be asked what had happened before any moment.

    Parameters
    ----------
    journeys : Journeys
    levers : sequence of str
        Names of the levers; touches of other levers are passed over.
    half_lives : array of shape (n_half_lives,)
        In days; infinity counts.

    Attributes
    ----------
    lever : array of int, shape (m,)
        Lever of each touch as its place among `levers`, -1 for none.
    """

    def __init__(self, journeys: Journeys, levers: tuple[str, ...], half_lives: Floats) -> None:
        self.lever = lever_of_touch(journeys, levers)
        self._half_lives = half_lives
        self._times = np.unique(journeys.occurred_at)
        self._timelines = [
            _Timeline.of(journeys, np.flatnonzero(self.lever == lever), self._times, half_lives)
            for lever in range(len(levers))
        ]

    def before(self, lever: int, journey: Integers, moment: Integers) -> State:
        """Return the state of a lever just before r moments of journeys; a touch at the very moment is not in it."""
        timeline = self._timelines[lever]
        key = journey * (len(self._times) + 1) + np.searchsorted(self._times, moment, side="left")
        seen = np.searchsorted(timeline.key, key, side="left")
        count = seen - timeline.start[journey]
        rows = np.flatnonzero(count > 0)
        last = seen[rows] - 1
        passed = (moment[rows] - timeline.at[last]) / DAY
        adstock = timeline.adstock[last] * np.exp2(-passed[:, None] / self._half_lives)
        first = timeline.at[timeline.start[journey[rows]]]
        return State(rows, count[rows].astype(np.float64), adstock, first, timeline.at[last])


def lever_names(journeys: Journeys) -> tuple[str, ...]:
    """Return the channels of the levers' touches, the most frequent first; names and row order have no say."""
    values, code = journeys.players()
    own = code[journeys.is_lever]
    touches = np.bincount(own, minlength=len(values))
    # Channels with as many touches are told apart by when these were.
    age = journeys.occurred_at - journeys.journeys["opened_at"].to_numpy()[journeys.of_touch]
    since = np.bincount(own, np.floor(age[journeys.is_lever] / _MINUTE), len(values))
    order = np.lexsort((since, -touches))
    return tuple(dict.fromkeys(values[place] or UNASSIGNED for place in order if touches[place]))


def lever_of_touch(journeys: Journeys, levers: tuple[str, ...]) -> Integers:
    """Return the lever of each touch as its place among `levers`, -1 for a response or another lever, shape (m,)."""
    values, code = journeys.players()
    place = {lever: number for number, lever in enumerate(levers)}
    of_value = np.array([place.get(value or UNASSIGNED, -1) for value in values], dtype=np.int64)
    return np.where(journeys.is_lever, of_value[code], -1) if len(values) else np.zeros(0, dtype=np.int64)


def touched_before(journeys: Journeys, levers: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return whether each lever had touched each journey before its end, of shape (n, k)."""
    lever = lever_of_touch(journeys, levers)
    before = (lever >= 0) & (journeys.occurred_at < journeys.journeys["ended_at"].to_numpy()[journeys.of_touch])
    touched = np.zeros((journeys.size, len(levers)), dtype=bool)
    touched[journeys.of_touch[before], lever[before]] = True
    return touched


@dataclass(frozen=True)
class _Timeline:
    """The touches of one lever, ordered by journey and time, with the adstock just after each."""

    key: Integers
    at: Integers
    start: Integers
    """The first touch of each journey, shape (n + 1,)."""
    adstock: Floats

    @classmethod
    def of(cls, journeys: Journeys, touches: Integers, times: Integers, half_lives: Floats) -> _Timeline:
        journey, at = journeys.of_touch[touches], journeys.occurred_at[touches]
        start = np.searchsorted(journey, np.arange(journeys.size + 1))
        rank = np.arange(len(touches)) - start[journey]
        adstock = np.ones((len(touches), len(half_lives)))
        by_rank = np.argsort(rank, kind="stable")
        ends = np.cumsum(np.bincount(rank)) if len(rank) else np.zeros(0, dtype=np.int64)
        for begin, end in pairwise(ends):
            now = by_rank[begin:end]
            passed = (at[now] - at[now - 1]) / DAY
            adstock[now] += adstock[now - 1] * np.exp2(-passed[:, None] / half_lives)
        return cls(journey * (len(times) + 1) + np.searchsorted(times, at), at, start, adstock)
