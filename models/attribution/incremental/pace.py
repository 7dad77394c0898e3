"""How fast an account was touched until a moment, beside what is usual: what it tells of the account itself.

Whoever decides on touches knows things about accounts that no table holds, and touches the promising ones more. How
much an account has been touched so far then speaks of what it wants, beyond what the touches do to it. The response
model takes pace for a confounder where it clearly shows *beside* the levers' own effects, whatever their shape; where
touches do not follow intent it does not show, and stays out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats
from models.attribution.incremental.exposure import State

USUAL = 1.0
"""Touches at the usual pace that every account is given on top: the fewer are due, the less they tell."""


@dataclass(frozen=True)
class Pace:
    """What is usual.

    Parameters
    ----------
    rate : float
        Touches of all levers that a day at risk had seen so far, per day since opening.
    """

    rate: float

    @classmethod
    def of(cls, states: list[State], age: Floats, exposure: Floats) -> Pace:
        """Settle it on the moments to be learnt from, of which `age` has the days since opening, shape (r,)."""
        due = float(exposure @ age)
        return cls(float(exposure @ _touches(states, len(age))) / due if due else 0.0)

    def at(self, states: list[State], age: Floats) -> Floats:
        """Return ``log((touches + USUAL) / (rate age + USUAL))`` at r moments."""
        pace: Floats = np.log((_touches(states, len(age)) + USUAL) / (self.rate * age + USUAL))
        return pace


def _touches(states: list[State], size: int) -> Floats:
    touches = np.zeros(size)
    for state in states:
        touches[state.rows] += state.count
    return touches
