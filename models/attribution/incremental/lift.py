"""What an experiment says about a lever, and what that makes of all estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from features.errors import NotEnoughDataError, UnknownError, nearest
from features.journeys import Journeys
from models.arrays import Floats
from models.attribution.draws import totals


@dataclass(frozen=True)
class LiftTest:
    """The result of an experiment that took one lever away, and left the others as they were.

    Parameters
    ----------
    channel : str
    estimate : float
        Conversions among the journeys of the model that the lever brought: how many there would be fewer without it.
    standard_error : float
        Above 0.
    """

    channel: str
    estimate: float
    standard_error: float

    def __post_init__(self) -> None:
        if not (self.standard_error > 0 and np.isfinite([self.estimate, self.standard_error]).all()):
            raise ValueError(
                f"A lift test of {self.channel} needs a finite estimate and a standard error above 0. "
                f"Got {self.estimate} and {self.standard_error} instead."
            )

    @classmethod
    def from_holdout(cls, journeys: Journeys, channel: str, held_out: npt.NDArray[np.bool_]) -> Self:
        """Return the difference in means between accounts kept from a lever at random and the others.

        Parameters
        ----------
        journeys : Journeys
        channel : str
        held_out : array of bool, shape (n,)
            Whether the journey's account was kept from the lever.

        Raises
        ------
        NotEnoughDataError
            When either side has fewer than two accounts.
        """
        account = journeys.account
        size = int(account.max(initial=-1)) + 1
        won = totals(np.where(journeys.converted, journeys.count, 0).astype(np.float64), account, size)
        number = totals(journeys.count.astype(np.float64), account, size)
        apart = np.bincount(account, held_out, size) > 0
        if min(apart.sum(), (~apart).sum()) < 2:
            raise NotEnoughDataError(
                f"A hold-out of {channel} needs at least two accounts on either side. "
                f"Got {apart.sum()} held out and {(~apart).sum()} others."
            )
        rate, error = zip(*(_rate(won[side], number[side]) for side in (~apart, apart)), strict=True)
        exposed = number[~apart].sum()
        return cls(channel, float(exposed * (rate[0] - rate[1])), float(exposed * np.hypot(*error)))


def calibrate(
    effects: Floats, removals: Floats, value: Floats, removal: Floats, tests: Sequence[LiftTest],
    levers: Sequence[str], seed: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the effects of levers, and their draws, once experiments are taken into account.

    The bootstrap is the prior, a normal distribution; a test y of lever c, with variance s^2, is a normal observation
    of what the removal of c alone costs. With C the prior covariances,

        effects + K (y - removals),   K = C(effects, removals) (C(removals, removals) + diag(s^2))^-1,

    and each draw likewise with y disturbed by its own error, which leaves draws of the posterior (Matheron's rule).

    Parameters
    ----------
    effects : array of shape (n_draws, k)
        Draws of the Shapley values of the levers.
    removals : array of shape (n_draws, k)
        What the removal of each lever alone costs in the same draws.
    value, removal : array of shape (k,)
        The same in the data themselves.
    tests : sequence of LiftTest
    levers : sequence of str
    seed : int

    Raises
    ------
    UnknownError
        When a test is of something that is no lever.
    """
    for test in tests:
        if test.channel not in levers:
            raise UnknownError(f"There is no lever {test.channel!r} to calibrate.", hint=nearest(test.channel, levers))
    tested = [levers.index(test.channel) for test in tests]
    y = np.array([test.estimate for test in tests])
    error = np.array([test.standard_error for test in tests])
    k = effects.shape[1]
    spread = np.atleast_2d(np.cov(np.hstack([effects, removals[:, tested]]), rowvar=False))
    gain = np.linalg.solve(spread[k:, k:] + np.diag(error**2), spread[k:, :k]).T
    noise = np.random.default_rng(seed).standard_normal((len(effects), len(tests))) * error
    draws = effects + (y + noise - removals[:, tested]) @ gain.T
    return value + gain @ (y - removal[tested]), draws


def _rate(won: Floats, number: Floats) -> tuple[float, float]:
    """Return conversions per journey over accounts, and the standard error of this ratio."""
    rate = won.sum() / number.sum()
    residual = won - rate * number
    return float(rate), float(np.sqrt(len(won) / (len(won) - 1) * (residual**2).sum()) / number.sum())
