"""Response shapes: how the adstock of the levers moves the log-odds of a forward step.

A shape maps the adstock of every process and the effects to one number per account. It is added to fit and intent, so
that the daily log-odds of a step are ``logit + slope * (fit + intent + shape(adstock, effects))``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def logistic(adstock: Floats, effects: Floats) -> Floats:
    """Return the sum of effect times adstock: every unit of adstock counts the same in log-odds.

    Parameters
    ----------
    adstock : array of shape (n_processes, n_accounts)
    effects : array of shape (n_processes,)

    Returns
    -------
    array of shape (n_accounts,)
        In log-odds.
    """
    total = np.zeros(adstock.shape[1], dtype=np.float32)
    # One process after the other, not a matrix product: the order of summation, and so every bit, stays the same
    # whatever the number of threads.
    for process in np.flatnonzero(effects):
        total += effects[process] * adstock[process]
    return total


SHAPES: Mapping[str, Callable[[Floats, Floats], Floats]] = MappingProxyType({"logistic": logistic})
"""Response shapes by the name that a `Market` gives."""
