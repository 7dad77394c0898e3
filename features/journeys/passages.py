"""Which way the cycles of one kind went, as known at one moment: the rules of `features.cycles`, for all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Stages
from features.journeys.journeys import Bools, Ints
from features.journeys.ordering import order_of
from features.relations.columns import Codes, encoded, ints, validity
from features.schema import FOREVER


@dataclass(frozen=True)
class Passages:
    """c cycles of one kind, ordered by account, by when they began, and by id.

    Parameters
    ----------
    account : array of int64, shape (c,)
        Index into `Relations.account_ids`.
    cycle_id : pyarrow.Array of str, length c
    began : array of int64, shape (c,)
        First change, in microseconds, as all times here.
    reached : array of int64, shape (s, c)
        When each cycle first reached each of the s stages of the order, or a later one; `FOREVER` for never.
    lost_at : array of int64, shape (c,)
        Since when it stands at a terminal stage; `FOREVER` when it does not.
    closed_at : array of int64, shape (c,)
        Since when it is won or at a terminal stage; `FOREVER` while it is open.
    """

    account: Ints
    cycle_id: pa.Array
    began: Ints
    reached: Ints
    lost_at: Ints
    closed_at: Ints

    @property
    def size(self) -> int:
        """The number c of cycles."""
        return len(self.account)


def visible(table: pa.Table, account: Codes, as_of: int) -> Ints:
    """Return the rows of a fact table that both clocks show at a moment and that belong to an account."""
    start, end = validity(table, ints(table, "occurred_at"))
    return np.flatnonzero((start <= as_of) & (as_of < end) & (account >= 0))


def find_passages(
    changes: pa.Table, change_account: Codes, deals: pa.Table, deal_account: Codes, first_inbound: Ints,
    account_ids: list[str], stages: Stages, kind: str,
) -> Passages:  # fmt: skip
    """Return the cycles of a kind.

    Parameters
    ----------
    changes, deals : pyarrow.Table
        Visible rows of ``stage_changes`` and ``deals``.
    change_account, deal_account : array of int32
        Account of each of these rows.
    first_inbound : array of int64, shape (number of accounts,)
        When the first inbound touch of each account was, which opens a cycle; `FOREVER` for none.
    account_ids : list of str
    stages : Stages
    kind : str
    """
    changed, sold = (np.flatnonzero(pc.equal(table["kind"], kind).to_numpy()) for table in (changes, deals))
    changes, deals = changes.take(changed), deals.take(sold)
    named, names = encoded(pa.chunked_array([*changes["cycle_id"].chunks, *deals["cycle_id"].chunks], pa.string()))
    account = np.concatenate((change_account[changed], deal_account[sold])).astype(np.int64)
    pair, cycle = np.unique(account * (len(names) + 1) + named, return_inverse=True)
    owner, name = np.divmod(pair, len(names) + 1)
    occurred = np.concatenate((ints(changes, "occurred_at"), ints(deals, "occurred_at")))
    position = np.concatenate((_positions(changes["stage"], stages), _positions(deals["outcome"], stages)))
    of_deal = slice(len(changed), None)
    is_lost = position[of_deal] == stages.position("lost")
    kept = np.ones(len(cycle), dtype=bool)
    kept[of_deal] = ~is_lost | _all_lost(cycle[of_deal], encoded(deals["deal_id"])[0], occurred[of_deal], is_lost)
    log = _Log(owner, names.take(pa.array(name)), cycle[kept], occurred[kept], position[kept])
    if kind == "new" and stages.implicit_first:
        log = _with_first_inbound(log, first_inbound, account_ids, stages.position(stages.implicit_first))
    return _passages(log, stages)


def since(occurred: Ints, holds: Bools, starts: Ints) -> Ints:
    """Return since when a condition holds without a break until the last row of each group; `FOREVER` if not."""
    if not len(starts):
        return np.empty(0, dtype=np.int64)
    last_break = np.maximum.reduceat(np.where(holds, -1, np.arange(len(holds))), starts)
    first = np.maximum(last_break + 1, starts)
    after = np.concatenate((starts[1:], [len(holds)]))
    return np.where(first < after, np.append(occurred, FOREVER)[first], FOREVER)


class _Log(NamedTuple):
    """Changes of cycles: whose each cycle is, its id, and the cycle, time and stage of each change."""

    owner: Ints
    cycle_id: pa.Array
    cycle: Ints
    occurred: Ints
    position: Ints


def _with_first_inbound(log: _Log, first_inbound: Ints, account_ids: list[str], position: int) -> _Log:
    """Let the first inbound touch open the account's first cycle, when it comes before everything else in it."""
    began = np.full(len(log.owner), FOREVER)
    np.minimum.at(began, log.cycle, log.occurred)
    order = order_of((log.owner, began), (log.cycle_id,))
    first = order[np.concatenate(([True], np.diff(log.owner[order]) != 0))[: len(order)]]
    led = first[first_inbound[log.owner[first]] < began[first]]
    has_cycle = np.isin(np.arange(len(first_inbound)), log.owner)
    alone = np.flatnonzero(~has_cycle & (first_inbound < FOREVER))
    own = pa.array([f"{account_ids[code]}:new:1" for code in alone.tolist()], pa.string())
    owner = np.concatenate((log.owner, alone))
    opened = np.concatenate((led, len(log.owner) + np.arange(len(alone))))
    return _Log(
        owner,
        pa.concat_arrays([log.cycle_id, own]),
        np.concatenate((log.cycle, opened)),
        np.concatenate((log.occurred, first_inbound[owner[opened]])),
        np.concatenate((log.position, np.full(len(opened), position))),
    )


def _positions(stage: pa.ChunkedArray, stages: Stages) -> Ints:
    code, values = encoded(stage)
    entered = ["deal" if value == "open" else value for value in values.to_pylist()]
    return np.array([stages.position(value) for value in entered], dtype=np.int64)[code]


def _all_lost(cycle: Ints, deal: Ints, occurred: Ints, is_lost: Bools) -> Bools:
    """Return which rows of deals lose their cycle: lost ones at whose moment all deals known by then are lost."""
    by_deal = np.lexsort((occurred, deal, cycle))
    again = np.zeros(len(cycle), dtype=bool)
    again[1:] = (np.diff(cycle[by_deal]) == 0) & (np.diff(deal[by_deal]) == 0)
    is_alive = ~is_lost[by_deal]
    was_alive = again & np.concatenate(([False], is_alive[:-1]))[: len(cycle)]
    alive = np.empty(len(cycle), dtype=np.int64)
    alive[by_deal] = is_alive.astype(np.int64) - was_alive
    by_time = np.lexsort((occurred, cycle))
    total = np.cumsum(alive[by_time])
    last = np.ones(len(cycle), dtype=bool)
    last[:-1] = (np.diff(cycle[by_time]) != 0) | (np.diff(occurred[by_time]) != 0)
    ends = np.flatnonzero(last)
    # Counts of alive deals go on from one cycle to the next; none is alive when the count is what it was before it.
    starts = np.flatnonzero(np.concatenate(([True], np.diff(cycle[by_time]) != 0))[: len(cycle)])
    before = np.concatenate(([0], total))[starts]
    of_cycle = np.searchsorted(starts, np.arange(len(cycle)), side="right") - 1
    of_moment = np.searchsorted(ends, np.arange(len(cycle)))
    none_alive = np.empty(len(cycle), dtype=bool)
    none_alive[by_time] = total[ends][of_moment] == before[of_cycle]
    return is_lost & none_alive


def _passages(log: _Log, stages: Stages) -> Passages:
    order = np.lexsort((log.position, log.occurred, log.cycle))
    occurred, position = log.occurred[order], log.position[order]
    starts = np.searchsorted(log.cycle[order], np.arange(len(log.owner)))
    began = occurred[starts]
    rank = order_of((log.owner, began), (log.cycle_id,))
    won, count = stages.position("won"), len(stages.order)
    reached = np.full((count, len(starts)), FOREVER)
    if len(starts):
        for place in range(count):
            so_far = (place <= position) & (position < count)
            reached[place] = np.minimum.reduceat(np.where(so_far, occurred, FOREVER), starts)[rank]
    lost_at, closed_at = (since(occurred, position >= least, starts)[rank] for least in (count, won))
    return Passages(log.owner[rank], log.cycle_id.take(pa.array(rank)), began[rank], reached, lost_at, closed_at)
