"""What was spent: windows, revisions, currencies, and costs that stand in two places."""

from fractions import Fraction
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.schema import DAY, FOREVER, TABLES
from models.attribution.exchange import Exchange
from models.attribution.spending import Doubled, spending

EUROS = Exchange("EUR", {"USD": ((0, Fraction("0.9")),)})
KNOWN = {"revision": 1, "deleted": False, "known_at": 0, "known_until": FOREVER}


def rows(table, *given):
    return pa.Table.from_pylist([KNOWN | row for row in given], schema=TABLES[table].arrow)


def invoice(amount, start=0, end=30, **more):
    period = {"period_start": start * DAY, "period_end": end * DAY}
    return {"channel": "Event", "campaign": "fair", "amount": amount, "currency": "EUR"} | period | more


def touch(cost, day, **more):
    return {
        "channel": "Event",
        "campaign": "fair",
        "cost": cost,
        "currency": "EUR",
        "occurred_at": round(day * DAY),
    } | more


def spent(invoices=(), touches=(), *, days=(0, 30), as_of=1_000, exchange=EUROS):
    start, end = (day * DAY for day in days)
    tables = rows("spend", *invoices), rows("touchpoints", *touches)
    return spending(*tables, exchange, from_=start, to=end, as_of=as_of * DAY)


def test_a_period_within_the_window_counts_whole():
    assert spent([invoice(100_01)]).by_channel == {"Event": {"EUR": 100_01}}


def test_a_period_that_the_window_cuts_counts_by_days():
    assert spent([invoice(300_00)], days=(10, 20)).total == {"EUR": 100_00}


@given(amount=st.integers(-(10**15), 10**15), cuts=st.lists(st.integers(-5, 40), min_size=1, max_size=6))
def test_windows_that_adjoin_make_the_whole_amount(amount, cuts):
    edges = [-10, *sorted(set(cuts)), 50]
    parts = [spent([invoice(amount)], days=pair).total.get("EUR", 0) for pair in pairwise(edges)]
    assert sum(parts) == amount


def test_of_a_period_that_is_running_only_what_has_passed_counts():
    assert spent([invoice(300_00)], days=(0, 60), as_of=15).total == {"EUR": 150_00}


def test_a_period_without_length_is_spent_at_its_start():
    found = [spent([invoice(7, 30, 30)], days=days).total for days in ((0, 30), (30, 60))]
    assert found == [{}, {"EUR": 7}]


def test_a_period_without_length_holds_the_touches_of_its_day():
    found = spent([invoice(100, 5, 5)], [touch(40, 5.5), touch(7, 6)])
    assert (found.total, [warning.touches for warning in found.doubled]) == ({"EUR": 107}, [1])


def test_a_cost_of_0_is_known_and_a_missing_one_is_not_there():
    assert spent([invoice(0)]).by_channel == {"Event": {"EUR": 0}}
    assert spent().by_channel == {}


def test_what_is_negative_is_taken_off():
    assert spent([invoice(100), invoice(-30, 0, 30, campaign="refund")]).total == {"EUR": 70}


def test_only_what_is_known_and_not_replaced_or_taken_back_counts():
    replaced = invoice(1, known_until=5 * DAY)
    newer = invoice(2, revision=2, known_at=5 * DAY)
    retracted = invoice(4, campaign="other", deleted=True)
    later = invoice(8, campaign="late", known_at=99 * DAY)
    assert spent([replaced, newer, retracted, later], as_of=40).total == {"EUR": 2}


def test_an_amount_without_a_rate_stays_by_itself():
    found = spent([invoice(100), invoice(100, channel="Ads", currency="USD"), invoice(50, currency="CHF")])
    assert found.by_channel == {"Ads": {"EUR": 90}, "Event": {"EUR": 100, "CHF": 50}}
    assert found.total == {"EUR": 190, "CHF": 50}


def test_costs_of_touches_count_where_there_is_no_invoice():
    other = touch(5, 3, campaign=None)
    found = spent(touches=[touch(10, 1), other, touch(None, 2), touch(99, 31), touch(3, 1, channel=None)])
    assert found.by_channel == {"Event": {"EUR": 15}, "Unassigned": {"EUR": 3}}
    assert found.by_campaign == {"fair": {"EUR": 13}}
    assert found.doubled == ()


def test_an_invoice_wins_over_the_touches_of_its_campaign_and_period_and_says_so():
    touches = [touch(10, 9), touch(20, 29), touch(40, 30), touch(80, 5, campaign="dinner")]
    found = spent([invoice(1_000, 0, 30)], touches, days=(0, 60))
    assert found.total == {"EUR": 1_000 + 40 + 80}
    assert found.doubled == (Doubled("Event", "fair", 2, {"EUR": 30}),)


def test_an_invoice_within_a_longer_one_hides_nothing_of_it():
    long, short = invoice(1, 0, 30), invoice(1, 5, 6, revision=2)
    assert spent([long, short], [touch(10, 20)]).doubled == (Doubled("Event", "fair", 1, {"EUR": 10}),)


def test_a_window_without_length_is_refused():
    with pytest.raises(ValueError, match="must end after it starts"):
        spent([invoice(1)], days=(5, 5))


def test_the_table_adds_up_to_the_total():
    table = spent([invoice(100), invoice(7, campaign="dinner"), invoice(50, currency="CHF")]).table()
    assert table.column_names == ["channel", "campaign", "currency", "amount"]
    assert table["amount"].to_pylist() == [7, 50, 100]


def test_rates_are_those_of_the_day_as_known_at_the_moment():
    stated = [("USD", 0, 0.8, 0), ("USD", 10, 0.9, 0), ("USD", 20, 5.0, 99)]
    given = [{"currency": c, "date": d * DAY, "rate": r, "known_at": k * DAY} for c, d, r, k in stated]
    exchange = Exchange.of(rows("fx_rates", *given), "EUR", 50 * DAY)
    assert [exchange.converted(100, "USD", day * DAY) for day in (-1, 0, 10, 25)] == [None, 80, 90, 90]


def test_minor_units_of_currencies_differ():
    exchange = Exchange("EUR", {"JPY": ((0, Fraction("0.005")),), "KWD": ((0, Fraction(3)),)})
    assert (exchange.converted(1_000, "JPY", 0), exchange.converted(1_000, "KWD", 0)) == (500, 300)
