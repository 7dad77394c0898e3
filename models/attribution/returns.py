"""What channels cost and what they brought: cost per lead, acquisition cost, return on spend, with intervals.

A cost is known to the minor unit; what it brought is credit, which has an interval, and so has their ratio. A cost that
is missing is never 0: what would rest on it is missing too, and says why. A cost of 0 is one. Likewise a deal whose
amount nobody recorded did not bring 0: where all deals of a channel are such, its return is missing; where some are, it
is what the others brought, and said to be at least that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from models.attribution.intervals import Replicates
from models.attribution.spending import Money
from models.bootstrap import Estimate

WON = "won"
"""The transition whose cost is that of acquiring a customer."""

_NOTHING = Estimate(0.0, 0.0, 0.0)


class Gap(StrEnum):
    """Why a figure is missing."""

    NO_COST = "cost missing"
    TWO_CURRENCIES = "cost in several currencies, without a rate"
    OTHER_CURRENCY = "revenue in another currency than the cost, without a rate"
    NO_AMOUNT = "amount missing"
    SOME_AMOUNTS = "some amounts missing: revenue is at least this"
    NO_CREDIT = "nothing credited"
    FREE = "cost is 0"
    NEGATIVE = "cost is negative"


@dataclass(frozen=True)
class Return:
    """What a channel or campaign cost and brought.

    Parameters
    ----------
    name : str
    cost : mapping of str to int
        Minor units by currency; empty when it is missing.
    credited : mapping of str to Estimate
        Conversions by transition.
    revenue : mapping of str to Estimate
        Minor units by currency.
    cost_per : mapping of str to Estimate
        Minor units of its currency for one conversion, by transition; the upper bound is infinite where it may be that
        there are none. What is missing is not in it.
    roas : Estimate or None
        Revenue for one unit of cost.
    roi : Estimate or None
        Gain for one unit of cost, ROAS - 1.
    losing : float or None
        Probability that it brought less than it cost, ROAS < 1; at most this where some amounts are missing.
    gaps : tuple of Gap
        Why something is missing.
    """

    name: str
    cost: Money
    credited: Mapping[str, Estimate]
    revenue: Mapping[str, Estimate]
    cost_per: Mapping[str, Estimate]
    roas: Estimate | None
    roi: Estimate | None
    losing: float | None
    gaps: tuple[Gap, ...]

    @property
    def acquisition_cost(self) -> Estimate | None:
        """Cost of one customer (CAC)."""
        return self.cost_per.get(WON)

    def document(self) -> dict[str, Any]:
        """Return plain JSON values; a bound without limit is null."""
        return {
            "name": self.name,
            "cost": dict(self.cost),
            "costMissing": not self.cost,
            "credited": _shown(self.credited),
            "revenue": _shown(self.revenue),
            "costPer": _shown(self.cost_per),
            "roas": _plain(self.roas),
            "roi": _plain(self.roi),
            "probabilityRoasBelow1": self.losing,
            "gaps": [gap.value for gap in self.gaps],
        }


def returns(
    cost: Mapping[str, Money],
    credited: Mapping[str, Replicates],
    revenue: Mapping[str, Replicates],
    unpriced: Replicates | None = None,
) -> tuple[Return, ...]:
    """Return what each channel cost and brought: all that have a cost or a credit, in the order of their names.

    Parameters
    ----------
    cost : mapping of str to mapping
        `Spending.by_channel`, or ``by_campaign``.
    credited : mapping of str to Replicates
        Conversions by transition, of one model, within the time of the costs.
    revenue : mapping of str to Replicates
        Minor units by currency, likewise.
    unpriced : Replicates, optional
        Those of the won deals whose amount nobody recorded, likewise.

    Notes
    -----
    What no channel is given, as the baseline, is a name like any other: credit without a cost.
    """
    names = {*cost}.union(*(one.ranked for one in (*credited.values(), *revenue.values())))
    conversions = {stage: one.estimates() for stage, one in credited.items()}
    earned = {currency: one.estimates() for currency, one in revenue.items()}
    open_ = set() if unpriced is None else {name for name, one in unpriced.estimates().items() if one.value > 0}
    return tuple(
        _return(
            name,
            cost.get(name, {}),
            {stage: found.get(name, _NOTHING) for stage, found in conversions.items()},
            {currency: found[name] for currency, found in earned.items() if found.get(name, _NOTHING) != _NOTHING},
            revenue,
            name in open_,
        )
        for name in sorted(names)
    )


def chance_below(replicates: Replicates, name: str, amount: float) -> float | None:
    """Return in which share of the draws a label is given less than an amount; None without draws."""
    if not len(replicates.draws):
        return None
    if name not in replicates.labels:
        return float(amount > 0)
    return float((replicates.draws[:, replicates.labels.index(name)] < amount).mean())


def _return(
    name: str,
    cost: Money,
    credited: Mapping[str, Estimate],
    earned: Mapping[str, Estimate],
    revenue: Mapping[str, Replicates],
    lacks_amounts: bool,
) -> Return:
    gaps = list(_gaps(cost, credited, earned, lacks_amounts))
    cost_per: dict[str, Estimate] = {}
    roas = roi = losing = None
    if len(cost) == 1 and Gap.NEGATIVE not in gaps:
        [(currency, amount)] = cost.items()
        cost_per = {stage: _cost_per(amount, one) for stage, one in credited.items() if one.value > 0}
        if amount and revenue and not {Gap.OTHER_CURRENCY, Gap.NO_AMOUNT} & {*gaps}:
            brought = earned.get(currency, _NOTHING)
            roas, roi = _scaled(brought, amount, 0), _scaled(brought, amount, 1)
            losing = chance_below(revenue[currency], name, amount) if currency in revenue else 1.0
    return Return(name, cost, credited, earned, cost_per, roas, roi, losing, tuple(gaps))


def _gaps(
    cost: Money, credited: Mapping[str, Estimate], earned: Mapping[str, Estimate], lacks_amounts: bool
) -> list[Gap]:
    if not cost:
        return [Gap.NO_COST]
    found = []
    if len(cost) > 1:
        found.append(Gap.TWO_CURRENCIES)
    elif earned.keys() - cost.keys():
        found.append(Gap.OTHER_CURRENCY)
    if any(amount < 0 for amount in cost.values()):
        found.append(Gap.NEGATIVE)
    if not any(cost.values()):
        found.append(Gap.FREE)
    if lacks_amounts:
        found.append(Gap.SOME_AMOUNTS if earned else Gap.NO_AMOUNT)
    if any(one.value <= 0 for one in credited.values()):
        found.append(Gap.NO_CREDIT)
    return found


def _cost_per(amount: int, conversions: Estimate) -> Estimate:
    """Return an amount for each of some conversions: the more of them there may be, the less each costs."""
    if not amount:
        return _NOTHING
    low, high = conversions.bounds
    return Estimate(amount / conversions.value, amount / high, amount / low if low > 0 else math.inf)


def _scaled(brought: Estimate, amount: int, less: int) -> Estimate:
    low, high = brought.bounds
    return Estimate(brought.value / amount - less, low / amount - less, high / amount - less)


def _plain(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    bounds = asdict(estimate).items()
    return {name: value if value is not None and math.isfinite(value) else None for name, value in bounds}


def _shown(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: _plain(estimate) for name, estimate in estimates.items()}
