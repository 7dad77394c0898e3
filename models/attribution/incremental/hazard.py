"""A log-linear hazard of conversion, fitted by Newton's method."""

from __future__ import annotations

import numpy as np

from models.arrays import Floats

_ROUNDS = 60
HIGHEST = 30.0
"""Log-hazards are cut here: far beyond any that data can support, and short of overflow."""


def fit_hazard(
    design: Floats, events: Floats, exposure: Floats, penalty: Floats, start: Floats | None = None
) -> Floats:
    """Return beta that maximises ``sum events x beta - exposure exp(x beta) - beta' diag(penalty) beta / 2``.

    Parameters
    ----------
    design : array of shape (r, p)
        Its first column is the constant.
    events, exposure : array of shape (r,)
        Conversions at each moment, and the days at risk that it stands for.
    penalty : array of shape (p,)
        Prior precision of each coefficient.
    start : array of shape (p,), optional
    """
    cases = np.flatnonzero(events)
    total = design[cases].T @ events[cases]
    beta = np.zeros(design.shape[1]) if start is None else start.copy()
    if start is None:
        beta[0] = np.log(events.sum() / exposure.sum())
    base = np.flatnonzero(exposure)
    at_risk, weight = (design, exposure) if len(base) == len(design) else (design[base], exposure[base])

    def loss(at: Floats) -> tuple[float, Floats]:
        expected = weight * np.exp(np.minimum(at_risk @ at, HIGHEST))
        return float(expected.sum() - total @ at + penalty @ at**2 / 2), expected

    current, expected = loss(beta)
    for _ in range(_ROUNDS):
        gradient = at_risk.T @ expected - total + penalty * beta
        # One array times itself: half the work of a product of two.
        scaled = at_risk * np.sqrt(expected)[:, None]
        curvature = scaled.T @ scaled + np.diag(penalty)
        step, size = np.linalg.solve(curvature, gradient), 1.0
        proposed, there = loss(beta - step)
        while proposed > current and size > 1e-8:
            size /= 2
            proposed, there = loss(beta - size * step)
        if proposed > current:
            break
        beta, improved = beta - size * step, current - proposed
        current, expected = proposed, there
        if improved <= 1e-9 * max(1.0, abs(current)):
            break
    return beta
