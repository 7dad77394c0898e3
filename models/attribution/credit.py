"""What an attribution model gives: one immutable answer for every touch, and the one frame that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.journeys import Journeys
from features.journeys.journeys import codes
from models.arrays import Floats, Integers
from models.attribution.revenue import Rows, plain, stranded, within_currencies, within_journeys

NO_TOUCH = "(no touch)"
"""Channel of what a rule or a closed form gives to no touch."""
BASELINE = "(baseline)"
"""Channel of what would have happened anyway."""
UNASSIGNED = "Unassigned"
"""Channel of a touch whose channel is not known."""

_OF_JOURNEY = ("account_id", "cycle_id", "deal_id", "currency")
FRAME_COLUMNS = (
    "account_id", "cycle_id", "deal_id", "source", "event_id", "contact_id", "channel", "campaign", "content",
    "product", "actor_id", "transition", "model", "credit", "revenue", "currency",
)  # fmt: skip
"""Columns of the credit frame: whose journey, which touch, and what it is given."""


class Evidence(StrEnum):
    """What a figure rests on, from the weakest to the strongest."""

    RULE = "rule"
    CORRELATIONAL = "correlational"
    ADJUSTED = "adjusted"
    EXPERIMENT = "experiment-calibrated"


@dataclass(frozen=True)
class Credit:
    """The conversions of some journeys, shared among their touches by one model.

    Parameters
    ----------
    model : str
        Name of the model, as people choose it: ``first``, ``markov_1``, ``incremental``.
    evidence : Evidence
    journeys : Journeys
        With m touches and n journeys.
    touch : array of shape (m,)
        Conversions credited to each touch, at least 0.
    rest : array of shape (n,)
        Conversions of each journey that no touch is given: what would have happened anyway, or a journey without a
        touch that counts. With the touches of a converted journey it makes `count`.
    per_journey : bool
        Whether each converted journey's credits make its own count; else only the sum over all does (Anderl et al.).
    rest_label : str
        Channel under which the frame shows the rest.

    Raises
    ------
    ValueError
        When credit is negative or not a number, given to a journey that did not convert, or does not make the
        conversions.
    """

    model: str
    evidence: Evidence
    journeys: Journeys
    touch: Floats
    rest: Floats
    per_journey: bool = True
    rest_label: str = NO_TOUCH

    def __post_init__(self) -> None:
        journeys = self.journeys
        shapes = (journeys.touches.num_rows,), (journeys.size,)
        if (self.touch.shape, self.rest.shape) != shapes:
            raise ValueError(
                f"`touch` and `rest` of {self.model} must have the shapes {shapes[0]} and {shapes[1]}. "
                f"Got {self.touch.shape} and {self.rest.shape} instead."
            )
        journey, _, credit = self.rows
        if not (credit >= 0).all():
            raise ValueError(
                f"The credits of {self.model} must be at least 0. Got {credit[~(credit >= 0)][0]} instead."
            )
        due = np.where(journeys.converted, journeys.count, 0).astype(np.float64)
        given = np.bincount(journey, credit, minlength=journeys.size)
        if (given[due == 0] > 0).any():
            raise ValueError(f"{self.model} credits a journey that did not convert. Only conversions can be shared.")
        if not self.per_journey:
            due, given = due.sum(keepdims=True), given.sum(keepdims=True)
        wrong = np.flatnonzero(np.abs(given - due) > 1e-6 * np.maximum(due, 1.0))
        if len(wrong):
            raise ValueError(
                f"The credits of {self.model} must make {due[wrong[0]]:g} conversions"
                f"{f' in journey {wrong[0]}' if self.per_journey else ''}. They make {given[wrong[0]]:g} instead."
            )

    @cached_property
    def rows(self) -> Rows:
        """The rows of the frame: everything that has credit or revenue, and nothing else."""
        touch = np.flatnonzero(self.touch != 0)
        journey, credit = self.journeys.of_touch[touch], self.touch[touch]
        has_rest = self.rest != 0
        if not self.per_journey:
            has_rest |= stranded(self.journeys, journey)
        rest = np.flatnonzero(has_rest)
        end = np.searchsorted(journey, rest, side="right")
        return Rows(np.insert(journey, end, rest), np.insert(touch, end, -1), np.insert(credit, end, self.rest[rest]))

    @cached_property
    def revenue(self) -> Integers:
        """What each row of the frame is given, of shape (r,), in minor units of the currency of its journey.

        By the largest remainder within each journey or, where the credits only make the conversions of all journeys
        together, within each currency: amounts of different currencies never mix.
        """
        return (within_journeys if self.per_journey else within_currencies)(self.journeys, self.rows)

    def frame(self, columns: Sequence[str] = FRAME_COLUMNS) -> pa.Table:
        """Return one row per touch that is given something, and one per journey with a rest.

        The credits make the conversions, and the revenues, in minor units, the revenue of the converted journeys to
        the last unit. What no touch is given stands in the channel `rest_label`, a touch without a channel in
        ``Unassigned``; every other missing value stays missing.

        Parameters
        ----------
        columns : sequence of str, default=FRAME_COLUMNS
            Only these are made.
        """
        journey, touch, credit = self.rows
        is_rest = touch < 0
        at_touch = pa.array(touch, mask=is_rest)

        def column(name: str) -> pa.Array | pa.ChunkedArray:
            if name in _OF_JOURNEY:
                return plain(self.journeys.journeys[name].take(pa.array(journey)))
            if name == "credit":
                return pa.array(credit)
            if name == "revenue":
                return pa.array(self.revenue)
            if name in ("model", "transition"):
                return pa.repeat(self.model if name == "model" else self.journeys.transition, len(journey))
            of_touch = plain(self.journeys.touches[name].take(at_touch))
            if name != "channel":
                return of_touch
            known = pc.fill_null(of_touch, UNASSIGNED)
            return pc.if_else(pa.array(is_rest), self.rest_label, known)

        return pa.table({name: column(name) for name in columns})

    def coded(self, column: str) -> tuple[list[str | None], Integers]:
        """Return the different values of a column of the frame, and the code of each row, of shape (r,).

        For columns of few values; it is much faster than to make the column.
        """
        journey, touch, _ = self.rows
        if column in ("model", "transition"):
            return [self.model if column == "model" else self.journeys.transition], np.zeros_like(journey)
        if column in _OF_JOURNEY:
            values, code = codes(self.journeys.journeys[column])
            return values, code[journey]
        values, code = self.journeys.players(column)
        rest = self.rest_label if column == "channel" else None
        labels = [UNASSIGNED if column == "channel" and value is None else value for value in values] + [rest]
        # A channel may really be called Unassigned.
        place = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        slot = np.array([place[label] for label in labels])
        return list(place), slot[np.append(code, len(values))[touch]]


class AttributionModel(Protocol):
    """Journeys in, credit out: every model of `models.attribution` has this shape."""

    @property
    def name(self) -> str:
        """As people choose it: ``first``, ``markov_1``, ``incremental``."""
        ...

    @property
    def evidence(self) -> Evidence:
        """What its figures rest on."""
        ...

    def fit(self, journeys: Journeys) -> Self:
        """Learn from journeys; a rule learns nothing."""
        ...

    def credit(self, journeys: Journeys) -> Credit:
        """Share the conversions of these journeys among their touches."""
        ...


def sums(of_touch: Floats, offset: Integers) -> Floats:
    """Return the sums over some touches of each journey, of shape (n,); those of i are offset[i] to offset[i + 1]."""
    total = np.zeros(len(offset) - 1)
    some = np.diff(offset) > 0
    if some.any():
        total[some] = np.add.reduceat(of_touch, offset[:-1][some])
    return total
