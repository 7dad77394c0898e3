"""Journeys from data that are no ledger: plain tables of touches and conversions, and counted paths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.journeys.journeys import TOUCH_COLUMNS, Bools, Ints, Journeys
from features.journeys.ordering import settled
from features.relations.columns import encoded, ints
from features.schema import FOREVER


def journeys_of(
    touches: pa.Table, conversions: pa.Table, *, transition: str = "won", ended_at: int | None = None
) -> Journeys:
    """Return the journeys of plain tables: every touch belongs to the next conversion of its account.

    Parameters
    ----------
    touches : pyarrow.Table of m rows
        ``account`` (text or whole numbers), ``occurred_at`` (int64, microseconds), ``channel``, and any others of
        `TOUCH_COLUMNS`; texts may be dictionary-encoded. Without ``is_lever`` every touch is a lever's. Ties are
        ordered by source and event_id where these are given, then as the rows are.
    conversions : pyarrow.Table
        ``account``, ``at`` (microseconds), ``revenue`` (minor units) and, if known, ``currency``: one row each.
    transition : str, default="won"
    ended_at : int, default=None
        When the data end, in microseconds; just after the last touch or conversion unless given.

    Returns
    -------
    Journeys
        Ordered by account and time. Touches after an account's last conversion, at its very moment too, are a journey
        that did not convert; none is censored. Such data do not tell who was never touched. Rows without an account
        and negative revenue are kept out and counted, as `features.journeys.left_out` says.

    Raises
    ------
    ValueError
        When something happened at `ended_at` or later; when times or revenue are not whole numbers, such as timestamps,
        whose unit can be any, or a time is missing.

    Notes
    -----
    Unlike `find_journeys`, a touch is in one journey only: the data do not say which deals were worked on side by side.
    """
    for rows, name, may_lack in (
        (touches, "occurred_at", False),
        (conversions, "at", False),
        (conversions, "revenue", True),
    ):
        _check_whole(rows[name], name, may_lack=may_lack)
    touches, unattached = _attached(touches)
    conversions, unowned = _attached(conversions)
    code, accounts = _accounts(touches["account"], conversions["account"])
    occurred = np.concatenate((ints(touches, "occurred_at"), ints(conversions, "at")))
    is_touch = np.arange(len(code)) < touches.num_rows
    order, code, occurred = _ordered(code, occurred, is_touch, touches)
    # In this order a journey ends with a conversion or with its account.
    is_touch = order < touches.num_rows
    goes_on = np.zeros(len(order), dtype=bool)
    goes_on[1:] = (code[1:] == code[:-1]) & is_touch[:-1]
    starts = np.flatnonzero(~goes_on)
    ends = np.append(starts[1:], len(order))[: len(starts)] - 1
    converted = ~is_touch[ends]
    row = order[ends[converted]] - touches.num_rows
    is_next = np.zeros(len(starts), dtype=bool)
    is_next[1:] = code[starts[1:]] == code[starts[1:] - 1]
    until = int(occurred.max(initial=0)) + 1 if ended_at is None else ended_at
    if until <= occurred.max(initial=until - 1):
        raise ValueError(f"`ended_at` must be later than all rows. Got {until}; the last row is of {occurred.max()}.")
    revenue = conversions["revenue"].fill_null(0).to_numpy().astype(np.int64)
    reasons = {
        "touches_without_account": unattached.num_rows,
        "conversions_without_account": unowned.num_rows,
        "revenue_without_account": pc.sum(unowned["revenue"]).as_py() or 0,
        "deals_negative": int((revenue < 0).sum()),
        "negative_revenue": int(np.minimum(revenue, 0).sum()),
        "deals_without_amount": conversions["revenue"].null_count,
    }
    currency = conversions["currency"] if "currency" in conversions.column_names else None
    offset = np.cumsum(is_touch)[ends] if len(ends) else ends
    return Journeys(
        transition,
        _journeys(
            pa.DictionaryArray.from_arrays(pa.array(code[starts]), accounts),
            opened_at=occurred[starts - is_next],
            ended_at=np.where(converted, occurred[ends], until),
            converted=converted,
            revenue=_at(np.maximum(revenue, 0)[row], converted),
            currency=None if currency is None else currency.take(pa.array(_at(row, converted), mask=~converted)),
            count=np.ones(len(starts), dtype=np.int64),
        ),
        _touches(touches, order[is_touch]),
        np.concatenate(([0], offset)),
        {reason: count for reason, count in reasons.items() if count},
    )


def counted_paths(
    paths: Sequence[Sequence[str]] | pa.ListArray,
    conversions: npt.ArrayLike,
    values: npt.ArrayLike,
    nulls: npt.ArrayLike,
    *,
    transition: str = "won",
) -> Journeys:
    """Return the journeys of paths that come with counts: a row for those that converted, one for those that did not.

    Parameters
    ----------
    paths : sequence of k sequences of str, or pyarrow.ListArray of length k
        Channels in order. Only the order is known, so each touch is a microsecond after the one before.
    conversions, nulls : array of int, shape (k,)
        How often each path was gone with and without success.
    values : array of int, shape (k,)
        Revenue of all conversions of the path, in minor units.
    transition : str, default="won"

    Raises
    ------
    ValueError
        When counts are negative or not whole, or a path without conversions has a value, which would be lost.
    """
    lists = paths if isinstance(paths, pa.ListArray) else pa.array(paths, pa.list_(pa.string()))
    won, lost, worth = _whole(conversions, "conversions"), _whole(nulls, "nulls"), _whole(values, "values")
    for name, column in (("conversions", won), ("nulls", lost), ("values", worth)):
        if len(column) != len(lists) or (column < 0).any():
            raise ValueError(
                f"`{name}` must have {len(lists)} numbers of at least 0."
                f" Got {len(column)} of which the least is {column.min(initial=0)} instead."
            )
    if (stray := np.flatnonzero((won == 0) & (worth != 0))).size:
        raise ValueError(f"`values` must be 0 for a path without conversions. Got {worth[stray[0]]} in row {stray[0]}.")
    line = np.concatenate((np.flatnonzero(won), np.flatnonzero(lost)))
    converted = np.arange(len(line)) < np.count_nonzero(won)
    rank = np.lexsort((~converted, line))
    line, converted = line[rank], converted[rank]
    length = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    first, size = np.cumsum(length) - length, length[line]
    offset = np.concatenate(([0], np.cumsum(size)))
    position = np.arange(int(offset[-1])) - np.repeat(offset[:-1], size)
    channel = pa.chunked_array([lists.flatten()]).dictionary_encode()
    touches = pa.table(
        {"occurred_at": position, "channel": channel.take(pa.array(np.repeat(first[line], size) + position))}
    )
    return Journeys(
        transition,
        _journeys(
            pa.array([str(number) for number in range(len(line))], pa.string()),
            opened_at=np.zeros(len(line), dtype=np.int64),
            ended_at=size,
            converted=converted,
            revenue=np.where(converted, worth[line], 0),
            currency=None,
            count=np.where(converted, won[line], lost[line]),
        ),
        _touches(touches, None),
        offset,
    )


def _check_whole(column: pa.ChunkedArray, name: str, *, may_lack: bool) -> None:
    if not pa.types.is_integer(column.type):
        raise ValueError(f"`{name}` must be whole numbers, as `journeys_of` says. Got {column.type} instead.")
    if column.null_count and not may_lack:
        raise ValueError(f"`{name}` must be there in every row. {column.null_count:,} of {len(column):,} lack it.")


def _whole(numbers: npt.ArrayLike, name: str) -> Ints:
    given = np.asarray(numbers)
    whole = given.astype(np.int64)
    if (broken := np.flatnonzero(whole != given)).size:
        raise ValueError(f"`{name}` must be whole numbers. Got {given[broken[0]]} in row {broken[0]} instead.")
    return whole


def _attached(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows with an account, and those without."""
    if not rows["account"].null_count:
        return rows, rows.slice(0, 0)
    return rows.filter(pc.is_valid(rows["account"])), rows.filter(pc.is_null(rows["account"]))


def _accounts(touched: pa.ChunkedArray, converted: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """Return the account of each touch, then of each conversion, as a place among the sorted accounts; and these."""
    if all(pa.types.is_integer(column.type) for column in (touched, converted)):
        numbers = np.concatenate([column.to_numpy().astype(np.int64) for column in (touched, converted)])
        numbers -= (least := int(numbers.min(initial=FOREVER)))
        # Numbers that lie close together are their own codes, which spares a table of ten million look-ups.
        if int(numbers.max(initial=0)) < 4 * len(numbers):
            seen = np.bincount(numbers) > 0
            own = pa.array(np.flatnonzero(seen) + least).cast(pa.string())
            return numbers if seen.all() else (np.cumsum(seen) - 1)[numbers], own
    first, second = (column.dictionary_encode() for column in (touched, converted))
    both = pa.chunked_array([*first.chunks, *second.cast(first.type).chunks], first.type)
    code, accounts = encoded(both.unify_dictionaries())
    order = pc.array_sort_indices(accounts)
    place = np.empty(len(accounts), dtype=np.int64)
    place[order.to_numpy()] = np.arange(len(accounts))
    return place[code], accounts.take(order).cast(pa.string())


def _ordered(code: Ints, occurred: Ints, is_touch: Bools, touches: pa.Table) -> tuple[Ints, Ints, Ints]:
    """Return the order by account and time, and account and time in it.

    At one moment conversions come first, then touches by source and id, then by row.
    """
    least = int(occurred.min(initial=FOREVER))
    since = occurred - least
    # The coarser the unit, the fewer the digits, and the faster the sort.
    unit = max(int(np.gcd.reduce(since)), 1) if len(since) else 1
    since //= unit
    since *= 2
    since += is_touch
    order, _ = _sorted(since)
    place, code = _sorted(code[order])
    order = order[place]
    since = since[order]
    same = (np.diff(code) == 0) & (np.diff(since) == 0) & (since[1:] % 2 == 1)
    names = [name for name in ("source", "event_id") if name in touches.column_names]
    return settled(order, same, [touches[name] for name in names]), code, (since >> 1) * unit + least


def _sorted(values: Ints) -> tuple[Ints, Ints]:
    """Return the stable order of numbers of at least 0, and the numbers in it.

    With the row in the lowest bits a plain sort does it, in a fraction of the time that sorting indices takes.
    """
    bits = len(values).bit_length()
    if int(values.max(initial=0)).bit_length() + bits > 63:
        order = np.argsort(values, kind="stable")
        return order, values[order]
    packed = (values << bits) | np.arange(len(values))
    packed.sort()
    return packed & ((1 << bits) - 1), packed >> bits


def _at(values: Ints, rows: Bools) -> Ints:
    """Return the values, in turn, where `rows` holds, and 0 elsewhere."""
    found = np.zeros(len(rows), dtype=np.int64)
    found[rows] = values
    return found


def _journeys(
    account_id: pa.Array, *, opened_at: Ints, ended_at: Ints, converted: Bools, revenue: Ints,
    currency: pa.ChunkedArray | None, count: Ints,
) -> pa.Table:  # fmt: skip
    size = len(account_id)
    absent = pa.nulls(size, pa.string())
    columns = {
        "account_id": account_id,
        "cycle_id": absent,
        "deal_id": absent,
        "opened_at": opened_at,
        "ended_at": ended_at,
        "converted": converted,
        "censored": np.zeros(size, dtype=bool),
        "revenue": revenue,
        "currency": absent if currency is None else currency,
        "count": count,
    }
    return pa.table(columns)


def _touches(touches: pa.Table, row: Ints | None) -> pa.Table:
    """Return all columns of touches; those that are not given share one column of nulls, a byte a row."""
    size = touches.num_rows if row is None else len(row)
    nothing = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(size, dtype=np.int8), mask=np.ones(size, dtype=bool)), pa.array([], pa.string())
    )
    columns: dict[str, object] = {}
    for name in TOUCH_COLUMNS:
        if name in touches.column_names:
            given = touches[name]
            if name not in _PLAIN and not pa.types.is_dictionary(given.type):
                given = given.dictionary_encode()
            columns[name] = given if row is None else given.take(pa.array(row))
        else:
            columns[name] = np.ones(size, dtype=bool) if name == "is_lever" else nothing
    return pa.table(columns)


_PLAIN = frozenset({"event_id", "occurred_at", "is_lever"})
"""Columns that are not encoded: no texts, or texts of which each is another."""
