"""The relation ``deals``: the state of each deal while it was its latest known one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.algebra import RELATIONS
from features.intervals import groups, segments
from features.money import minor_per_unit
from features.relations.columns import Codes, Ints, factorise, ints, leading, validity


def deal_rows(deals: pa.Table, account: Codes, rates: pa.Table, currency: str) -> pa.Table:
    """Return the relation ``deals``: the state of each deal while it was its latest known one."""
    occurred = ints(deals, "occurred_at")
    start, end = validity(deals, occurred)
    keyed = np.flatnonzero((start < end) & (account >= 0))
    text = {name: deals[name].to_pylist() for name in (*RELATIONS["deals"]["text"], "currency")}
    amounts = deals["amount"].to_pylist()
    rate = _Rates(rates, currency)
    _, ids = factorise(text["deal_id"])
    order = keyed[np.lexsort((occurred[keyed], ids[keyed], account[keyed]))]
    found = []
    for _, begin, stop in groups(_pair_codes(account[order], ids[order])):
        members = order[begin:stop].tolist()
        for since, until, visible in segments([(int(start[row]), int(end[row])) for row in members]):
            top = members[visible[-1]]
            found.append((int(account[top]), since, until, int(occurred[top]), int(occurred[members[visible[0]]]), top))
    found.sort(key=lambda row: (row[0], row[3], text["deal_id"][row[5]], row[1]))
    source = [row[5] for row in found]
    columns: dict[str, pa.Array] = leading(found)
    columns["opened_at"] = pa.array([row[4] for row in found], pa.int64())
    for name in RELATIONS["deals"]["text"]:
        columns[name] = pa.array([text[name][row] for row in source], pa.string())
    columns["amount"] = pa.array(
        [rate.convert(amounts[row], text["currency"][row], int(occurred[row]), int(start[row])) for row in source],
        pa.float64(),
    )
    return pa.table(columns)


def _pair_codes(left: npt.NDArray[np.integer], right: Ints) -> Ints:
    return left.astype(np.int64) * (int(right.max(initial=0)) + 1) + right


class _Rates:
    """Rates to the reporting currency, as known at a moment."""

    def __init__(self, rates: pa.Table, reporting: str) -> None:
        self.reporting = reporting
        date = ints(rates, "date")
        start, end = validity(rates, date)
        self.rows: dict[str, list[tuple[int, int, int, float]]] = {}
        values = zip(
            rates["currency"].to_pylist(),
            date.tolist(),
            start.tolist(),
            end.tolist(),
            rates["rate"].to_pylist(),
            strict=True,
        )
        for currency, day, since, until, rate in values:
            if since < until:
                self.rows.setdefault(currency, []).append((day, since, until, rate))

    def convert(self, minor: int | None, currency: str | None, day: int, known: int) -> float | None:
        """Return units of the reporting currency at the rate of `day` as known at `known`; None without a rate."""
        if minor is None:
            return None
        amount = minor / minor_per_unit(currency)
        if currency is None or currency == self.reporting:
            return amount
        usable = [row for row in self.rows.get(currency, ()) if row[0] <= day and row[1] <= known < row[2]]
        return amount * max(usable)[3] if usable else None
