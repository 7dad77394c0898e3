"""From the ledger's tables to journeys: who was touched how before which ending, as known at one moment.

**What a journey is.** For ``won``, one per won deal; for ``deal``, one per deal; for any other stage, one per cycle
that reached it, or a later one, at the moment it first did. ``renewed`` and ``expanded`` are ``won`` in cycles of kind
renewal and expansion. Cycles that did not convert, and accounts that are under observation without any cycle, have one
each that did not. Accounts are observed for cycles of kind new since they were created or first heard of, for other
kinds since they became customers; for a further cycle since the one before closed; never before the data begin.

**Which touches.** Those of the whole buying group strictly before the ending (a touch at its very moment may be its
record, but for the one that opens a cycle: the inbound touch that makes a lead is what brought it) and strictly within
the lookback. The lookback alone limits them, not the conversion before: deals that are won
side by side were both worked on, and a touch that lies before both is in both journeys.

**Censoring.** A journey that has not ended and is younger than the horizon of the agreement is censored: nothing speaks
against its conversion yet. An older one has had its time, and counts as not converted, as a lost one does.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import BOUGHT_AGAIN, Agreement, Attribution, Stages
from features.errors import UnknownError, nearest
from features.journeys import left_out
from features.journeys.endings import Endings, find_endings
from features.journeys.journeys import TOUCH_COLUMNS, Ints, Journeys
from features.journeys.known import Known
from features.journeys.ordering import order_of
from features.journeys.windows import find_windows
from features.relations import Relations, Tables
from features.schema import DAY, FOREVER, KINDS

_LONGEST_DAYS = 1_000_000
"""A lookback from which on it reaches behind all data, and would leave the range of 64 bits some time."""


def find_journeys(
    tables: Tables,
    relations: Relations,
    agreement: Agreement,
    *,
    as_of: int,
    transition: str | None = None,
    kind: str | None = None,
    lookback_days: int | None = None,
    lookback_touches: int | None = None,
    data_from: int | None = None,
) -> Journeys:
    """Return the journeys of all accounts towards a transition, ordered by account, ending, cycle and deal.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        Ledger tables, of all accounts or of one; with all ``touchpoints`` among them (`Ledger.export`), those without
        an account are counted.
    relations : Relations
        Built from the same tables.
    agreement : Agreement
    as_of : int
        Microseconds since the epoch, UTC; what happened or became known later does not exist.
    transition : str, default=None
        A stage, ``renewed`` or ``expanded``; the agreement's unless given.
    kind : str, default=None
        Kind of cycle, for stages; ``new`` unless given.
    lookback_days, lookback_touches : int, default=None
        0 for no limit; the agreement's unless given.
    data_from : int, default=None
        When the data begin, in microseconds; with the first touch of the tables unless given.

    Returns
    -------
    Journeys
        Revenue is in the reporting currency at the rate of the day on which the amount was stated, as far as known;
        without a rate it stays in its own currency. A negative amount is kept out: its journey has revenue 0.

    Raises
    ------
    UnknownError
        When there is no such transition or kind.
    ValueError
        When a lookback is negative.
    """
    rules = agreement.attribution
    transition = rules.transition if transition is None else transition
    days = rules.lookback_days if lookback_days is None else lookback_days
    most = rules.lookback_touches if lookback_touches is None else lookback_touches
    if min(days, most) < 0:
        raise ValueError(f"A lookback must be at least 0, which is no limit. Got {days} days, {most} touches instead.")
    stage, kind = _question(transition, kind, agreement.stages)
    known = Known.of(tables, relations, agreement, kind, as_of)
    begin = int(known.occurred_at.min(initial=as_of)) if data_from is None else data_from
    endings = find_endings(
        known.passages, known.sales, known.cycle_of_sale, known.watched_from, agreement.stages, stage, begin, as_of
    )
    endings = endings.take(_order(endings, known))
    excluded = left_out.excluded(known, rules)
    kept = np.flatnonzero(~np.logical_or.reduce(list(excluded.values())))
    account, occurred_at, size = known.account[kept], known.occurred_at[kept], len(relations.account_ids)
    opens = endings.converted & (stage == agreement.stages.implicit_first)
    windows = find_windows(
        np.searchsorted(account, np.arange(size + 1)),
        occurred_at,
        endings.account,
        _after(endings.ended_at, days),
        endings.ended_at + opens,
        most,
    )
    reasons = {
        **{reason: int(mask.sum()) for reason, mask in excluded.items()},
        **left_out.out_of_reach(account, occurred_at, endings, windows, size),
        **left_out.unattached(tables, known, as_of),
        **left_out.of_deals(known, endings, stage),
        "conversions_without_touch": int((endings.converted & (windows.first == windows.stop)).sum()),
    }
    return Journeys(
        transition,
        _journeys(endings, known, relations.account_ids, agreement, stage, as_of),
        _touches(known.touches.take(pa.array(known.row[kept[windows.touch]])), rules),
        windows.offset,
        {reason: count for reason, count in reasons.items() if count},
    )


def _question(transition: str, kind: str | None, stages: Stages) -> tuple[str, str]:
    """Return the stage and the kind of cycle that a transition is about."""
    if transition in BOUGHT_AGAIN:
        stage, own = "won", BOUGHT_AGAIN[transition]
        kinds: tuple[str, ...] = (own,)
    elif transition in stages.order:
        stage, own, kinds = transition, "new", KINDS
    else:
        names = (*stages.order, *BOUGHT_AGAIN)
        raise UnknownError(
            f"There is no transition {transition!r}.{nearest(transition, names)} Allowed: {', '.join(names)}."
        )
    if kind is not None and kind not in kinds:
        raise UnknownError(
            f"{transition!r} is not about cycles of kind {kind!r}.{nearest(kind, kinds)} Allowed: {', '.join(kinds)}."
        )
    return stage, own if kind is None else kind


def _order(endings: Endings, known: Known) -> Ints:
    """Return the order by account, ending, cycle and deal: it depends on nothing but what the journeys are."""
    ids = _picked(known.passages.cycle_id, endings.cycle), _picked(known.sales.deal_id, endings.deal)
    return order_of((endings.account, endings.ended_at), ids)


def _after(ended_at: Ints, days: int) -> Ints:
    return ended_at - days * DAY if 0 < days < _LONGEST_DAYS else np.full(len(ended_at), -FOREVER)


def _picked(values: pa.Array | pa.ChunkedArray, row: Ints) -> pa.Array | pa.ChunkedArray:
    """Return the values at some rows, null at row -1."""
    return values.take(pa.array(row, mask=row < 0))


def _journeys(
    endings: Endings, known: Known, account_ids: list[str], agreement: Agreement, stage: str, as_of: int
) -> pa.Table:
    sales, horizon = known.sales, agreement.attribution.horizon_days * DAY
    is_young = as_of - endings.opened_at < horizon
    has_deal = endings.deal >= 0
    revenue = np.where(has_deal, np.maximum(np.append(sales.amount, 0)[endings.deal], 0), 0)
    currency = pc.fill_null(_picked(sales.currency, endings.deal), agreement.reporting_currency)
    columns = {
        "account_id": pa.array(account_ids, pa.string()).take(pa.array(endings.account)),
        "cycle_id": _picked(known.passages.cycle_id, endings.cycle),
        "deal_id": _picked(sales.deal_id, endings.deal),
        "opened_at": pa.array(endings.opened_at),
        "ended_at": pa.array(endings.ended_at),
        "converted": pa.array(endings.converted),
        "censored": pa.array(~endings.converted & ~endings.is_lost & is_young),
        "revenue": pa.array(revenue),
        "currency": currency,
        "count": pa.array(np.ones(len(revenue), dtype=np.int64)),
    }
    order = agreement.stages.order
    for place, passed in enumerate(order):
        never = np.full(len(endings.cycle), FOREVER)
        at = np.where(endings.cycle >= 0, np.append(known.passages.reached[place], FOREVER)[endings.cycle], never)
        if passed in ("deal", "won"):
            of_deal = sales.opened_at if passed == "deal" else sales.won_at
            at = np.where(has_deal, np.append(of_deal, FOREVER)[endings.deal], at)
        beyond = ~endings.converted & (place >= order.index(stage))
        columns[f"reached_{passed}"] = pa.array(at, mask=(at > endings.ended_at) | beyond)
    return pa.table(columns)


def _touches(touches: pa.Table, rules: Attribution) -> pa.Table:
    is_paid = pc.is_in(touches["channel"], pa.array(rules.levers, pa.string()))
    is_answer = pc.is_in(touches["touch_type"], pa.array(rules.response_types, pa.string()))
    columns = {name: touches[name] for name in TOUCH_COLUMNS if name != "is_lever"}
    return pa.table({**columns, "is_lever": pc.and_not(is_paid, is_answer)})
