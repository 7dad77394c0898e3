"""Journeys equal those that the rules give, row by row, on markets whose rows come in any order and contradict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.agreement import Agreement
from features.journeys import Journeys, find_journeys
from features.relations import build
from tests.features import streams
from tests.features.journeys.oracle import Oracle, found

DEFAULTS = Agreement.load()
TRANSITIONS = {
    "won": ("won", "new"),
    "deal": ("deal", "new"),
    "sql": ("sql", "new"),
    "lead": ("lead", "new"),
    "renewed": ("won", "renewal"),
    "expanded": ("won", "expansion"),
}

transitions = st.sampled_from(tuple(TRANSITIONS))
limits = st.tuples(st.sampled_from((0, 7, 30, 90, 366)), st.sampled_from((0, 0, 1, 3)))
agreements = st.builds(
    lambda outbound, excluded, horizon: replace(
        DEFAULTS,
        attribution=replace(DEFAULTS.attribution, outbound=outbound, excluded_types=excluded, horizon_days=horizon),
    ),
    st.sampled_from(("count", "exclude")),
    st.sampled_from(((), ("page_view", "survey"))),
    st.sampled_from((30, 180)),
)
slow = settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def journeys_in(tables: Mapping[str, pa.Table], agreement: Agreement, **asked: int | str | None) -> Journeys:
    return find_journeys(tables, build(tables, agreement), agreement, **asked)  # type: ignore[arg-type]


@slow
@given(streams.markets(), agreements, transitions, limits)
def test_journeys_are_those_of_the_rules(
    market: streams.Market, agreement: Agreement, transition: str, limits: tuple[int, int]
) -> None:
    tables = streams.ledger_tables(market.raw)
    for as_of in market.moments:
        journeys = journeys_in(
            tables, agreement, as_of=as_of, transition=transition, lookback_days=limits[0], lookback_touches=limits[1]
        )
        oracle = Oracle(tables, agreement, as_of, *TRANSITIONS[transition], *limits)
        assert found(journeys) == oracle.journeys
        touches = {reason: count for reason, count in journeys.left_out.items() if reason.startswith("touches_")}
        assert touches == dict(oracle.reasons)


@slow
@given(streams.markets(), transitions, limits)
def test_every_touch_is_in_a_journey_or_left_out_for_a_reason(
    market: streams.Market, transition: str, limits: tuple[int, int]
) -> None:
    tables = streams.ledger_tables(market.raw)
    as_of = market.moments[-1]
    journeys = journeys_in(
        tables, DEFAULTS, as_of=as_of, transition=transition, lookback_days=limits[0], lookback_touches=limits[1]
    )
    held = {(touch["source"], touch["event_id"]) for touch in journeys.touches.to_pylist()}
    left_out = sum(count for reason, count in journeys.left_out.items() if reason.startswith("touches_"))
    assert len(held) + left_out == len(Oracle(tables, DEFAULTS, as_of, "won", "new", 0, 0).touches)


@slow
@given(streams.markets(), transitions, st.data())
def test_what_is_known_or_happens_later_changes_nothing(
    market: streams.Market, transition: str, data: st.DataObject
) -> None:
    as_of = market.moments[-1]
    before = streams.ledger_tables(market.raw)
    after = streams.ledger_tables(market.raw + data.draw(streams.later_rows(as_of)))
    first, second = (journeys_in(tables, DEFAULTS, as_of=as_of, transition=transition) for tables in (before, after))
    assert found(first) == found(second)
    assert first.left_out == second.left_out


@slow
@given(streams.markets(), transitions, st.integers(0, 2**32))
def test_the_order_of_rows_is_irrelevant(market: streams.Market, transition: str, seed: int) -> None:
    tables = streams.ledger_tables(market.raw)
    rng = np.random.default_rng(seed)
    mixed = {name: table.take(rng.permutation(table.num_rows)) for name, table in tables.items()}
    as_of = market.moments[-1]
    first, second = (journeys_in(rows, DEFAULTS, as_of=as_of, transition=transition) for rows in (tables, mixed))
    assert found(first) == found(second)


@slow
@given(streams.markets(), transitions)
def test_one_account_alone_has_the_journeys_it_has_among_others(market: streams.Market, transition: str) -> None:
    tables = streams.ledger_tables(market.raw)
    # A deal that goes from one account to another is told by the rows of both.
    holder = {row["deal_id"]: row["account_id"] for row in tables["deals"].to_pylist()}
    stays = pa.array([holder[row["deal_id"]] == row["account_id"] for row in tables["deals"].to_pylist()], pa.bool_())
    tables = tables | {"deals": tables["deals"].filter(stays)}
    as_of = market.moments[-1]
    together = found(journeys_in(tables, DEFAULTS, as_of=as_of, transition=transition, data_from=0))
    alone = [
        row
        for account in streams.ACCOUNTS
        for row in found(
            journeys_in(
                streams.account_tables(tables, account), DEFAULTS, as_of=as_of, transition=transition, data_from=0
            )
        )
    ]
    assert alone == together


@slow
@given(streams.markets(), transitions)
def test_no_touch_is_at_the_conversion_but_the_one_that_makes_a_lead_and_none_after_it(
    market: streams.Market, transition: str
) -> None:
    journeys = journeys_in(streams.ledger_tables(market.raw), DEFAULTS, as_of=market.moments[-1], transition=transition)
    ended = journeys.journeys["ended_at"].to_numpy()[journeys.of_touch]
    makes_it = journeys.converted[journeys.of_touch] & (transition == "lead")
    assert np.all(journeys.occurred_at < ended + makes_it)
