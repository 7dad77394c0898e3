"""The table of accounts: what the address asks for, and the rows of the board that answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.compute as pc

ROWS = 50
"""Accounts on one page."""

SORTS = MappingProxyType(
    {
        "name": "name",
        "score": "percentile",
        "probability": "probability",
        "grade": "percentile",
        "stage": "_stage",
        "fit": "fit",
        "engagement": "engagement",
        "revenue": "expected_revenue",
    }
)
"""What the table can be sorted by, and the column of the board behind it; where there is no percentile, the score
stands for it."""

_ASCENDING = frozenset({"name", "stage"})


@dataclass(frozen=True)
class Query:
    """What is asked of the table; all of it stands in the address.

    Parameters
    ----------
    goal : str
    sort : str, default="score"
        One of `SORTS`.
    descending : bool, default=True
    grade, stage, text : str, default=""
        Only accounts with this grade, in this stage, with this in their name or id; empty for all.
    page : int, default=1
    """

    goal: str
    sort: str = "score"
    descending: bool = True
    grade: str = ""
    stage: str = ""
    text: str = ""
    page: int = 1

    @property
    def order(self) -> str:
        """The sorting as the address spells it: ``score`` upwards, ``-score`` downwards."""
        return f"-{self.sort}" if self.descending else self.sort

    @property
    def address(self) -> str:
        """Address of this table."""
        parts = {"goal": self.goal, "sort": self.order, "grade": self.grade, "stage": self.stage, "q": self.text}
        asked = {name: value for name, value in parts.items() if value}
        return f"/accounts?{urlencode(asked | ({'page': self.page} if self.page > 1 else {}))}"

    def sorted_by(self, sort: str) -> Query:
        """Return the same sorted by another column; the other way round when it is that one already."""
        descending = not self.descending if sort == self.sort else sort not in _ASCENDING
        return replace(self, sort=sort, descending=descending, page=1)

    def on(self, page: int) -> Query:
        """Return another page of the same."""
        return replace(self, page=page)


def query(goal: str, order: str, grade: str, stage: str, text: str, page: int) -> Query:
    """Return what an address asks for; an unknown sorting is the usual one."""
    sort, descending = order.removeprefix("-"), order.startswith("-")
    if sort not in SORTS:
        sort, descending = "score", True
    return Query(goal, sort, descending, grade, stage, text.strip(), max(page, 1))


@dataclass(frozen=True)
class Listing:
    """A page of the table.

    Parameters
    ----------
    rows : sequence of mapping
        Of `serving.bulk.SCHEMA`.
    found, total : int
        Accounts that fit, and all.
    page, pages : int
    """

    rows: Sequence[Mapping[str, Any]]
    found: int
    total: int
    page: int
    pages: int


def listing(table: pa.Table, asked: Query, stages: Sequence[str]) -> Listing:
    """Return the rows that are asked for.

    Parameters
    ----------
    table : pyarrow.Table
        Of a board.
    asked : Query
    stages : sequence of str
        In their order, which is not that of the alphabet.
    """
    found = _filtered(table, asked)
    column = found.column("stage") if SORTS[asked.sort] == "_stage" else found.column(SORTS[asked.sort])
    if asked.sort == "stage":
        column = pc.index_in(column, value_set=pa.array(stages))
    if SORTS[asked.sort] == "percentile":
        column = pc.coalesce(column, pc.divide(found.column("score"), 100.0))
    keys = pa.table({"key": column, "account_id": found.column("account_id")})
    way = "descending" if asked.descending else "ascending"
    # Without a value comes last either way; equals stand in the order of their ids, so that pages do not overlap.
    order = pc.sort_indices(keys, sort_keys=[("key", way, "at_end"), ("account_id", "ascending", "at_end")])
    pages = max(1, -(-found.num_rows // ROWS))
    page = min(max(asked.page, 1), pages)
    rows = found.take(order.slice((page - 1) * ROWS, ROWS)).to_pylist()
    return Listing(rows, found.num_rows, table.num_rows, page, pages)


def strongest(row: Mapping[str, Any]) -> str | None:
    """Return which way the strongest reason of an account points, ``up`` or ``down``; None where there is none."""
    sizes = {way: abs(row[f"top_{way}_points"]) for way in ("up", "down") if row[f"top_{way}_points"] is not None}
    return max(sizes, key=lambda way: sizes[way], default=None)


def _filtered(table: pa.Table, asked: Query) -> pa.Table:
    if asked.grade:
        table = table.filter(pc.equal(table.column("grade"), asked.grade))
    if asked.stage:
        table = table.filter(pc.equal(table.column("stage"), asked.stage))
    if asked.text:
        hits = [
            pc.fill_null(pc.match_substring(table.column(column), asked.text, ignore_case=True), False)
            for column in ("name", "account_id")
        ]
        table = table.filter(pc.or_(*hits))
    return table
