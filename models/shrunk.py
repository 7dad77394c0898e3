"""Logistic regression that starts from the rule: what few outcomes can add to the points of the agreement.

The posterior mode of ``logit p = c + s r + sum_j beta_j z_j`` with the points' margin r and the standardised terms z of
the logistic rung. The prior is the rule: ``s ~ N(SLOPE, SLOPE_SPREAD^2)``, ``beta_j ~ N(0, SPREAD^2)``, c flat; terms
of the stage are free within `STAGE_SPREAD`, because everybody knows that a later stage is nearer to the goal. Without
outcomes the mode is the rule; many outcomes outweigh the prior and it becomes the logistic regression. Snapshots of an
account repeat one another, so that the likelihood counts accounts, not rows.

References
----------
A. Gelman, A. Jakulin, M. G. Pittau and Y.-S. Su, A weakly informative default prior distribution for logistic and other
regression models, Annals of Applied Statistics 2, 2008.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.arrays import Floats
from models.encoding import Encoding
from models.fitting import Sample
from models.linear import fit_terms
from models.metrics import sigmoid
from models.points import UNIT, make_points
from models.propensity import LogisticScorer, Terms

SLOPE, SLOPE_SPREAD = 2.0, 2.0
"""Prior of the log-odds that `models.points.UNIT` points add."""

SPREAD = 0.14
"""Prior standard deviation of the log-odds that a standardised term adds."""

STAGE_SPREAD = 2.0
"""The same for a stage of the goal's kind."""

_FLAT = 1e-6
_ROUNDS = 50


def fit_shrunk(sample: Sample, encoding: Encoding, points: Mapping[str, float], stage: int) -> LogisticScorer:
    """Fit the regression that is shrunk towards the rule, and return it as plain coefficients.

    Parameters
    ----------
    sample : Sample
    encoding : Encoding
    points : mapping of str to float
        Points by feature.
    stage : int
        Column of the stage.
    """
    rule = make_points(encoding, points)
    free = fit_terms(sample, encoding)
    design = free.design(sample.X)
    margin = rule.margin(sample.X)
    accounts = len(np.unique(sample.groups))
    weights = sample.weights * (accounts / sample.weights.sum())
    spread = np.where(free.column == stage, STAGE_SPREAD, SPREAD)
    precision = np.concatenate([spread**-2, [SLOPE_SPREAD**-2, _FLAT]])
    columns = np.column_stack([design, margin, np.ones(len(margin))])
    mode = _mode(columns, sample.y, weights, SLOPE * margin, precision)
    slope, constant = SLOPE + mode[-2], float(mode[-1])
    terms = _with_points(free, rule.column)
    coefficient = np.concatenate([mode[:-2], slope * rule.points / UNIT])
    mean = np.average(terms.design(sample.X), axis=0, weights=sample.weights)
    return LogisticScorer("shrunk", sample.X.shape[1], terms, coefficient, mean, constant + float(mean @ coefficient))


def _with_points(terms: Terms, column: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Terms:
    zeros, number = np.zeros(len(column)), len(column)
    return Terms(
        np.concatenate([terms.column, column]),
        (*terms.transform, *("linear",) * number),
        np.concatenate([terms.value, zeros]),
        np.concatenate([terms.centre, zeros]),
        np.concatenate([terms.scale, zeros + 1]),
    )


def _mode(columns: Floats, y: Floats, weights: Floats, offset: Floats, precision: Floats) -> Floats:
    """Return the coefficients that maximise likelihood times prior, by Newton's method with backtracking."""

    def loss(at: Floats) -> float:
        logit = columns @ at + offset
        return float(weights @ (np.logaddexp(0.0, logit) - y * logit) + precision @ at**2 / 2)

    beta = np.zeros(columns.shape[1])
    rate = (weights @ y + 0.5) / (weights.sum() + 1)
    beta[-1] = np.log(rate / (1 - rate)) - float(np.average(offset, weights=weights))
    current = loss(beta)
    for _ in range(_ROUNDS):
        p = sigmoid(columns @ beta + offset)
        gradient = columns.T @ (weights * (p - y)) + precision * beta
        curvature = (columns.T * (weights * p * (1 - p))) @ columns + np.diag(precision)
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while size > 1e-10 and loss(beta - size * step) > current:
            size /= 2
        beta = beta - size * step
        improved, current = current - loss(beta), loss(beta)
        if improved <= 1e-8 * max(1.0, abs(current)):
            break
    return beta
