"""A few journeys, written down by hand or drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from features.journeys import Journeys
from features.journeys.journeys import JOURNEY_COLUMNS, TOUCH_COLUMNS
from features.schema import DAY

LEVERS = ("Email", "Event", "Paid Search", "Partner")
CHANNELS = (*LEVERS, "Direct", "Organic Search", None)


@dataclass(frozen=True)
class Walk:
    """A journey that ends on day `ends`: touches as (channel, day), milestones by their day."""

    touches: Sequence[tuple[str | None, float]]
    account: str = "a"
    converted: bool = True
    revenue: int = 0
    currency: str | None = "EUR"
    count: int = 1
    lead: float | None = None
    deal: float | None = None
    ends: float = 100.0


def moment(day: float | None) -> int | None:
    return None if day is None else round(day * DAY)


def walked(*walks: Walk, transition: str = "won", milestones: bool = True) -> Journeys:
    """Return journeys; touches of one journey that are not given in order are sorted by time."""
    touches = [
        dict.fromkeys(TOUCH_COLUMNS) | {
            "source": "s", "event_id": f"{number:04d}-{place:04d}", "occurred_at": moment(day), "channel": channel,
            "is_lever": channel in LEVERS, "actor_id": None if channel is None else channel[0],
            "content": f"about {channel}",
        }
        for number, walk in enumerate(walks)
        for place, (channel, day) in enumerate(sorted(walk.touches, key=lambda touch: touch[1]))
    ]  # fmt: skip
    journeys = [
        {
            "account_id": walk.account, "cycle_id": f"cycle {number}", "deal_id": f"deal {number}", "opened_at": 0,
            "ended_at": moment(walk.ends), "converted": walk.converted, "censored": False,
            "revenue": walk.revenue if walk.converted else 0, "currency": walk.currency, "count": walk.count,
            "reached_lead": moment(walk.lead), "reached_deal": moment(walk.deal),
        }
        for number, walk in enumerate(walks)
    ]  # fmt: skip
    columns = dict(JOURNEY_COLUMNS) | dict.fromkeys(("reached_lead", "reached_deal") if milestones else (), pa.int64())
    return Journeys(
        transition,
        pa.Table.from_pylist(journeys, schema=pa.schema(columns)),
        pa.Table.from_pylist(touches, schema=pa.schema(TOUCH_COLUMNS)),
        np.cumsum([0, *(len(walk.touches) for walk in walks)]),
    )


def channels(*names: str | None, **of_walk) -> Walk:
    """Return a journey of touches a day apart."""
    return Walk([(name, day) for day, name in enumerate(names)], **of_walk)


DAYS = st.none() | st.integers(0, 100)
WALKS = st.builds(
    Walk,
    touches=st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(0, 100)), max_size=7),
    account=st.sampled_from("abcde"),
    converted=st.booleans(),
    revenue=st.integers(1, 10**15) | st.integers(1, 100),
    currency=st.sampled_from(("EUR", "JPY", None)),
    count=st.integers(1, 3),
    lead=DAYS,
    deal=DAYS,
)
JOURNEYS = st.lists(WALKS, min_size=1, max_size=12).map(lambda walks: walked(*walks))
