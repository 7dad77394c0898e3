"""What is shown of the best rung beside its measures: reliability, lift, calibration by week, slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from features.schema import DAY
from models.metrics import bin_members, sigmoid
from training.ladder_report import Bin, Diagnosis, Gain, Slice, Week
from training.origin import NOT_KNOWN
from training.parts import USE, Part, TestRows

SHARES = (0.01, 0.02, 0.05, *(round(0.1 * step, 1) for step in range(1, 11)))
"""Shares of rows, taken from the best, at which lift is shown."""

SIZES = (
    (10, "1 to 9 people"),
    (50, "10 to 49 people"),
    (250, "50 to 249 people"),
    (1000, "250 to 999 people"),
    (np.inf, "1,000 people and more"),
)
"""Size classes by employees, each up to a number that it does not hold."""

COLUMNS = ("segment", "language")
"""Features whose values are slices."""

MOST_VALUES = 12
"""Values of a slice that are shown; the rarer ones are taken together."""

SLICE_MEASURES = (
    "auc",
    "brier",
    "ece",
    "ece_floor_median",
    "ece_floor_95",
    "calibration_slope",
    "calibration_intercept",
)

_Floats = npt.NDArray[np.float64]


def diagnose(tested: TestRows, parts: Mapping[str, Part], logit: _Floats) -> Diagnosis:
    """Return what is shown of a model.

    Parameters
    ----------
    tested : TestRows
    parts : mapping of str to Part
        The parts of the test that are measured.
    logit : ndarray of shape (n,)
        Its calibrated log-odds of the test rows.
    """
    return Diagnosis(
        reliability={name: _reliability(part, logit) for name, part in parts.items() if part.is_enough},
        lift=_lift(parts[USE], logit) if parts[USE].is_enough else (),
        weekly=tuple(_weekly(tested, logit)),
        slices=tuple(_slice(*one, logit) for one in slices_of(tested)),
    )


def slices_of(tested: TestRows) -> Iterator[tuple[str, str, Part]]:
    """Yield the slices of the test rows: name, value and rows.

    Values of `COLUMNS`, channels of origin, size classes, and whether training has seen the account, where that is
    known.
    """
    for name in COLUMNS:
        if name in tested.table.column_names:
            yield from _by_value(tested, name, [value or NOT_KNOWN for value in tested.table[name].to_pylist()])
    if tested.origin is not None:
        yield from _by_value(tested, "channel", tested.origin.tolist())
    if "employees" in tested.table.column_names:
        yield from _by_value(tested, "size", [_size(value) for value in tested.table["employees"].to_pylist()])
    if tested.unseen.any() and not tested.unseen.all():
        yield "seen", "seen in training", tested.part(~tested.unseen)
        yield "seen", "never seen in training", tested.part(tested.unseen)


def _reliability(part: Part, logit: _Floats) -> tuple[Bin, ...]:
    p, w = sigmoid(logit[part.rows]), part.drawn.weights
    member = bin_members(p, w)
    return tuple(
        Bin(float(w @ one), float((w * p) @ one / (w @ one)), rate.value, *rate.bounds)
        for one, rate in zip(member.T, part.drawn.rates(member), strict=True)
    )


def _lift(part: Part, logit: _Floats) -> tuple[Gain, ...]:
    rate = part.base_rate
    lifts = part.drawn.lifts(logit[part.rows], np.array(SHARES))
    return tuple(
        Gain(share, lift, precision=lift.value * rate, captured=lift.value * share)
        for share, lift in zip(SHARES, lifts, strict=True)
    )


def _weekly(tested: TestRows, logit: _Floats) -> Iterator[Week]:
    first = int(tested.as_of.min())
    week = (tested.as_of - first) // (7 * DAY)
    weeks = np.unique(week)
    # A single week says what the whole test says.
    for number in weeks if len(weeks) > 1 else ():
        part = tested.part(week == number)
        found = part.drawn.measure(logit[part.rows]).estimates() if part.is_enough else {}
        yield Week(
            start=first + int(number) * 7 * DAY,
            until=first + (int(number) + 1) * 7 * DAY,
            rows=len(part.rows),
            accounts=part.accounts,
            outcomes=part.outcomes,
            observed=part.base_rate,
            predicted=part.mean(sigmoid(logit)),
            slope=found.get("calibration_slope"),
            intercept=found.get("calibration_intercept"),
        )


def _by_value(tested: TestRows, name: str, of_row: list[str]) -> Iterator[tuple[str, str, Part]]:
    """Yield the rows of each value, the most frequent first; nothing when all have the same."""
    values = np.array(of_row, dtype=np.str_)
    known, counts = np.unique(values, return_counts=True)
    if len(known) < 2:
        return
    order = known[np.argsort(-counts, kind="stable")]
    if name == "size":
        order = np.array([label for label in (*(label for _, label in SIZES), NOT_KNOWN) if label in set(known)])
    shown = order[:MOST_VALUES]
    for value in shown:
        yield name, str(value), tested.part(values == value)
    if len(order) > len(shown):
        yield name, "all others", tested.part(~np.isin(values, shown))


def _slice(name: str, value: str, part: Part, logit: _Floats) -> Slice:
    found = part.drawn.measure(logit[part.rows]).estimates() if part.is_enough else None
    return Slice(
        slice=name,
        value=value,
        rows=len(part.rows),
        accounts=part.accounts,
        outcomes=part.outcomes,
        observed=part.base_rate,
        predicted=part.mean(sigmoid(logit)),
        measures=None if found is None else {key: found[key] for key in SLICE_MEASURES if key in found},
    )


def _size(employees: float | None) -> str:
    if employees is None or employees != employees:
        return NOT_KNOWN
    return next(label for most, label in SIZES if employees < most)
