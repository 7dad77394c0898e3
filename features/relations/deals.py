"""The relation ``deals``: the state of each deal while it was its latest known one."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

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
            day, opened = int(occurred[top]), int(occurred[members[visible[0]]])
            for begun, ended, amount in rate.converted(amounts[top], text["currency"][top], day, since, until):
                found.append((int(account[top]), begun, ended, day, opened, top, amount))
    found.sort(key=lambda row: (row[0], row[3], text["deal_id"][row[5]], row[1]))
    source = [row[5] for row in found]
    columns: dict[str, pa.Array] = leading(found)
    columns["opened_at"] = pa.array([row[4] for row in found], pa.int64())
    for name in RELATIONS["deals"]["text"]:
        columns[name] = pa.array([text[name][row] for row in source], pa.string())
    columns["amount"] = pa.array([row[6] for row in found], pa.float64())
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
        for code, day, since, until, rate in sorted(values):
            if since < until:
                self.rows.setdefault(code, []).append((day, since, until, rate))

    def converted(
        self, minor: int | None, currency: str | None, day: int, since: int, until: int
    ) -> list[tuple[int, int, float | None]]:
        """Return units of the reporting currency at the rate of `day`, over the stretches in which that was known.

        A rate that becomes known or is corrected later counts from then on; None while there is no rate.
        """
        if minor is None:
            return [(since, until, None)]
        units = minor / minor_per_unit(currency)
        if currency is None or currency == self.reporting:
            return [(since, until, units)]
        rates = self.rows.get(currency, [])
        usable: list[tuple[int, int, float | None]] = []
        for place in range(bisect_right(rates, day, key=itemgetter(0)) - 1, -1, -1):
            _, known, replaced, rate = rates[place]
            begun, ended = max(known, since), min(replaced, until)
            if begun < ended:
                usable.append((begun, ended, units * rate))
            if (begun, ended) == (since, until):
                break
        usable.append((since, until, None))
        # The latest day comes first, so the first that is known at a moment is the one that counts.
        return [(begun, ended, usable[known[0]][2]) for begun, ended, known in segments([row[:2] for row in usable])]
