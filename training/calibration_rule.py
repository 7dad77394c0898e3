"""On which margins the calibration line is fitted: cross-fitted ones, or those of a later slice of training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.ladder import FEW
from training.splits import Accounts, Flags, Moments

HORIZONS = 5
"""Horizons of time that must remain to fit the model on when a later slice is set aside."""

SLICE = 0.2
"""Share of the training time, at its end, that the slice takes."""


@dataclass(frozen=True)
class LaterSlice:
    """Training rows divided in two.

    Parameters
    ----------
    fit : ndarray of bool, shape (n,)
        Rows the model is fitted on; their outcomes were known before the slice begins.
    calibrate : ndarray of bool, shape (n,)
        The slice.
    """

    fit: Flags
    calibrate: Flags


def later_slice(
    as_of: Moments, label: npt.NDArray[np.int8], account_id: Accounts, *, horizon: int, embargo: int
) -> LaterSlice | None:
    """Return the later slice to calibrate on, or None when the training time is too short for one.

    The slice is better than cross-fitted margins, because it is to the model what the future will be. It costs the
    model its most recent rows, so it is taken only when `HORIZONS` horizons are left before it, and
    `models.ladder.FEW` winning accounts on either side: with fewer, no outcome can be spared.

    Parameters
    ----------
    as_of : ndarray of int64, shape (n,)
        Moments of the training rows, UTC microseconds.
    label, account_id : ndarray of shape (n,)
    horizon, embargo : int, in microseconds
        Of the goal; the embargo also holds the reporting lag.
    """
    first, last = int(as_of.min()), int(as_of.max())
    begin = last - SLICE * (last - first)
    calibrate = as_of >= begin
    fit = as_of + embargo < begin
    if not fit.any() or int(as_of[fit].max()) - first < HORIZONS * horizon:
        return None
    if min(len(np.unique(account_id[rows & (label > 0)])) for rows in (fit, calibrate)) < FEW:
        return None
    return LaterSlice(fit, calibrate)
