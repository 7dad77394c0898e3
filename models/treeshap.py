"""Exact Shapley values of tree ensembles, in log-odds.

References
----------
S. M. Lundberg et al., From local explanations to global understanding with explainable AI for trees, Nature Machine
Intelligence 2, 2020 (path-dependent values: the background is the training cover of each node).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.arrays import Floats

_ROWS_FOR_THREADS = 1000
"""Below this many rows, waking threads costs more than they save."""


def contributions(booster: Any, X: Floats) -> Floats:
    """Return the contribution of every feature to the margin of every row.

    Parameters
    ----------
    booster : lightgbm.Booster
        Of one binary objective.
    X : array of shape (n, n_features)

    Returns
    -------
    array of shape (n, n_features + 1)
        The last column is the expected margin; rows sum to the margin.
    """
    values: Floats = booster.predict(X, pred_contrib=True, **_threads(X))
    return np.ascontiguousarray(values, dtype=np.float64)


def margins(booster: Any, X: Floats) -> Floats:
    """Return the raw log-odds of every row, of shape (n,)."""
    values: Floats = booster.predict(X, raw_score=True, **_threads(X))
    return np.ascontiguousarray(values, dtype=np.float64)


def _threads(X: Floats) -> dict[str, int]:
    return {"num_threads": 1} if len(X) < _ROWS_FOR_THREADS else {}
