"""The deals of a ledger as known at one moment, with what they brought in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.journeys.journeys import Bools, Ints
from features.journeys.passages import since
from features.money import minor_per_unit
from features.relations.columns import Codes, encoded, ints


@dataclass(frozen=True)
class Sales:
    """d deals, each in its latest known state, with the account that it then belongs to: none is in the books twice.

    Parameters
    ----------
    account : array of int64, shape (d,)
        Index into `Relations.account_ids`.
    deal_id, cycle_id, kind : pyarrow array of str, length d
    opened_at : array of int64, shape (d,)
        When it was first heard of, in microseconds.
    won_at : array of int64, shape (d,)
        Since when it is won; `FOREVER` for one that is not. An amendment of a won deal does not move this.
    amount : array of int64, shape (d,)
        Minor units of `currency`; 0 where none is known.
    currency : pyarrow.Array of str, length d
        The reporting currency, or the deal's own where no rate is known.
    has_amount, has_rate : array of bool, shape (d,)
    """

    account: Ints
    deal_id: pa.ChunkedArray
    cycle_id: pa.ChunkedArray
    kind: pa.ChunkedArray
    opened_at: Ints
    won_at: Ints
    amount: Ints
    currency: pa.Array
    has_amount: Bools
    has_rate: Bools


def find_sales(deals: pa.Table, account: Codes, converted: pa.Table, reporting: str) -> Sales:
    """Return the deals.

    Parameters
    ----------
    deals : pyarrow.Table
        Visible rows of the ledger's ``deals``.
    account : array of int32
        Account of each of these rows.
    converted : pyarrow.Table
        Visible rows of the relation ``deals``: one per deal, its amount in units of the reporting currency.
    reporting : str
        ISO 4217 code of the reporting currency.
    """
    code, ids = encoded(deals["deal_id"])
    occurred = ints(deals, "occurred_at")
    order = np.lexsort((occurred, code))
    starts = np.flatnonzero(np.concatenate(([True], np.diff(code[order]) != 0))[: len(order)])
    ends = np.append(starts[1:], len(order))[: len(starts)] - 1
    is_won = pc.equal(deals["outcome"], "won").to_numpy()[order]
    won_at = since(occurred[order], is_won, starts)
    latest, owner = deals.take(order[ends]), account[order[ends]].astype(np.int64)
    pair = owner * (len(ids) + 1) + code[order[ends]]
    amount, currency, has_amount, has_rate = _money(latest, _units(converted, pair, ids), reporting)
    return Sales(
        owner, latest["deal_id"], latest["cycle_id"], latest["kind"],
        occurred[order[starts]], won_at, amount, currency, has_amount, has_rate,
    )  # fmt: skip


def held(deals: pa.Table, account: Codes) -> Ints:
    """Return the rows of deals but for those of a former account: a deal belongs to the one that its latest row names.

    Parameters
    ----------
    deals : pyarrow.Table
        Visible rows of the ledger's ``deals``.
    account : array of int32
        Account of each of these rows.
    """
    code, ids = encoded(deals["deal_id"])
    holder = np.empty(len(ids), dtype=np.int64)
    order = np.argsort(ints(deals, "occurred_at"))
    # Of rows of one deal the latest is written last, and stays.
    holder[code[order]] = account[order]
    return np.flatnonzero(account == holder[code])


def _units(converted: pa.Table, pair: Ints, ids: pa.Array) -> pa.Array:
    """Return the amount of each deal in units of the reporting currency; null without an amount or a rate."""
    own = ints(converted, "account") * (len(ids) + 1) + pc.index_in(converted["deal_id"], ids).to_numpy()
    order = np.argsort(own)
    return converted["amount"].take(pa.array(order[np.searchsorted(own[order], pair)])).combine_chunks()


def _money(latest: pa.Table, units: pa.Array, reporting: str) -> tuple[Ints, pa.Array, Bools, Bools]:
    stated = latest["amount"].combine_chunks()
    has_amount = pc.is_valid(stated).to_numpy(zero_copy_only=False)
    has_rate = pc.is_valid(units).to_numpy(zero_copy_only=False) | ~has_amount
    worth = units.fill_null(0.0).to_numpy(zero_copy_only=False) * minor_per_unit(reporting)
    # What needs no rate stays as it was stated, to the last unit of whatever size.
    is_foreign = pc.not_equal(latest["currency"], reporting).fill_null(False).to_numpy()
    minor = stated.fill_null(0).to_numpy(zero_copy_only=False)
    amount = np.where(has_rate & is_foreign, np.rint(worth).astype(np.int64), minor)
    currency = pc.if_else(pa.array(has_rate), reporting, latest["currency"].combine_chunks())
    return amount, currency, has_amount, has_rate
