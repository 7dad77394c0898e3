"""From the ledger's tables to the relations that both evaluators read.

A ledger row is visible as of ``t`` when ``occurred_at <= t`` and ``known_at <= t < known_until``, so it is valid from
the later of its two clocks until a higher revision is known: one interval instead of two clocks. Everything that
needs more than that (whose a touch is, a person's role, what a deal's latest state is, where a cycle stands) is
resolved here, once, into rows with such an interval.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement
from features.relations.contacts import roles_of
from features.relations.deals import deal_rows
from features.relations.facts import attribute_rows, member_rows
from features.relations.stages import stage_rows
from features.relations.touches import touch_rows

Tables = Mapping[str, pa.Table]
"""Ledger tables by name: account_touches, deals, stage_changes, attributes, fx_rates, accounts."""


@dataclass(frozen=True)
class Relations:
    """Rows of all accounts with the time over which each is valid.

    Parameters
    ----------
    account_ids : list of str
        Sorted; `account` columns index it.
    tables : mapping of str to pyarrow.Table
        ``touches``, ``deals``, ``stages``, ``attributes``, ``members``: columns ``account`` (int32), ``valid_from``,
        ``valid_until``, ``occurred_at`` (int64, microseconds) and those of `features.algebra.RELATIONS`, sorted by
        (account, occurred_at, the row's own id). And ``answers``: for each touch that another one answers, ``touch``
        (its row in touches), ``answered_at`` and the interval over which both are visible.
    """

    account_ids: list[str]
    tables: Mapping[str, pa.Table]

    def code(self, account_id: str) -> int | None:
        """Return the `account` of an account, or None when there is no such account."""
        position = bisect_left(self.account_ids, account_id)
        found = position < len(self.account_ids) and self.account_ids[position] == account_id
        return position if found else None


def build(tables: Tables, agreement: Agreement) -> Relations:
    """Resolve ledger tables into relations.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        As `Ledger.tables` or `Ledger.account_tables` gives them.
    agreement : Agreement
        Gives the stages and the reporting currency.

    Returns
    -------
    Relations
    """
    columns = _account_columns(tables).values()
    account_ids = sorted({value for column in columns for value in column.unique().to_pylist() if value is not None})
    codes = account_codes(tables, account_ids)
    roles = roles_of(tables["attributes"])
    touches, answers = touch_rows(tables["account_touches"], codes["account_touches"], roles)
    return Relations(
        account_ids,
        {
            "touches": touches,
            "answers": answers,
            "deals": deal_rows(tables["deals"], codes["deals"], tables["fx_rates"], agreement.reporting_currency),
            "stages": stage_rows(
                tables["stage_changes"],
                codes["stage_changes"],
                tables["deals"],
                codes["deals"],
                touches,
                account_ids,
                agreement,
            ),
            "attributes": attribute_rows(tables["attributes"], codes["attributes"]),
            "members": member_rows(tables["attributes"], roles, account_ids),
        },
    )


def account_codes(tables: Tables, account_ids: list[str]) -> dict[str, npt.NDArray[np.int32]]:
    """Return, per table, the index of each row's account among `account_ids`; -1 for rows without one."""
    known = pa.array(account_ids, pa.string())
    return {
        name: np.asarray(pc.index_in(column, known).fill_null(-1).to_numpy(), dtype=np.int32)
        for name, column in _account_columns(tables).items()
    }


def _account_columns(tables: Tables) -> dict[str, pa.ChunkedArray]:
    attributes = tables["attributes"]
    of_account = pc.if_else(pc.equal(attributes["entity"], "account"), attributes["id"], pa.scalar(None, pa.string()))
    named = {name: tables[name]["account_id"] for name in ("account_touches", "deals", "stage_changes", "accounts")}
    return {**named, "attributes": of_account}
