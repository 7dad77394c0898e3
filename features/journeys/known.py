"""What a ledger knows at one moment: the touches, the cycles of one kind, the deals, and who is under observation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement
from features.journeys.journeys import TOUCH_COLUMNS, Bools, Ints
from features.journeys.passages import Passages, find_passages, visible
from features.journeys.sales import Sales, find_sales, held
from features.relations import Relations, Tables, account_codes
from features.relations.columns import Codes, ints
from features.schema import FOREVER


@dataclass(frozen=True)
class Known:
    """What is known.

    Parameters
    ----------
    touches : pyarrow.Table
        The columns of `TOUCH_COLUMNS` that the relation ``touches`` has, known or not.
    row : array of int64, shape (m,)
        Its rows that are known: by account, then time.
    account, occurred_at : array of int64, shape (m,)
        Account and time of each touch.
    passages : Passages
        Cycles of the kind.
    sales : Sales
        Deals of all kinds.
    cycle_of_sale : array of int64
        Index into `passages` of each deal; -1 for deals of another kind.
    watched_from : array of int64, shape (number of accounts,)
        Since when each account is under observation; `FOREVER` for never.
    """

    touches: pa.Table
    row: Ints
    account: Ints
    occurred_at: Ints
    passages: Passages
    sales: Sales
    cycle_of_sale: Ints
    watched_from: Ints

    @classmethod
    def of(cls, tables: Tables, relations: Relations, agreement: Agreement, kind: str, as_of: int) -> Known:
        """Read what is known of cycles of a kind, and of everything else, from a ledger's tables."""
        account_ids, size = relations.account_ids, len(relations.account_ids)
        touches = relations.tables["touches"]
        row = np.flatnonzero(_now(touches, as_of))
        account, occurred = ints(touches, "account")[row], ints(touches, "occurred_at")[row]
        is_inbound = pc.equal(touches["direction"], "inbound").fill_null(False).to_numpy()[row]
        inbound = _first(account[is_inbound], occurred[is_inbound], size)
        # The relation has the accounts of touches already.
        others = {**tables, "account_touches": tables["account_touches"].slice(0, 0)}
        codes = account_codes(others, account_ids)
        rows = {name: visible(tables[name], codes[name], as_of) for name in ("deals", "stage_changes", "attributes")}
        seen = {name: tables[name].take(pa.array(row)) for name, row in rows.items()}
        whose = {name: codes[name][row] for name, row in rows.items()}
        own = held(seen["deals"], whose["deals"])
        passages = find_passages(
            seen["stage_changes"], whose["stage_changes"], seen["deals"].take(pa.array(own)), whose["deals"][own],
            inbound, account_ids, agreement.stages, kind,
        )  # fmt: skip
        converted = relations.tables["deals"]
        sales = find_sales(
            seen["deals"],
            whose["deals"],
            converted.filter(pa.array(_now(converted, as_of))),
            agreement.reporting_currency,
        )
        if kind == "new":
            watched = _first(account, occurred, size)
            for name, table in seen.items():
                np.minimum.at(watched, whose[name], ints(table, "occurred_at"))
            created = tables["accounts"]["created_at"].fill_null(FOREVER).to_numpy()
            old = np.flatnonzero(created <= as_of)
            np.minimum.at(watched, codes["accounts"][old], created[old])
        else:
            watched = _first(sales.account, sales.won_at, size)
        touches = touches.select([name for name in TOUCH_COLUMNS if name != "is_lever"])
        return cls(touches, row, account, occurred, passages, sales, _cycle_of_sale(passages, sales, kind), watched)


def _now(relation: pa.Table, as_of: int) -> Bools:
    return (ints(relation, "valid_from") <= as_of) & (as_of < ints(relation, "valid_until"))


def _first(account: Ints | Codes, moment: Ints, size: int) -> Ints:
    """Return the first moment of each of `size` accounts; `FOREVER` for those without any."""
    first = np.full(size, FOREVER)
    np.minimum.at(first, account, moment)
    return first


def _cycle_of_sale(passages: Passages, sales: Sales, kind: str) -> Ints:
    of_kind = np.flatnonzero(pc.equal(sales.kind, kind).to_numpy())
    names = sales.cycle_id.take(pa.array(of_kind)).unique()
    place = pc.index_in(passages.cycle_id, names).fill_null(-1).to_numpy(zero_copy_only=False)
    sold = np.flatnonzero(place >= 0)
    own = passages.account[sold] * len(names) + place[sold]
    order = np.argsort(own)
    wanted = sales.account[of_kind] * len(names) + pc.index_in(sales.cycle_id, names).to_numpy()[of_kind]
    found = np.full(len(sales.account), -1)
    found[of_kind] = sold[order[np.searchsorted(own[order], wanted)]]
    return found
