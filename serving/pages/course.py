"""The score over time: half a year back, and its decay over a quarter in which nothing more is heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serving.scoring import Likelihood, Scored

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


def weeks(as_of: int) -> list[int]:
    """Return the moments of the course around a present moment, microseconds."""
    return [as_of + week * _WEEK for week in range(-WEEKS_BACK, WEEKS_AHEAD + 1)]


def course(scored: Scored, likelihoods: Sequence[Likelihood | None]) -> tuple[Point, ...]:
    """Return the score every week, by today's model.

    Parameters
    ----------
    scored : Scored
        The account at present.
    likelihoods : sequence of Likelihood or None
        Of the account at each of `weeks`.
    """
    moments = weeks(scored.as_of)
    return tuple(_point(at, found, scored) for at, found in zip(moments, likelihoods, strict=True))


def _point(at: int, found: Likelihood | None, scored: Scored) -> Point:
    champion = scored.champion
    if at > scored.as_of:
        period = "future"
    elif champion is not None and at < champion.bundle.trained_at:
        period = "seen"
    else:
        period = "past"
    return Point(at, period, *((None, None) if found is None else found))
