"""The score over time: half a year back, and its decay over a quarter in which nothing more is heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serving.scoring import Scored

WEEKS_BACK, WEEKS_AHEAD = 26, 13

_WEEK = 7 * 86_400_000_000


@dataclass(frozen=True)
class Point:
    """The score at one moment.

    Parameters
    ----------
    at : int
        Microseconds.
    period : {"seen", "past", "future"}
        ``seen``: before the end of the data the model learnt from, so that it may know what came after.
    probability : float or None
        None where the goal did not apply.
    score : int or None
    """

    at: int
    period: str
    probability: float | None
    score: int | None


def course(score: Callable[[int], Scored], as_of: int) -> tuple[Point, ...]:
    """Return the score every week, by today's model.

    Parameters
    ----------
    score : callable
        Gives the score of the account as of a moment.
    as_of : int
        The present moment, microseconds.
    """
    return tuple(_point(score(as_of + week * _WEEK), as_of) for week in range(-WEEKS_BACK, WEEKS_AHEAD + 1))


def _point(scored: Scored, now: int) -> Point:
    explained, champion = scored.explained, scored.champion
    if scored.as_of > now:
        period = "future"
    elif champion is not None and scored.as_of < champion.bundle.trained_at:
        period = "seen"
    else:
        period = "past"
    if explained is None:
        return Point(scored.as_of, period, None, None)
    return Point(scored.as_of, period, explained.probability, explained.score)
