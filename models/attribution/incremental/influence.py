"""How the fitted response would change if accounts counted otherwise: one Newton step, no refit.

With scores g_a = sum over the account's moments of (events - expected) x and information H, the coefficients on
accounts weighed by w_a are, to first order, ``beta + H^-1 sum_a (w_a - 1) g_a``.

References
----------
P. Kline and A. Santos, A score based approach to wild bootstrap inference, Journal of Econometric Methods 1, 2012.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Integers
from models.attribution.incremental.hazard import HIGHEST
from models.attribution.incremental.response import Risk, penalty
from models.attribution.incremental.shapes import Form


@dataclass(frozen=True)
class Influence:
    """What each cluster of journeys adds to the coefficients, of shape (n_clusters, p)."""

    by_cluster: Floats

    @classmethod
    def of(cls, risk: Risk, form: Form, beta: Floats, cluster: Integers, size: int) -> Influence:
        """Return the influence of each cluster.

        Parameters
        ----------
        risk : Risk
        form : Form
        beta : array of shape (p,)
        cluster : array of int, shape (r,)
            Of each moment.
        size : int
            The number of clusters.
        """
        design = risk.design(form)
        expected = risk.exposure * np.exp(np.minimum(design @ beta, HIGHEST))
        information = (design.T * expected) @ design + np.diag(penalty(risk.around.shape[1], form))
        surplus = risk.events - expected
        scores = np.stack([np.bincount(cluster, surplus * column, size) for column in design.T], axis=1)
        by_cluster = np.asarray(np.linalg.solve(information, scores.T).T, dtype=np.float64)
        return cls(by_cluster)

    def steps(self, weights: Floats) -> Floats:
        """Return the change of the coefficients in each draw, of shape (n_draws, p)."""
        return (weights - 1.0) @ self.by_cluster
