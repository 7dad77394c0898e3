"""Goals to labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.agreement import Agreement
from features.labels import Cases, Labels, Pairs
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
        self.rates: list[dict[str, object]] = []

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

    def deal(
        self, outcome: str, on: float, account: str = "a", deal_id: str = "d", cycle: str | None = None,
        amount: int | None = None, currency: str = "EUR",
    ) -> None:  # fmt: skip
        cycle = cycle or f"{account}:new:1"
        row: dict[str, object] = {
            "deal_id": deal_id, "account_id": account, "cycle_id": cycle, "kind": "new", "outcome": outcome,
            "amount": amount, "currency": currency, "occurred_at": day(on), "known_at": day(on),
        }  # fmt: skip
        self.deals.append(row)

    def size(self, on: float) -> None:
        row: dict[str, object] = {"entity": "account", "id": "a", "field": "size", "value": "9"}
        self.attributes.append({**row, "occurred_at": day(on), "known_at": day(on)})

    def cases(self, until: float = 365) -> Cases:
        self.stage("mql", until, account="end of the ledger")
        with Ledger.open(self.path) as ledger:
            rows = {"stage_changes": self.stages, "deals": self.deals, "attributes": self.attributes}
            rows["fx_rates"] = self.rates
            receipt = ledger.append(Batch(rows))
            assert receipt.rejected == ()
            tables = ledger.tables()
        return Cases.of(tables, build(tables, AGREEMENT), AGREEMENT, GOAL)

    def asked(self, *days: float) -> Labels:
        """Label the account "a" on these days, at all of which the goal must apply."""
        return labels(self.cases(), *days)


def pairs(*days: float, account: int = 0) -> Pairs:
    return Pairs(np.full(len(days), account), np.array([day(number) for number in days]))


def labels(cases: Cases, *days: float) -> Labels:
    asked = pairs(*days)
    assert cases.applies(asked).all()
    assert cases.complete(asked).all()
    return cases.label(asked)


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path / "market.db")


def test_a_win_within_the_horizon_is_one(market: Market) -> None:
    market.stage("sql", 10)
    market.deal("won", 40)
    assert market.asked(10, 20, 39).label.tolist() == [1, 1, 1]


def test_the_goal_applies_while_a_cycle_is_open_in_one_of_its_stages(market: Market) -> None:
    market.stage("sql", 10)
    market.deal("won", 40)
    cases = market.cases()
    assert cases.applies(pairs(9, 10, 39.9, 40, 50)).tolist() == [False, True, True, False, False]
    assert cases.applies(pairs(20, account=1)).tolist() == [False]


def test_a_grid_asks_about_every_account_the_goal_applies_to(market: Market) -> None:
    market.stage("sql", 10)
    market.stage("sql", 25, account="b")
    market.deal("won", 40)
    cases = market.cases()
    found = cases.at(np.array([day(number) for number in (5, 20, 30, 40)]))
    assert found.account.tolist() == [0, 0, 1, 1]
    assert found.as_of.tolist() == [day(20), day(30), day(30), day(40)]
    assert cases.applies(found).all()


def test_the_horizon_includes_its_last_moment_and_not_its_first(market: Market) -> None:
    market.stage("sql", 1)
    market.deal("won", 40)
    assert market.asked(9.9, 10).label.tolist() == [0, 1]


def test_lost_first_is_zero_even_when_won_later_within_the_horizon(market: Market) -> None:
    market.deal("open", 1)
    market.deal("lost", 10)
    market.deal("won", 20, amount=500)
    asked = market.asked(5)
    assert asked.label.tolist() == [0]
    assert np.isnan(asked.amount).all()


def test_a_new_cycle_after_the_moment_does_not_count(market: Market) -> None:
    market.stage("sql", 1, cycle="old")
    market.deal("won", 10, deal_id="other", cycle="new one")
    assert market.asked(5).label.tolist() == [0]


def test_outcomes_are_complete_once_the_horizon_has_passed(market: Market) -> None:
    market.stage("sql", 1)
    assert market.cases(until=100).complete(pairs(50, 70, 70.1)).tolist() == [True, True, False]


def test_the_data_reach_as_far_as_the_newest_fact_of_an_account(market: Market) -> None:
    market.stage("sql", 1)
    market.size(120)
    cases = market.cases(until=100)
    assert cases.complete(pairs(80)).all()
    assert cases.data_until == day(120)


def test_the_reporting_lag_is_waited_for_too(market: Market) -> None:
    for number in range(40):
        market.stage("mql", 1, account=f"late {number}", known=11)
    market.stage("sql", 1)
    cases = market.cases(until=100)
    assert cases.lag == 10 * DAY
    assert cases.lag_is_assumed is False
    assert cases.complete(pairs(60, 61)).tolist() == [True, False]


def test_to_whom_it_applies_is_what_was_known_then(market: Market) -> None:
    market.stage("sql", 10, known=30)
    market.deal("won", 40)
    assert market.cases().applies(pairs(20, 35)).tolist() == [False, True]


def test_closed_cycles_are_not_asked_about(market: Market) -> None:
    market.deal("open", 1)
    market.deal("lost", 10)
    assert market.cases().applies(pairs(15)).tolist() == [False]


def test_the_amount_is_what_was_won_within_the_horizon(market: Market) -> None:
    market.deal("open", 1, amount=700)
    market.deal("open", 2, deal_id="second")
    market.deal("won", 30, amount=500)
    market.deal("won", 50, deal_id="second", amount=200)
    amount = market.asked(5, 19, 25).amount
    assert amount[0] == 5.0
    assert amount[1] == 5.0
    assert amount[2] == 7.0


@pytest.mark.parametrize("amount", [0, None])
def test_a_win_of_no_known_amount_has_none(market: Market, amount: int | None) -> None:
    market.deal("open", 1, amount=500)
    market.deal("won", 20, amount=amount)
    asked = market.asked(5)
    assert asked.label.tolist() == [1]
    assert np.isnan(asked.amount).all()


def test_amounts_are_converted_at_the_rate_known_at_the_end(market: Market) -> None:
    market.deal("open", 1)
    market.deal("won", 20, amount=500, currency="USD")
    market.rates = [{"currency": "USD", "date": day(10), "rate": 0.8, "known_at": day(200)}]
    assert market.asked(5).amount.tolist() == [4.0]
