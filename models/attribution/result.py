"""The answer of one model, player by player, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Floats
from models.attribution.allocation import players as values_of
from models.attribution.credit import BASELINE, NO_TOUCH, Credit, Evidence
from models.attribution.intervals import Replicates
from models.bootstrap import Estimate

OTHERS = "(others)"
UNKNOWN_CURRENCY = "unknown"

Draw = Callable[[Floats | None], Replicates]
"""Gives what each value of a column is given, when journeys are worth an amount; None for their number."""


@dataclass(frozen=True)
class Players:
    """What is credited: values of a column, those with little credit taken together.

    Parameters
    ----------
    by : str
        The column.
    names : tuple of str
        `OTHERS` last, when there are any.
    is_lever : tuple of bool
        Whether we choose to make most of its touches.
    different : int
        How many values there are.
    """

    by: str
    names: tuple[str, ...]
    is_lever: tuple[bool, ...]
    different: int

    @classmethod
    def of(cls, credits: Iterable[Credit], by: str, most: int) -> Players:
        """Return the `most` values with the largest credit by all models together, and the others together.

        Values without credit come after those with some, the more often touched first.
        """
        total: dict[str, tuple[float, int, int]] = {}
        for credit in credits:
            names, code = values_of(credit.journeys, by)
            given, touches, levers = (
                np.bincount(code, weights=weight, minlength=len(names)).tolist()
                for weight in (credit.touch, None, credit.journeys.is_lever)
            )
            for at, name in enumerate(names):
                before = total.get(name, (0.0, 0, 0))
                total[name] = before[0] + given[at], before[1] + touches[at], before[2] + levers[at]
        order = sorted(total, key=lambda name: (-round(total[name][0], 9), -total[name][1], name))
        kept, others = order[:most], order[most:]
        is_lever = [2 * total[name][2] > total[name][1] for name in kept]
        return cls(by, (*kept, *([OTHERS] if others else [])), (*is_lever, *([False] if others else [])), len(order))

    def grouped(self, found: Replicates, rest: str) -> Replicates:
        """Return what each player is given, those without any too, and what is left under its own label."""
        labels = (*self.names, rest)
        place = {name: at for at, name in enumerate(labels)}
        named = [rest if label in (BASELINE, NO_TOUCH) else label for label in found.labels]
        slot = [place.get(name, len(self.names) - 1) for name in named]
        group = np.zeros((len(slot), len(labels)))
        group[np.arange(len(slot)), slot] = 1
        return Replicates(labels, found.value @ group, found.draws @ group)


@dataclass(frozen=True)
class Line:
    """What a model gives one player.

    Parameters
    ----------
    player : str
    credit : Estimate
        Conversions.
    share : Estimate
        Of all conversions.
    first : float or None
        How likely it is that no other player has more; None for what is no player.
    revenue : mapping of str to Estimate
        Minor units by currency.
    """

    player: str
    credit: Estimate
    share: Estimate
    first: float | None
    revenue: Mapping[str, Estimate]


@dataclass(frozen=True)
class Result:
    """What a model gives all players, and what it gives none.

    Parameters
    ----------
    model : str
    evidence : Evidence
    per_journey : bool
        Whether the credits of each journey make that journey.
    lines : tuple of Line
        In the order of the players.
    rest : Line
        What no touch is given: its player says why.
    """

    model: str
    evidence: Evidence
    per_journey: bool
    lines: tuple[Line, ...]
    rest: Line


def result(credit: Credit, players: Players, draw: Draw) -> Result:
    """Return what a model gives each player, with 90 % intervals.

    Parameters
    ----------
    credit : Credit
    players : Players
    draw : callable
        Draws of the same credit.
    """
    found = players.grouped(draw(None), credit.rest_label)
    # What is shown is the credit itself; signed draws only tell how sure it is.
    exact = replace(found, value=_given(credit, players, credit.rows.credit))
    credits, shares, first = exact.estimates(), exact.shares(), exact.first()
    revenue = dict(_revenue(credit, players, draw))
    lines = [
        Line(
            name,
            credits[name],
            shares[name],
            None if name == OTHERS else first.get(name),
            {currency: amounts[name] for currency, amounts in revenue.items()},
        )
        for name in exact.labels
    ]
    return Result(credit.model, credit.evidence, credit.per_journey, tuple(lines[:-1]), lines[-1])


def _revenue(credit: Credit, players: Players, draw: Draw) -> Iterable[tuple[str, dict[str, Estimate]]]:
    """Yield, by currency, the minor units of each player and the rest: to the unit those of the credit frame."""
    journeys = credit.journeys
    currency = np.asarray(journeys.journeys["currency"].fill_null(UNKNOWN_CURRENCY).to_pylist(), dtype=object)
    paid = journeys.converted & (journeys.revenue != 0)
    for one in sorted(set(currency[paid].tolist())):
        amount = np.where(paid & (currency == one), journeys.revenue, 0)
        found = players.grouped(draw(amount.astype(np.float64)), credit.rest_label)
        exact = np.where(currency[credit.rows.journey] == one, credit.revenue, 0)
        yield one, replace(found, value=_given(credit, players, exact)).estimates()


def _given(credit: Credit, players: Players, amount: Floats) -> Floats:
    """Return the sums of a number per row of the credit frame by player, and the rest last."""
    names, code = values_of(credit.journeys, players.by)
    place = {name: at for at, name in enumerate(players.names)}
    slots = np.array([place.get(name, len(place) - 1) for name in names], dtype=np.int64)[code]
    # A touch of -1 is a rest, which has the last slot.
    slot = np.append(slots, len(place))[credit.rows.touch]
    return np.bincount(slot, weights=amount, minlength=len(place) + 1).astype(np.float64)
