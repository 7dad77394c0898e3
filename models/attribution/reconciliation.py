"""Whether the books agree: won deals of the ledger against the journeys, and the journeys against the credit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.journeys import Journeys
from features.journeys.journeys import Bools
from features.journeys.known import Known
from features.schema import FOREVER
from models.attribution.credit import Credit
from models.attribution.result import UNKNOWN_CURRENCY

Sums = Mapping[str, tuple[int, int]]
"""By currency: how many, and their minor units."""

ANOTHER_KIND, NEGATIVE, OTHERWISE = "another_kind", "negative_amount", "otherwise"


@dataclass(frozen=True)
class Reconciliation:
    """What the ledger holds, and where it went.

    Parameters
    ----------
    ledger : mapping or None
        Won deals of the ledger; None for a transition that is no deal, where only journeys are compared.
    journeys : mapping
        Converted journeys.
    left_out : mapping of str to mapping
        Deals of the ledger that are no journey, by reason.
    credited, rest : mapping of str to mapping
        By model: minor units of touches and of what no touch is given, by currency.
    """

    ledger: Sums | None
    journeys: Sums
    left_out: Mapping[str, Sums]
    credited: Mapping[str, Mapping[str, int]]
    rest: Mapping[str, Mapping[str, int]]

    @property
    def is_balanced(self) -> bool:
        """Whether every deal and every minor unit is accounted for."""
        revenue = {currency: amount for currency, (_, amount) in self.journeys.items() if amount}
        models = all(
            {one: total for one in {**revenue, **self.credited[model], **self.rest[model]}
             if (total := self.credited[model].get(one, 0) + self.rest[model].get(one, 0))} == revenue
            for model in self.credited
        )  # fmt: skip
        return models and (self.ledger is None or _together([self.journeys, *self.left_out.values()]) == self.ledger)


def sold_deals(known: Known, first: int, last: int) -> pa.Table:
    """Return the deals won from the first moment on and before the last.

    Returns
    -------
    pyarrow.Table
        ``deal_id``, ``amount`` in minor units of ``currency`` (0 when none is known), ``has_amount``,
        ``is_of_another_kind``.
    """
    sales = known.sales
    rows = np.flatnonzero((sales.won_at >= first) & (sales.won_at < min(last, FOREVER)))
    picked = pa.array(rows)
    return pa.table(
        {
            "deal_id": sales.deal_id.take(picked),
            "amount": pa.array(sales.amount[rows]),
            "currency": sales.currency.take(picked),
            "has_amount": pa.array(sales.has_amount[rows]),
            "is_of_another_kind": pa.array(known.cycle_of_sale[rows] < 0),
        }
    )


def unpriced(sold: pa.Table, journeys: Journeys) -> Bools:
    """Return which journeys ended in a deal whose amount nobody recorded, of shape (n,)."""
    without = sold["deal_id"].filter(pc.invert(sold["has_amount"]))
    found: Bools = pc.is_in(journeys.journeys["deal_id"], value_set=without.combine_chunks()).to_numpy()
    return found


def reconcile(sold: pa.Table | None, journeys: Journeys, credits: Iterable[Credit]) -> Reconciliation:
    """Compare ledger, journeys and credit.

    Parameters
    ----------
    sold : pyarrow.Table or None
        Won deals as `sold_deals` gives them; None when the transition is no deal.
    journeys : Journeys
        Those credited.
    credits : iterable of Credit
        Of these journeys.
    """
    converted = journeys.take(journeys.converted)
    mine = _sums(
        zip(converted.journeys["currency"].to_pylist(), converted.count.tolist(), converted.revenue.tolist(),
            strict=True)
    )  # fmt: skip
    ledger, left_out = None, {}
    if sold is not None:
        rows = sold.to_pylist()
        ledger = _sums((row["currency"], 1, row["amount"]) for row in rows)
        known = set(converted.journeys["deal_id"].to_pylist())
        missing: dict[str, list[tuple[str | None, int, int]]] = {}
        for row in rows:
            if row["deal_id"] not in known:
                reason = ANOTHER_KIND if row["is_of_another_kind"] else OTHERWISE
                missing.setdefault(reason, []).append((row["currency"], 1, row["amount"]))
            elif row["amount"] < 0:
                # The deal is a journey, with revenue 0.
                missing.setdefault(NEGATIVE, []).append((row["currency"], 0, row["amount"]))
        left_out = {reason: _sums(of_reason) for reason, of_reason in sorted(missing.items())}
    credited, rest = {}, {}
    currency = journeys.journeys["currency"].to_pylist()
    for one in credits:
        amounts = zip(one.rows.journey.tolist(), (one.rows.touch < 0).tolist(), one.revenue.tolist(), strict=True)
        told = [(currency[journey], is_rest, amount) for journey, is_rest, amount in amounts if amount]
        credited[one.model] = _amounts((name, amount) for name, is_rest, amount in told if not is_rest)
        rest[one.model] = _amounts((name, amount) for name, is_rest, amount in told if is_rest)
    return Reconciliation(ledger, mine, left_out, credited, rest)


def _sums(rows: Iterable[tuple[str | None, int, int]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for currency, count, amount in rows:
        name = currency or UNKNOWN_CURRENCY
        many, total = found.get(name, (0, 0))
        found[name] = (many + count, total + amount)
    return dict(sorted(found.items()))


def _amounts(rows: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for currency, amount in rows:
        if amount:
            name = currency or UNKNOWN_CURRENCY
            found[name] = found.get(name, 0) + amount
    return dict(sorted(found.items()))


def _together(parts: Iterable[Sums]) -> dict[str, tuple[int, int]]:
    return _sums((currency, count, amount) for part in parts for currency, (count, amount) in part.items())
