from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.attribution.credit import BASELINE, FRAME_COLUMNS, Credit, Evidence
from tests.models.attribution.few import JOURNEYS, channels, walked

TWO = walked(channels("Email", None, "Event", revenue=100), channels("Email", account="b", revenue=7, currency="JPY"))


def given_credit(journeys, touch, rest, **options):
    return Credit("made_up", Evidence.RULE, journeys, np.array(touch, float), np.array(rest, float), **options)


def any_credit(journeys, random, *, per_journey=True):
    """Return credit drawn at random: often 0, sometimes tiny; of the journey or, else, of all journeys."""
    touch = random.random(journeys.touches.num_rows) ** random.choice([1, 30], journeys.touches.num_rows)
    touch *= (random.random(len(touch)) < 0.7) & journeys.converted[journeys.of_touch]
    rest = random.random(journeys.size) * (random.random(journeys.size) < 0.5) * journeys.converted
    due = np.where(journeys.converted, journeys.count, 0)
    made = rest + np.bincount(journeys.of_touch, touch, journeys.size)
    rest[(made == 0) & journeys.converted] = 1
    made = np.where(made == 0, 1, made)
    if not per_journey:
        made = np.full(journeys.size, made[journeys.converted].sum() / due.sum() if due.sum() else 1)
        due = np.ones(journeys.size)
    scale = due / made
    return given_credit(journeys, touch * scale[journeys.of_touch], rest * scale, per_journey=per_journey)


def by_currency(table, amount):
    total: dict[str | None, int] = {}
    for row in table.to_pylist():
        total[row["currency"]] = total.get(row["currency"], 0) + row[amount]
    return {currency: sum_ for currency, sum_ in total.items() if sum_}


def test_the_frame_has_a_row_for_every_credited_touch_and_every_rest():
    frame = given_credit(TWO, [0.5, 0.25, 0, 0], [0.25, 1], rest_label=BASELINE).frame()
    assert tuple(frame.column_names) == FRAME_COLUMNS
    assert frame.select(["account_id", "event_id", "channel", "credit", "revenue", "currency"]).to_pylist() == [
        {"account_id": a, "event_id": e, "channel": c, "credit": x, "revenue": r, "currency": m}
        for a, e, c, x, r, m in (
            ("a", "0000-0000", "Email", 0.5, 50, "EUR"),
            ("a", "0000-0001", "Unassigned", 0.25, 25, "EUR"),
            ("a", None, "(baseline)", 0.25, 25, "EUR"),
            ("b", None, "(baseline)", 1.0, 7, "JPY"),
        )
    ]
    assert set(frame["model"].to_pylist()) == {"made_up"} and set(frame["transition"].to_pylist()) == {"won"}


def test_only_the_columns_that_are_asked_for_are_made():
    assert given_credit(TWO, [1, 0, 0, 1], [0, 0]).frame(["channel"]).to_pydict() == {"channel": ["Email", "Email"]}


def test_a_touch_table_of_dictionaries_gives_the_same_frame():
    at = TWO.touches.column_names.index("channel")
    encoded = TWO.touches.set_column(at, "channel", TWO.touches["channel"].dictionary_encode())
    coded = type(TWO)(TWO.transition, TWO.journeys, encoded, TWO.offset)
    assert given_credit(coded, [1, 0, 0, 1], [0, 0]).frame() == given_credit(TWO, [1, 0, 0, 1], [0, 0]).frame()


@given(JOURNEYS, st.integers(0, 2**32), st.booleans())
def test_revenue_is_conserved_to_the_last_unit_by_currency(journeys, seed, per_journey):
    frame = any_credit(journeys, np.random.default_rng(seed), per_journey=per_journey).frame()
    assert by_currency(frame, "revenue") == by_currency(journeys.journeys, "revenue")
    assert min(frame["revenue"].to_pylist(), default=0) >= 0


@given(JOURNEYS, st.integers(0, 2**32))
def test_revenue_is_conserved_to_the_last_unit_in_each_journey(journeys, seed):
    frame = any_credit(journeys, np.random.default_rng(seed)).frame(["cycle_id", "revenue"])
    found = frame.group_by("cycle_id").aggregate([("revenue", "sum")]).to_pylist()
    assert {row["cycle_id"]: row["revenue_sum"] for row in found} == {
        row["cycle_id"]: row["revenue"] for row in journeys.journeys.to_pylist() if row["converted"]
    }


def test_over_all_journeys_revenue_is_shared_within_a_currency():
    journeys = walked(
        channels("Email", revenue=1000),
        channels("Event", account="b"),
        channels("Email", account="c", revenue=9, currency="JPY"),
    )
    frame = given_credit(journeys, [0.5, 1.5, 1], [0, 0, 0], per_journey=False).frame()
    assert list(zip(*frame.select(["channel", "revenue", "currency"]).to_pydict().values(), strict=True)) == [
        ("Email", 250, "EUR"), ("Event", 750, "EUR"), ("Email", 9, "JPY"),
    ]  # fmt: skip


def test_over_all_journeys_the_revenue_of_a_currency_without_credit_becomes_its_rest():
    journeys = walked(channels("Email", revenue=1000), channels("Event", account="b", revenue=9, currency="JPY"))
    frame = given_credit(journeys, [2, 0], [0, 0], per_journey=False).frame(
        ["channel", "credit", "revenue", "currency"]
    )
    assert frame.to_pylist()[1] == {"channel": "(no touch)", "credit": 0.0, "revenue": 9, "currency": "JPY"}


def test_a_negative_amount_is_shared_as_one():
    journeys = walked(channels("Email", "Event", revenue=-101))
    assert given_credit(journeys, [0.5, 0.5], [0]).revenue.tolist() == [-51, -50]


def test_what_was_lost_has_no_revenue_even_when_an_amount_is_known():
    journeys = walked(channels("Email", converted=False), channels("Email"))
    amounts = journeys.journeys.set_column(7, "revenue", pa.array([500, 0]))
    journeys = type(journeys)("won", amounts, journeys.touches, journeys.offset)
    assert given_credit(journeys, [0, 1], [0, 0]).revenue.tolist() == [0]


@pytest.mark.parametrize(
    ("touch", "rest", "options", "message"),
    [
        ([1, 0, 0], [0, 0], {}, r"shapes \(4,\) and \(2,\). Got \(3,\)"),
        ([2, -1, 0, 1], [0, 0], {}, "at least 0. Got -1.0"),
        ([np.nan, 0, 0, 1], [0, 0], {}, "at least 0. Got nan"),
        ([0.5, 0, 0, 1], [0, 0], {}, "make 1 conversions in journey 0. They make 0.5"),
        ([0.5, 0, 0, 1], [0, 0], {"per_journey": False}, "make 2 conversions. They make 1.5"),
    ],
)
def test_credit_that_is_not_a_share_of_the_conversions_is_refused(touch, rest, options, message):
    with pytest.raises(ValueError, match=message):
        given_credit(TWO, touch, rest, **options)


def test_credit_for_what_did_not_convert_is_refused():
    with pytest.raises(ValueError, match="did not convert"):
        given_credit(
            walked(channels("Email"), channels("Email", converted=False)), [0.5, 0.5], [0, 0], per_journey=False
        )


@given(JOURNEYS, st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_what_a_touch_is_given_does_not_depend_on_the_order_of_rows(journeys, seed, random):
    order = random.sample(range(journeys.size), journeys.size)
    shuffled = journeys.take(np.array(order))
    credit = any_credit(journeys, np.random.default_rng(seed), per_journey=False)
    moved = np.concatenate([np.arange(journeys.offset[at], journeys.offset[at + 1]) for at in order])
    again = given_credit(shuffled, credit.touch[moved], credit.rest[order], per_journey=False)
    keys = [("cycle_id", "ascending"), ("event_id", "ascending")]
    assert again.frame().sort_by(keys) == credit.frame().sort_by(keys)
