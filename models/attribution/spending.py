"""What channels and campaigns cost over a stretch of time, to the minor unit.

Costs come from two places: invoices (`spend`, a row per campaign and period) and touches that carry a cost of their
own. For one campaign at one moment the invoice counts and the touches do not, for it holds them; what was passed over
is told. Money is converted where a rate was known; what has none stays in its own currency, and is never added.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import DAY
from models.attribution.apportion import apportion
from models.attribution.credit import UNASSIGNED
from models.attribution.exchange import Exchange

Money = Mapping[str, int]
"""Minor units by currency; empty when nothing is known, which is not the same as 0."""


@dataclass(frozen=True)
class Cost:
    """What a campaign cost in one currency.

    Parameters
    ----------
    channel : str
    campaign : str or None
        None for touches that name none.
    currency : str
        The reporting currency, or its own where no rate is known.
    amount : int
        Minor units.
    """

    channel: str
    campaign: str | None
    currency: str
    amount: int


@dataclass(frozen=True)
class Doubled:
    """Costs of touches that an invoice of their campaign holds already: they are not counted.

    Parameters
    ----------
    channel, campaign : str
    touches : int
    cost : mapping of str to int
        Minor units by currency, as they stood on the touches.
    """

    channel: str
    campaign: str
    touches: int
    cost: Money


@dataclass(frozen=True)
class Spending:
    """All that is known of what was spent in a window.

    Parameters
    ----------
    from_, to : int
        The window, its end excluded, in microseconds.
    reporting : str
        ISO 4217 code of the reporting currency.
    costs : tuple of Cost
        Sorted by channel, campaign and currency.
    doubled : tuple of Doubled
        Warnings: campaigns with an invoice and with costs on touches.
    """

    from_: int
    to: int
    reporting: str
    costs: tuple[Cost, ...]
    doubled: tuple[Doubled, ...]

    @cached_property
    def by_channel(self) -> Mapping[str, Money]:
        """Minor units by channel and currency; a channel of which nothing is known is not in it."""
        return _added((cost.channel, cost) for cost in self.costs)

    @cached_property
    def by_campaign(self) -> Mapping[str, Money]:
        """Minor units by campaign and currency; costs without a campaign are not in it."""
        return _added((cost.campaign, cost) for cost in self.costs if cost.campaign is not None)

    @cached_property
    def total(self) -> Money:
        """Minor units by currency: those without a rate stay by themselves."""
        return _added(("", cost) for cost in self.costs).get("", {})

    def table(self) -> pa.Table:
        """Return the costs, one row each."""
        names = ("channel", "campaign", "currency", "amount")
        types = (pa.string(), pa.string(), pa.string(), pa.int64())
        return pa.table(
            {
                name: pa.array([getattr(cost, name) for cost in self.costs], kind)
                for name, kind in zip(names, types, strict=True)
            }
        )


def spending(spend: pa.Table, touches: pa.Table, exchange: Exchange, *, from_: int, to: int, as_of: int) -> Spending:
    """Return what was spent in a window, as far as it had happened and was known at a moment.

    Parameters
    ----------
    spend : pyarrow.Table
        The table of the ledger, every revision.
    touches : pyarrow.Table
        ``touchpoints`` of the ledger, every revision, or its ``account_touches``, in which touches of nobody lack.
    exchange : Exchange
    from_, to : int
        The window, its end excluded, in microseconds.
    as_of : int
        What came later is not counted, and of a period that was running then, the days that had begun.

    Raises
    ------
    ValueError
        When the window has no length.

    Notes
    -----
    The amount of a period is shared among its days in whole minor units (`apportion`), and a window has the days that
    begin in it: windows that adjoin make the whole amount. A period without length is the day from its start.
    """
    if from_ >= to:
        raise ValueError(f"The window must end after it starts. Got {from_} to {to} instead.")
    end = min(to, as_of)
    known = list(_invoices(spend, as_of))
    amounts: dict[tuple[str, str | None, str], int] = {}

    def add(channel: str, campaign: str | None, currency: str, amount: int, day: int) -> None:
        converted = exchange.converted(amount, currency, day)
        key = (channel, campaign, currency if converted is None else exchange.reporting)
        amounts[key] = amounts.get(key, 0) + (amount if converted is None else converted)

    for invoice, part in _parts(known, from_, end):
        add(invoice.channel, invoice.campaign, invoice.currency, part, invoice.start)
    covered = _Covered(known)
    doubled: dict[tuple[str, str], tuple[int, dict[str, int]]] = {}
    for channel, campaign, currency, cost, at in _touch_costs(touches, from_, end, as_of):
        if campaign is None or not covered.at(channel, campaign, at):
            add(channel, campaign, currency, cost, at)
            continue
        count, money = doubled.setdefault((channel, campaign), (0, {}))
        money[currency] = money.get(currency, 0) + cost
        doubled[channel, campaign] = (count + 1, money)
    ordered = sorted(amounts.items(), key=lambda item: (item[0][0], item[0][1] or "", item[0][2]))
    return Spending(
        from_,
        to,
        exchange.reporting,
        tuple(Cost(*key, amount) for key, amount in ordered),
        tuple(Doubled(*key, *found) for key, found in sorted(doubled.items())),
    )


class _Invoice(NamedTuple):
    channel: str
    campaign: str
    currency: str
    amount: int
    start: int
    end: int


def _parts(invoices: Sequence[_Invoice], from_: int, end: int) -> Iterator[tuple[_Invoice, int]]:
    """Yield the invoices with a day in the window, and what was spent on those days."""
    near = [invoice for invoice in invoices if invoice.start < end and invoice.end > from_]
    start, length = (np.array(of, dtype=np.int64) for of in ([i.start for i in near], [i.end - i.start for i in near]))
    days = -(-length // DAY)
    last = np.cumsum(days) - 1
    place = np.arange(int(days.sum())) - np.repeat(last + 1 - days, days)
    weight = np.ones(len(place))
    weight[last] = (length - (days - 1) * DAY) / DAY
    shares = apportion(np.array([invoice.amount for invoice in near], dtype=np.int64), weight, days)
    begins = np.repeat(start, days) + place * DAY
    counts = (begins >= from_) & (begins < end)
    for invoice, stop, size in zip(near, (last + 1).tolist(), days.tolist(), strict=True):
        own = slice(stop - size, stop)
        if counts[own].any():
            yield invoice, int(shares[own][counts[own]].sum())


def _invoices(spend: pa.Table, as_of: int) -> Iterator[_Invoice]:
    columns = ("channel", "campaign", "currency", "amount", "period_start", "period_end")
    for row in _visible(spend, "period_start", as_of).select(columns).to_pylist():
        invoice = _Invoice(*row.values())
        yield invoice if invoice.end > invoice.start else invoice._replace(end=invoice.start + DAY)


def _touch_costs(
    touches: pa.Table, from_: int, end: int, as_of: int
) -> Iterator[tuple[str, str | None, str, int, int]]:
    columns = ("channel", "campaign", "currency", "cost", "occurred_at")
    priced = touches.filter(pc.is_valid(touches["cost"]))
    for row in _visible(priced, "occurred_at", as_of).select(columns).to_pylist():
        if from_ <= row["occurred_at"] < end:
            yield (row["channel"] or UNASSIGNED, *tuple(row.values())[1:])


def _visible(rows: pa.Table, clock: str, as_of: int) -> pa.Table:
    """Return the rows that had happened and were known, and not replaced or taken back, at a moment."""
    known_from = "known_from" if "known_from" in rows.column_names else "known_at"
    seen = pc.and_(pc.less_equal(rows[clock], as_of), pc.less_equal(rows[known_from], as_of))
    seen = pc.and_(seen, pc.greater(rows["known_until"], as_of))
    if "deleted" in rows.column_names:
        seen = pc.and_(seen, pc.invert(rows["deleted"]))
    return rows.filter(seen)


class _Covered:
    """When each campaign has an invoice."""

    def __init__(self, invoices: list[_Invoice]) -> None:
        spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for invoice in invoices:
            spans.setdefault((invoice.channel, invoice.campaign), []).append((invoice.start, invoice.end))
        self._starts: dict[tuple[str, str], list[int]] = {}
        self._ends: dict[tuple[str, str], list[int]] = {}
        for key, found in spans.items():
            found.sort()
            self._starts[key] = [start for start, _ in found]
            # Periods may overlap: what counts is how far any that has begun goes on.
            self._ends[key] = np.maximum.accumulate([end for _, end in found]).tolist()

    def at(self, channel: str, campaign: str, moment: int) -> bool:
        place = bisect_right(self._starts.get((channel, campaign), []), moment) - 1
        return place >= 0 and moment < self._ends[channel, campaign][place]


def _added(costs: Iterator[tuple[str, Cost]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, cost in costs:
        money = found.setdefault(key, {})
        money[cost.currency] = money.get(cost.currency, 0) + cost.amount
    return found
