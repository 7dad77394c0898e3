"""Credit by channel, campaign, content, person, team, or any other of its columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.journeys.journeys import Bools, codes
from models.arrays import Floats, Integers
from models.attribution.credit import Credit

UNKNOWN_CURRENCY = "unknown"


def credit_by(credit: Credit | pa.Table, columns: Sequence[str]) -> pa.Table:
    """Add up credit over the rows that agree in some columns, the largest first.

    Parameters
    ----------
    credit : Credit or pyarrow.Table
        A model's answer, or credit frames: of one model or, with ``model`` among the columns, of several.
    columns : sequence of str
        Columns of the frame, such as ``("channel",)`` or ``("content", "transition")``; none for the total. An answer
        also knows the other columns of the touches, such as ``touch_type``.

    Returns
    -------
    pyarrow.Table
        The columns; `conversions`; `touches`, how many touches have a part in them; `accounts`, at how many accounts;
        and for each currency, by name, `revenue_EUR` and the like in minor units, `revenue_unknown` for amounts
        without a currency. Rows of equal conversions stand in the order of their columns.

    Notes
    -----
    Conversions and revenues are those of the rows of the frame: they add up to the same however rows are grouped.
    Accounts do not: one that several channels touched is counted at each.
    """
    rows = _of_credit(credit) if isinstance(credit, Credit) else _of_frame(credit)
    coded = [rows.coded(name) for name in columns]
    group, first = _groups(coded, len(rows.credit))
    size = len(first) if columns else 1
    found = {
        name: _column([values[at] for at in code[first]]) for name, (values, code) in zip(columns, coded, strict=True)
    }
    found["conversions"] = pa.array(np.bincount(group, rows.credit, size))
    found["touches"] = pa.array(np.bincount(group[rows.is_touch], minlength=size))
    found["accounts"] = pa.array(_distinct(group, rows.account, size))
    revenue = revenues(*rows.coded("currency"), rows.revenue, group, size)
    found |= {name: pa.array(total) for name, total in revenue.items()}
    return _largest_first(pa.table(found), columns)


def with_team(frame: pa.Table, team: Mapping[str, str]) -> pa.Table:
    """Return a credit frame with a column `team`, missing where the person is not known or in none.

    Parameters
    ----------
    frame : pyarrow.Table
    team : mapping of str to str
        Team of each `actor_id`.
    """
    actors, actor = codes(frame["actor_id"])
    teams = pa.array([team.get(name) if name is not None else None for name in actors], pa.string())
    return frame.append_column("team", teams.take(pa.array(actor)))


def revenues(
    currencies: Sequence[str | None], currency: Integers, revenue: Integers, group: Integers, groups: int
) -> dict[str, Integers]:
    """Add up revenue by currency and group, in whole numbers: floating point would lose the last digits of large sums.

    Parameters
    ----------
    currencies : sequence of (str or None)
    currency : array of int64, shape (r,)
        Index into `currencies`.
    revenue : array of int64, shape (r,)
        Minor units.
    group : array of int64, shape (r,)
        In [0, groups).
    groups : int

    Returns
    -------
    dict of str to array of int64, shape (groups,)
        ``revenue_EUR`` and the like, by name; ``revenue_unknown`` last, when there are amounts without a currency.
    """
    flat = np.zeros(len(currencies) * groups, dtype=np.int64)
    np.add.at(flat, currency * groups + group, revenue)
    total = flat.reshape(len(currencies), groups)
    named = sorted((name, at) for at, name in enumerate(currencies) if name is not None)
    unknown = [(UNKNOWN_CURRENCY, at) for at, name in enumerate(currencies) if name is None and total[at].any()]
    return {f"revenue_{name}": total[at] for name, at in [*named, *unknown]}


def different(codes: Integers) -> Integers:
    """Return the different ones, ascending; `numpy.unique` hashes them, which takes ten times as long for a million."""
    ordered = np.sort(codes)
    return ordered[np.diff(ordered, prepend=-1) > 0]


class _Rows(NamedTuple):
    """What is added up, of shape (r,), and the columns to add it up by."""

    credit: Floats
    revenue: Integers
    account: Integers
    is_touch: Bools
    coded: Callable[[str], tuple[list[str | None], Integers]]


def _of_credit(credit: Credit) -> _Rows:
    journey, touch, conversions = credit.rows
    return _Rows(conversions, credit.revenue, credit.journeys.account[journey], touch >= 0, credit.coded)


def _of_frame(frame: pa.Table) -> _Rows:
    return _Rows(
        frame["credit"].to_numpy(), frame["revenue"].to_numpy(), codes(frame["account_id"])[1],
        frame["event_id"].is_valid().to_numpy(), lambda name: codes(frame[name]),
    )  # fmt: skip


def _groups(coded: Sequence[tuple[list[str | None], Integers]], rows: int) -> tuple[Integers, Integers]:
    """Return the group of each row, and a row of each group."""
    group = np.zeros(rows, dtype=np.int64)
    for values, code in coded:
        group = _dense(group * len(values) + code)
    first = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.int64)
    first[group] = np.arange(rows)
    return group, first


def _column(values: list[str | None]) -> pa.Array:
    return pa.array(values) if any(value is not None for value in values) else pa.array(values, pa.string())


def _dense(code: Integers) -> Integers:
    """Return codes without gaps, in the same order."""
    span = int(code.max(initial=-1)) + 1
    if span > 4 * len(code) + 1_000:
        return np.unique(code, return_inverse=True)[1]
    seen = np.zeros(span, dtype=bool)
    seen[code] = True
    return (np.cumsum(seen) - 1)[code]


def _distinct(group: Integers, account: Integers, size: int) -> Integers:
    accounts = int(account.max(initial=0)) + 1
    return np.bincount(different(group * accounts + account) // accounts, minlength=size)


def _largest_first(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    # Sums of the same credits in another order may differ in their last digits.
    size: Floats = -np.round(table["conversions"].to_numpy(), 9)
    keys = [("size", "ascending"), *((name, "ascending") for name in columns)]
    return table.take(pc.sort_indices(table.append_column("size", pa.array(size)), sort_keys=keys))
