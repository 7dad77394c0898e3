"""What the page of an account is made from."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from features.agreement import Agreement
from serving.pages import account
from serving.pages.words import words

NEWEST = 1_795_000_000_000_000
MANY = 450


@pytest.fixture
def tables() -> dict[str, pa.Table]:
    """Return an account whose first touches, all by the buyer, lie behind hundreds by a user."""
    touches = [
        {
            "occurred_at": NEWEST - number * 10**9,
            "known_from": 0,
            "known_until": 2**62,
            "source": "web",
            "event_id": f"{number}",
            "touch_type": "page_view",
            "contact_id": "user" if number < MANY - 20 else "buyer",
            "channel": "Direct",
            "direction": "inbound",
        }
        for number in range(MANY)
    ]
    stage = {"known_at": 0, "known_until": 2**62, "stage": "mql"}
    stages = [stage | {"change_id": f"{at}", "occurred_at": at} for at in (NEWEST - MANY * 10**9, NEWEST)]
    empty = {name: pa.table({}) for name in ("attributes", "deals")}
    return empty | {"account_touches": pa.Table.from_pylist(touches), "stage_changes": pa.Table.from_pylist(stages)}


def test_all_touches_are_counted_and_the_newest_drawn(tables: dict[str, pa.Table]) -> None:
    found = account.group(tables, NEWEST, Agreement.load(None), words("en"))
    assert [one["touches"] for one in found["people"]] == [430, 20]
    assert found["drawn"] == ("400", "450")
    assert found["chart"]["yAxis"]["data"] == ["Role unknown · user"]
    assert sum(len(one["data"]) for one in found["chart"]["series"]) == 400
    assert json.dumps(found["chart"]).count('"MQL"') == 1


def test_an_account_with_few_touches_is_drawn_whole(tables: dict[str, pa.Table]) -> None:
    few = tables | {"account_touches": tables["account_touches"].slice(0, 400)}
    found = account.group(few, NEWEST, Agreement.load(None), words("en"))
    assert found["drawn"] is None
    assert json.dumps(found["chart"]).count('"MQL"') == 2
