"""How good a set of probabilities is: ranking, sharpness and calibration.

Every measure takes labels ``y`` in {0, 1}, scores or probabilities, and optional non-negative weights, one per row.
Equal scores are treated as a group: no measure depends on the order of the rows.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from features.errors import NotEnoughDataError
from models.arrays import Floats

BINS = 10
"""Number of equal-count bins of the calibration error."""


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability table.

    Parameters
    ----------
    weight : float
        Rows in the bin, or their weights.
    predicted, observed : float
        Mean probability, and share of positives.
    """

    weight: float
    predicted: float
    observed: float


@dataclass(frozen=True)
class EceFloor:
    """Calibration error that chance alone gives a perfectly calibrated model."""

    median: float
    upper: float


def auc(y: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the probability that a positive row scores above a negative one, ties counting half.

    Raises
    ------
    NotEnoughDataError
        When a class is absent.

    Examples
    --------
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    groups = _Ties.of(y, score, weights)
    _both_classes(groups)
    positive, negative = groups.positive, groups.weight - groups.positive
    above = np.cumsum(positive) - positive
    return float(np.sum(negative * (above + positive / 2)) / (positive.sum() * negative.sum()))


def pr_auc(y: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return average precision: the mean over positives of the precision at their score.

    ``sum_n (R_n - R_{n-1}) P_n`` over the distinct scores, from the highest.

    Raises
    ------
    NotEnoughDataError
        When there is no positive row.
    """
    groups = _Ties.of(y, score, weights)
    total = groups.positive.sum()
    if total == 0:
        raise NotEnoughDataError("Average precision needs a positive row. Got none.")
    weight = np.cumsum(groups.weight)
    precision = np.divide(np.cumsum(groups.positive), weight, out=np.zeros_like(weight), where=weight > 0)
    return float(np.sum(precision * groups.positive) / total)


def brier(y: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the mean squared distance of the probability from the label."""
    labels, p, w = _rows(y, probability, weights)
    return float(np.sum(w * (p - labels) ** 2) / w.sum())


def brier_skill(y: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the share of the Brier score of the constant base rate that the model removes; 1 is perfect, 0 no better.

    Raises
    ------
    NotEnoughDataError
        When a class is absent, so that the constant is already perfect.
    """
    labels, _, w = _rows(y, probability, weights)
    rate = float(np.sum(w * labels) / w.sum())
    if rate in (0.0, 1.0):
        raise NotEnoughDataError("Brier skill needs rows of both classes.")
    return 1.0 - brier(y, probability, weights) / (rate * (1.0 - rate))


def log_losses(y: ArrayLike, logit: ArrayLike) -> Floats:
    """Return ``-log`` of the probability given to each row's label, of shape (n,), from log-odds.

    Finite for any finite log-odds: no probability is clipped.
    """
    labels, values = np.asarray(y, dtype=np.float64), np.asarray(logit, dtype=np.float64)
    losses: Floats = np.logaddexp(0.0, np.where(labels > 0.5, -values, values))
    return losses


def log_loss(y: ArrayLike, logit: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the mean of `log_losses`. It takes log-odds, not probabilities."""
    _, _, w = _rows(y, logit, weights)
    return float(np.sum(w * log_losses(y, logit)) / w.sum())


def reliability(
    y: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None, *, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Return mean probability and share of positives in bins of equal weight, from the lowest probability.

    A group of equal probabilities that lies across an edge is shared between the bins in proportion.
    """
    labels, p, w = _rows(y, probability, weights)
    member = bin_members(p, w, bins=bins)
    return tuple(
        ReliabilityBin(float(weight), float(predicted / weight), float(observed / weight))
        for weight, predicted, observed in zip(w @ member, (w * p) @ member, (w * labels) @ member, strict=True)
        if weight > 0
    )


def bin_members(probability: ArrayLike, weights: ArrayLike | None = None, *, bins: int = BINS) -> Floats:
    """Return how much of each row lies in each bin of equal weight, of shape (n, bins)."""
    p = np.asarray(probability, dtype=np.float64)
    w = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    distinct, group = np.unique(p, return_inverse=True)
    weight = np.bincount(group, weights=w, minlength=len(distinct))
    end = np.cumsum(weight)
    edges = np.linspace(0.0, end[-1], bins + 1)
    covered = np.diff(np.clip(edges[None, :], (end - weight)[:, None], end[:, None]), axis=1)
    members: Floats = (covered / np.where(weight > 0, weight, 1.0)[:, None])[group]
    return members


def ece(y: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None, *, bins: int = BINS) -> float:
    """Return the expected calibration error: mean distance of observed from predicted over equal-count bins."""
    table = reliability(y, probability, weights, bins=bins)
    return sum(row.weight * abs(row.predicted - row.observed) for row in table) / sum(row.weight for row in table)


def ece_floor(
    probability: ArrayLike,
    accounts: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
    bins: int = BINS,
) -> EceFloor:
    """Return the calibration error a perfectly calibrated model would show on these rows.

    Labels are drawn from the model's own probabilities with one uniform number per account, because the rows of an
    account come out together.

    Parameters
    ----------
    probability : array of shape (n,)
    accounts : array of shape (n,), optional
        Account of each row; without it every row is its own.
    weights : array of shape (n,), optional
    draws : int, default=1000
    seed : int, default=0

    Returns
    -------
    EceFloor
        Median and 95th percentile over the draws.
    """
    p = np.asarray(probability, dtype=np.float64)
    w = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    account = np.arange(len(p)) if accounts is None else np.unique(np.asarray(accounts), return_inverse=True)[1]
    order = np.argsort(p, kind="stable")
    order = order[w[order] > 0]
    p, w, account = p[order], w[order], account[order]
    # Cumulated over rows in the order of p, a bin is a difference of two interpolated values: equal p's are shared.
    last = np.flatnonzero(np.concatenate([p[1:] != p[:-1], [True]]))
    covered = np.concatenate([[0.0], np.cumsum(w)[last]])
    edges = np.linspace(0.0, covered[-1], bins + 1)
    predicted = np.diff(np.interp(edges, covered, np.concatenate([[0.0], np.cumsum(w * p)[last]])))
    random, number = np.random.default_rng(seed), int(account.max()) + 1
    errors: list[Floats] = []
    while sum(map(len, errors)) < draws:
        # Some draws at a time, few enough for the processor's cache.
        some = min(max(1, 200_000 // len(p)), draws - sum(map(len, errors)))
        positive = np.cumsum(w * (random.random((some, number))[:, account] < p), axis=1)[:, last]
        upto = np.concatenate([np.zeros((some, 1)), positive], axis=1)
        observed = np.diff([np.interp(edges, covered, one) for one in upto])
        errors.append(np.abs(predicted - observed).sum(axis=1) / covered[-1])
    of_draw = np.concatenate(errors)
    return EceFloor(float(np.median(of_draw)), float(np.quantile(of_draw, 0.95)))


def precision_at(y: ArrayLike, score: ArrayLike, capacity: float, weights: ArrayLike | None = None) -> float:
    """Return the share of positives among the `capacity` best rows; ties at the edge count in proportion.

    Raises
    ------
    ValueError
        When `capacity` is not a positive number.

    Examples
    --------
    >>> precision_at([1, 0, 1, 0], [0.9, 0.8, 0.8, 0.1], 2)
    0.75
    """
    if not capacity > 0:
        raise ValueError(f"`capacity` must be a positive number of rows. Got {capacity} instead.")
    groups = _Ties.of(y, score, weights)
    left = capacity - (np.cumsum(groups.weight) - groups.weight)
    taken = np.clip(left, 0.0, groups.weight)
    return float(np.sum(taken * groups.positive / groups.weight) / taken.sum())


def lift_at(y: ArrayLike, score: ArrayLike, share: float, weights: ArrayLike | None = None) -> float:
    """Return the share of positives among the best `share` of rows, over that among all.

    Raises
    ------
    NotEnoughDataError
        When there is no positive row.
    """
    labels, _, w = _rows(y, score, weights)
    rate = float(np.sum(w * labels) / w.sum())
    if rate == 0.0:
        raise NotEnoughDataError("Lift needs a positive row. Got none.")
    return precision_at(y, score, share * float(w.sum()), weights) / rate


def calibration_line(y: ArrayLike, logit: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, float]:
    """Return slope and intercept of the logistic regression of the labels on calibrated log-odds.

    1 and 0 are perfect. A slope below 1 means log-odds that are too extreme, above 1 too timid.

    Raises
    ------
    NotEnoughDataError
        When a class is absent, the log-odds are all equal, or they separate the classes.

    References
    ----------
    D. R. Cox, Two further applications of a model for binary regression, Biometrika 45, 1958.
    """
    labels, x, w = _rows(y, logit, weights)
    positive = float(np.sum(w * labels))
    centre = float(np.sum(w * x) / w.sum())
    scale = float(np.sqrt(np.sum(w * (x - centre) ** 2) / w.sum()))
    if positive in (0.0, float(w.sum())) or scale <= 1e-9 * max(1.0, abs(centre)):
        raise NotEnoughDataError("A calibration line needs rows of both classes and log-odds that differ.")
    design = np.stack([(x - centre) / scale, np.ones_like(x)])
    beta = np.array([scale, centre])
    for _ in range(50):
        p = sigmoid(beta @ design)
        curvature = (design * (w * p * (1 - p))) @ design.T
        if np.linalg.cond(curvature) > 1e12:
            break
        step = np.linalg.solve(curvature, design @ (w * (labels - p)))
        # From far away a whole step can overshoot.
        beta = beta + step / max(1.0, float(np.abs(step).max()) / 2)
        if np.abs(step).max() < 1e-10:
            slope = float(beta[0] / scale)
            return slope, float(beta[1] - slope * centre)
    raise NotEnoughDataError("A calibration line needs log-odds that do not separate the classes.")


def summary(
    y: ArrayLike,
    logit: ArrayLike,
    *,
    accounts: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    capacity: float | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Return every measure by name, from calibrated log-odds; slope and intercept only where there is such a line.

    Parameters
    ----------
    y, logit : array of shape (n,)
    accounts : array of shape (n,), optional
        Account of each row, for the floor of the calibration error.
    weights : array of shape (n,), optional
    capacity : float, optional
        Number of rows, or sum of weights, the team can act on; without it `precision_at_capacity` is left out.
    seed : int, default=0
        Seed of the floor.
    """
    values = np.asarray(logit, dtype=np.float64)
    p = sigmoid(values)
    floor = ece_floor(p, accounts, weights, seed=seed)
    labels, _, w = _rows(y, p, weights)
    measures = {
        "rows": float(len(labels)),
        "base_rate": float(np.sum(w * labels) / w.sum()),
        "auc": auc(y, values, weights),
        "pr_auc": pr_auc(y, values, weights),
        "brier": brier(y, p, weights),
        "brier_skill": brier_skill(y, p, weights),
        "log_loss": log_loss(y, values, weights),
        "ece": ece(y, p, weights),
        "ece_floor_median": floor.median,
        "ece_floor_95": floor.upper,
        "lift_at_10": lift_at(y, values, 0.1, weights),
    }
    with contextlib.suppress(NotEnoughDataError):
        measures["calibration_slope"], measures["calibration_intercept"] = calibration_line(y, values, weights)
    if capacity is not None:
        measures["precision_at_capacity"] = precision_at(y, values, capacity, weights)
    return measures


def clustered_mean(values: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, float]:
    """Return a mean and its standard error when rows of a group are dependent.

    ``SE^2 = G / (G - 1) * sum_g (sum_{i in g} w_i (x_i - mean))^2 / (sum_i w_i)^2``.

    Raises
    ------
    NotEnoughDataError
        When there are fewer than two groups.
    """
    x = np.asarray(values, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    of_row = np.unique(np.asarray(groups), return_inverse=True)[1]
    number = int(of_row.max()) + 1
    if number < 2:
        raise NotEnoughDataError(f"A standard error needs at least two accounts. Got {number}.")
    mean = float(np.sum(w * x) / w.sum())
    within = np.bincount(of_row, weights=w * (x - mean))
    return mean, float(np.sqrt(number / (number - 1) * np.sum(within**2)) / w.sum())


def sigmoid(logit: ArrayLike) -> Floats:
    """Return ``1 / (1 + exp(-logit))`` without overflow.

    Examples
    --------
    >>> sigmoid([-800.0, 0.0, 800.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    values = np.asarray(logit, dtype=np.float64)
    small = np.exp(-np.abs(values))
    p: Floats = np.where(values >= 0, 1.0, small) / (1.0 + small)
    return p


@dataclass(frozen=True)
class _Ties:
    """Rows of equal score as one, from the highest score: total weight, and weight of positives."""

    score: Floats
    weight: Floats
    positive: Floats

    @classmethod
    def of(cls, y: ArrayLike, score: ArrayLike, weights: ArrayLike | None) -> _Ties:
        labels, values, w = _rows(y, score, weights)
        kept = w > 0
        distinct, group = np.unique(-values[kept], return_inverse=True)
        weight = np.bincount(group, weights=w[kept], minlength=len(distinct)).astype(np.float64)
        positive = np.bincount(group, weights=(w * labels)[kept], minlength=len(distinct)).astype(np.float64)
        return cls(-distinct, weight, positive)


def _rows(y: ArrayLike, score: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    labels, values = np.asarray(y, dtype=np.float64), np.asarray(score, dtype=np.float64)
    w = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (labels.shape == values.shape == w.shape and labels.ndim == 1):
        raise ValueError(
            f"Labels, scores and weights must be of one length. Got {labels.shape}, {values.shape}, {w.shape}."
        )
    if len(labels) == 0 or w.sum() <= 0:
        raise NotEnoughDataError("There are no rows to measure on.")
    return labels, values, w


def _both_classes(groups: _Ties) -> None:
    positive = groups.positive.sum()
    if positive == 0 or positive == groups.weight.sum():
        raise NotEnoughDataError("AUC needs rows of both classes.")
