from __future__ import annotations

import numpy as np
from hypothesis import given

from models.attribution.sourcing import Totals, sourcing
from tests.models.attribution.few import JOURNEYS, channels, walked

MARKET = walked(
    channels("Email", "Direct", "Event", "Event", revenue=100),
    channels("Direct", "Email", account="b", revenue=7, currency="JPY", count=2),
    channels("Direct", account="c", revenue=3),
    channels(account="d", revenue=1),
    channels("Partner", account="e", converted=False),
)


def test_sourced_is_ours_at_first_and_influenced_is_ours_at_any_time():
    found = sourcing(MARKET)
    assert found.total == Totals(5, {"revenue_EUR": 104, "revenue_JPY": 7})
    assert found.sourced == Totals(1, {"revenue_EUR": 100, "revenue_JPY": 0})
    assert found.influenced == Totals(3, {"revenue_EUR": 100, "revenue_JPY": 7})


def test_a_journey_influenced_by_several_channels_counts_once_for_each():
    assert sourcing(MARKET).by_channel.to_pylist() == [
        {
            "channel": channel, "sourced_conversions": s, "sourced_revenue_EUR": se, "sourced_revenue_JPY": 0,
            "influenced_conversions_not_additive": i, "influenced_revenue_EUR_not_additive": ie,
            "influenced_revenue_JPY_not_additive": ij,
        }
        for channel, s, se, i, ie, ij in (
            ("Email", 1, 100, 3, 100, 7), ("Event", 0, 0, 1, 100, 0), ("Partner", 0, 0, 0, 0, 0),
        )
    ]  # fmt: skip


@given(JOURNEYS)
def test_channels_add_up_to_what_was_sourced_and_reach_what_was_influenced(journeys):
    found = sourcing(journeys)
    assert sum(found.by_channel["sourced_conversions"].to_pylist()) == found.sourced.conversions
    influenced = found.by_channel["influenced_conversions_not_additive"].to_pylist()
    assert max(influenced, default=0) <= found.influenced.conversions <= sum(influenced)
    assert found.sourced.conversions <= found.influenced.conversions <= found.total.conversions


@given(JOURNEYS)
def test_the_order_of_rows_does_not_matter(journeys):
    assert sourcing(journeys.take(np.arange(journeys.size)[::-1])) == sourcing(journeys)
