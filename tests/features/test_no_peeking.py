"""Nothing that is learnt or happens after a moment changes what is computed for that moment."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.features import streams
from tests.features.test_equality import differences, in_batch, in_real_time, recomputed


@settings(max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams.markets(), st.data())
def test_rows_after_a_moment_by_either_clock_change_nothing_before_it(
    market: streams.Market, data: st.DataObject
) -> None:
    as_of = market.moments[-1]
    pairs = tuple((account, as_of) for account in streams.ACCOUNTS)
    before = streams.ledger_tables(market.raw)
    after = streams.ledger_tables(market.raw + data.draw(streams.later_rows(as_of)))
    assert differences(in_batch(before, pairs), in_batch(after, pairs), pairs) == []
    assert differences(in_real_time(before, pairs), in_real_time(after, pairs), pairs) == []


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams.markets(), st.data())
def test_the_naive_recomputation_does_not_peek_either(market: streams.Market, data: st.DataObject) -> None:
    as_of = market.moments[-1]
    pairs = tuple((account, as_of) for account in streams.ACCOUNTS)
    later = data.draw(streams.later_rows(as_of))
    assert differences(recomputed(market.raw, pairs), recomputed(market.raw + later, pairs), pairs) == []
