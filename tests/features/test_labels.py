"""Goals to labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.agreement import Agreement
from features.labels import Labelled, label
from features.ledger import Batch, Ledger
from features.relations import build
from features.schema import DAY

AGREEMENT = Agreement.load()
GOAL = replace(AGREEMENT.goal("won_90d"), within_days=30)
START = 1_700_000_000_000_000
LAST = START + 365 * DAY


def day(number: float) -> int:
    return START + int(number * DAY)


class Market:
    """A ledger in the making, told in days since START."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stages: list[dict[str, object]] = []
        self.deals: list[dict[str, object]] = []
        self.attributes: list[dict[str, object]] = []

    def stage(
        self, stage: str, on: float, account: str = "a", cycle: str | None = None, known: float | None = None
    ) -> None:
        cycle = cycle or f"{account}:new:1"
        row: dict[str, object] = {
            "change_id": f"s{len(self.stages)}", "account_id": account, "cycle_id": cycle, "kind": "new",
            "stage": stage,
            "occurred_at": day(on), "known_at": day(on if known is None else known),
        }  # fmt: skip
        self.stages.append(row)

    def deal(self, outcome: str, on: float, account: str = "a", deal_id: str = "d", cycle: str | None = None) -> None:
        cycle = cycle or f"{account}:new:1"
        row: dict[str, object] = {
            "deal_id": deal_id, "account_id": account, "cycle_id": cycle, "kind": "new", "outcome": outcome,
            "occurred_at": day(on), "known_at": day(on),
        }  # fmt: skip
        self.deals.append(row)

    def size(self, on: float) -> None:
        row: dict[str, object] = {"entity": "account", "id": "a", "field": "size", "value": "9"}
        self.attributes.append({**row, "occurred_at": day(on), "known_at": day(on)})

    def labelled(self, *days: float, until: float = 365) -> Labelled:
        self.stage("mql", until, account="end of the ledger")
        with Ledger.open(self.path) as ledger:
            rows = {"stage_changes": self.stages, "deals": self.deals, "attributes": self.attributes}
            receipt = ledger.append(Batch(rows))
            assert receipt.rejected == ()
            tables = ledger.tables()
        relations = build(tables, AGREEMENT)
        return label(tables, relations, AGREEMENT, GOAL, np.array([day(number) for number in days]))


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path / "market.db")


def test_a_win_within_the_horizon_is_one(market: Market) -> None:
    market.stage("sql", 10)
    market.deal("won", 40)
    assert market.labelled(9, 10, 20, 39, 40).label.tolist() == [1, 1, 1]


def test_the_horizon_includes_its_last_moment_and_not_its_first(market: Market) -> None:
    market.stage("sql", 1)
    market.deal("won", 40)
    assert market.labelled(9.9, 10, 40).label.tolist() == [0, 1]


def test_lost_first_is_zero_even_when_won_later_within_the_horizon(market: Market) -> None:
    market.deal("open", 1)
    market.deal("lost", 10)
    market.deal("won", 20)
    assert market.labelled(5).label.tolist() == [0]


def test_a_new_cycle_after_the_moment_does_not_count(market: Market) -> None:
    market.stage("sql", 1, cycle="old")
    market.deal("won", 10, deal_id="other", cycle="new one")
    assert market.labelled(5).label.tolist() == [0]


def test_incomplete_horizons_are_left_out_and_counted(market: Market) -> None:
    market.stage("sql", 1)
    found = market.labelled(50, 80, until=100)
    assert (found.as_of.tolist(), found.censored) == ([day(50)], 1)


def test_the_data_reach_as_far_as_the_newest_fact_of_an_account(market: Market) -> None:
    market.stage("sql", 1)
    market.size(120)
    found = market.labelled(50, 80, until=100)
    assert (found.as_of.tolist(), found.censored) == ([day(50), day(80)], 0)
    assert found.data_until == day(120)


def test_the_reporting_lag_is_waited_for_too(market: Market) -> None:
    for number in range(40):
        market.stage("mql", 1, account=f"late {number}", known=11)
    market.stage("sql", 1)
    found = market.labelled(62, until=100)
    assert found.lag == 10 * DAY
    assert found.lag_is_assumed is False
    assert len(found.label) == 0


def test_eligible_is_what_was_known_then(market: Market) -> None:
    market.stage("sql", 10, known=30)
    market.deal("won", 40)
    assert market.labelled(20, 35).as_of.tolist() == [day(35)]


def test_closed_cycles_are_not_asked_about(market: Market) -> None:
    market.deal("open", 1)
    market.deal("lost", 10)
    assert len(market.labelled(15).label) == 0
