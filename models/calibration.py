"""Platt calibration in log-odds: ``logit p = a * margin + b`` with ``a > 0``.

References
----------
J. Platt, Probabilistic outputs for support vector machines, 1999 (the smoothed targets); H.-T. Lin, C.-J. Lin and
R. C. Weng, A note on Platt's probabilistic outputs, Machine Learning 68, 2007 (Newton's method with backtracking).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from features.errors import BundleError, NotEnoughDataError
from models.arrays import Floats
from models.uncertainty import Band

SMALLEST_SLOPE = 0.01
"""Slope kept when the margins say nothing, or the opposite of the truth: ranking must not turn round."""


@dataclass(frozen=True)
class Platt:
    """A calibration line.

    Parameters
    ----------
    a : float
        Slope, above 0.
    b : float
        Intercept.
    revision : int, default=0
        0 as trained; online recalibration counts up.
    band : Band or None, default=None
        How sure the log-odds are; None when nobody has measured it.
    """

    a: float
    b: float
    revision: int = 0
    band: Band | None = None

    def logit(self, margin: ArrayLike) -> Floats:
        """Return calibrated log-odds of raw margins.

        Examples
        --------
        >>> Platt(2.0, -1.0).logit([0.0, 1.0]).tolist()
        [-1.0, 1.0]
        """
        calibrated: Floats = self.a * np.asarray(margin, dtype=np.float64) + self.b
        return calibrated

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        band = None if self.band is None else self.band.to_json()
        return {"method": "platt", "a": self.a, "b": self.b, "revision": self.revision, "band": band}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Platt:
        """Return the line that `to_json` described.

        Raises
        ------
        BundleError
            When it is of another method, or its numbers can not be.
        """
        if document["method"] != "platt":
            raise BundleError(f"Calibration method must be 'platt'. Got {document['method']!r} instead.")
        a, b, revision = float(document["a"]), float(document["b"]), int(document["revision"])
        if not (math.isfinite(a) and math.isfinite(b) and a > 0 and revision >= 0):
            raise BundleError(f"Calibration needs a finite slope above 0. Got a = {a}, b = {b} instead.")
        return cls(a, b, revision, None if document["band"] is None else Band.from_json(document["band"]))


def fit_platt(margin: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Platt:
    """Fit the line by weighted maximum likelihood on margins of rows that the scorer has not seen.

    Parameters
    ----------
    margin : array of shape (n,)
        Out-of-fold margins in log-odds.
    y : array of shape (n,)
        Labels in {0, 1}.
    weights : array of shape (n,), optional

    Returns
    -------
    Platt
        With slope `SMALLEST_SLOPE` and the best intercept for it when the best slope is not above that.

    Raises
    ------
    NotEnoughDataError
        When a class is absent.

    Notes
    -----
    Targets are ``(N+ + 1) / (N+ + 2)`` and ``1 / (N- + 2)`` instead of 1 and 0, so that the line stays finite when the
    margins separate the classes.
    """
    x, labels = np.asarray(margin, dtype=np.float64), np.asarray(y, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    positive, negative = float(np.sum(w * labels)), float(np.sum(w * (1 - labels)))
    if positive == 0 or negative == 0:
        raise NotEnoughDataError("Calibration needs outcomes of both classes.")
    target = np.where(labels > 0.5, (positive + 1) / (positive + 2), 1 / (negative + 2))
    # Newton runs on centred, scaled margins: the Hessian is then well conditioned whatever the size of the margins.
    centre = float(np.sum(w * x) / w.sum())
    scale = math.sqrt(float(np.sum(w * (x - centre) ** 2) / w.sum()))
    if scale > 1e-12 * max(1.0, abs(centre)):
        design = np.stack([(x - centre) / scale, np.ones_like(x)])
        slope, intercept = _newton(design, target, w, np.zeros_like(x))
        if slope / scale >= SMALLEST_SLOPE:
            return Platt(float(slope / scale), float(intercept - slope / scale * centre))
    (intercept,) = _newton(np.ones((1, len(x))), target, w, SMALLEST_SLOPE * x)
    return Platt(SMALLEST_SLOPE, float(intercept))


def _newton(design: Floats, target: Floats, weights: Floats, offset: Floats) -> Floats:
    """Minimise the weighted cross-entropy of ``beta @ design + offset`` against soft targets, from 0."""
    beta = np.zeros(len(design))
    beta[-1] = math.log(np.sum(weights * target) / np.sum(weights * (1 - target))) - float(np.mean(offset))
    loss = _cross_entropy(beta @ design + offset, target, weights)
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(beta @ design + offset, -700, 700)))
        gradient = design @ (weights * (p - target))
        curvature = (design * (weights * p * (1 - p))) @ design.T + 1e-12 * weights.sum() * np.eye(len(design))
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-10:
            tried = _cross_entropy((beta - size * step) @ design + offset, target, weights)
            if tried <= loss:
                break
            size /= 2
        if size <= 1e-10:
            break
        beta, improved, loss = beta - size * step, loss - tried, tried
        if np.max(np.abs(step)) < 1e-12 or improved <= 0:
            break
    return beta


def _cross_entropy(logit: Floats, target: Floats, weights: Floats) -> float:
    return float(np.sum(weights * (np.logaddexp(0.0, logit) - target * logit)))
