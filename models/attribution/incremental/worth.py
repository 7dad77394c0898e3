"""What a coalition of levers was worth to one passage of one account.

An account that passed at t with every lever at work had the hazard h(t); with the levers S alone, h_S(t). Then

    v(S) = h_S(t) / h(t) + (1 - h_S(t) / h(t)) P_S,      P_S = H_S / (H_S + L) (1 - exp(-(H_S + L))),

P_S being the probability to pass later than t, but by the horizon, under S: H_S is the cumulative hazard of passing
under S from t to the horizon, and L that of being lost for good, with hazards whose ratio is taken to be constant.
Summed over the passages that happened, v(S) is without bias the number that S alone would have brought by the horizon:
by Duhamel's formula for two competing processes, ``F_S = int Y [h_S + (h - h_S) P_S]``, Y being at risk (neither passed
nor lost) under all levers. It asks only that levers leave the hazard of loss as it is; without losses, L = 0 and
``P_S = 1 - exp(-H_S)``. Nothing in it asks that levers do good: where h_S > h, v(S) > 1 tells of passages that the
absent levers cost. ``v(all) = 1``; ``v(none)`` is what would have happened anyway.

A way through several stages is worth the product of its passages: under S the account had to make each of them.

Notes
-----
After t the levers of S are taken to go on as they had until t: their part in the log-hazard stays what it was.

References
----------
R. D. Gill and S. Johansen, A survey of product-integration with a view toward application in survival analysis, Annals
of Statistics 18, 1990, section 2 (Duhamel); R. L. Prentice and others, The analysis of failure times in the presence of
competing risks, Biometrics 34, 1978.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.arrays import Floats
from models.attribution.incremental.hazard import HIGHEST

_SMALL = 1e-5
"""Cumulative hazards below this go by their series: differences would lose all digits."""


class Worth(NamedTuple):
    """v(S) and what it changes by.

    Parameters
    ----------
    value : array
    at_once : array
        ``h_S/h (1 - P_S)``.
    ahead : array
        Derivative of the value in the log of the cumulative hazard. The derivative in a coefficient whose term is x is
        ``x (at_once + ahead) - x at_once`` if the term is there under S, and ``-x at_once`` if it is not.
    """

    value: Floats
    at_once: Floats
    ahead: Floats


def worth(reduced: Floats, whole: Floats, ahead: Floats, loss: Floats) -> Worth:
    """Return v(S) with its derivatives.

    Parameters
    ----------
    reduced, whole : array
        Parts of the levers S, and of all levers present, in the log-hazard at the passage.
    ahead : array
        Log of the cumulative hazard from the passage to the horizon, were no lever at work; minus infinity for none.
    loss : array
        Cumulative hazard of loss from the passage to the horizon.
    """
    ratio = np.exp(reduced - whole)
    hazard = np.exp(np.minimum(ahead + reduced, HIGHEST))
    both = hazard + loss
    small = both < _SMALL
    safe = np.where(small, 1.0, both)
    still = np.exp(-both)
    mean = np.where(small, 1 - both / 2, (1 - still) / safe)
    bent = np.where(small, -0.5 + both / 3, (still - mean) / safe)
    later = hazard * mean
    value: Floats = ratio + (1 - ratio) * later
    return Worth(value, ratio * (1 - later), (1 - ratio) * hazard * (mean + hazard * bent))
