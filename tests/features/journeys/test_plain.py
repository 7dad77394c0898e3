"""Journeys of plain tables and of counted paths."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.journeys import Journeys, counted_paths, journeys_of
from features.journeys.journeys import codes

Touch = tuple[str, int, str]
accounts = st.sampled_from(("b", "a", "c"))
moments = st.integers(0, 6)
touch_rows = st.lists(st.tuples(accounts, moments, st.sampled_from("xyz")), max_size=20)
conversion_rows = st.lists(st.tuples(accounts, moments, st.integers(0, 9)), max_size=6)


def tables(touches: list[Touch], conversions: list[tuple[str, int, int]]) -> tuple[pa.Table, pa.Table]:
    account, at, channel = zip(*touches, strict=True) if touches else ((), (), ())
    whose, when, worth = zip(*conversions, strict=True) if conversions else ((), (), ())
    return (
        pa.table(
            {
                "account": pa.array(account, pa.string()),
                "occurred_at": pa.array(at, pa.int64()),
                "channel": pa.array(channel, pa.string()),
            }
        ),
        pa.table(
            {
                "account": pa.array(whose, pa.string()),
                "at": pa.array(when, pa.int64()),
                "revenue": pa.array(worth, pa.int64()),
            }
        ),
    )


def told(journeys: Journeys) -> list[tuple[str, bool, int, int, list[str]]]:
    channel = journeys.touches["channel"].to_pylist()
    return [
        (row["account_id"], row["converted"], row["ended_at"], row["revenue"], channel[begin:stop])
        for row, begin, stop in zip(
            journeys.journeys.to_pylist(), journeys.offset[:-1], journeys.offset[1:], strict=True
        )
    ]


def by_hand(touches: list[Touch], conversions: list[tuple[str, int, int]], end: int) -> list[object]:
    found: list[object] = []
    for account in sorted({row[0] for row in (*touches, *conversions)}):
        own = sorted((row for row in touches if row[0] == account), key=lambda row: row[1])
        for _, at, revenue in sorted((row for row in conversions if row[0] == account), key=lambda row: row[1]):
            before = [row for row in own if row[1] < at]
            own = own[len(before) :]
            found.append((account, True, at, revenue, [row[2] for row in before]))
        if own:
            found.append((account, False, end, 0, [row[2] for row in own]))
    return found


@settings(deadline=None)
@given(touch_rows, conversion_rows)
def test_a_touch_belongs_to_the_next_conversion_of_its_account(
    touches: list[Touch], conversions: list[tuple[str, int, int]]
) -> None:
    journeys = journeys_of(*tables(touches, conversions), ended_at=9)
    assert told(journeys) == by_hand(touches, conversions, 9)
    assert not journeys.censored.any()


@settings(deadline=None)
@given(touch_rows, conversion_rows, st.sampled_from((1, 10**6, 10**15)))
def test_times_of_any_unit_and_span_sort_alike(
    touches: list[Touch], conversions: list[tuple[str, int, int]], unit: int
) -> None:
    wide = [(account, at * unit + 7, channel) for account, at, channel in touches]
    later = [(account, at * unit + 7, worth) for account, at, worth in conversions]
    found = told(journeys_of(*tables(wide, later), ended_at=9 * unit + 8))
    narrow = told(journeys_of(*tables(touches, conversions), ended_at=9))
    assert [(row[0], row[1], *row[3:]) for row in found] == [(row[0], row[1], *row[3:]) for row in narrow]


def test_ties_are_ordered_by_source_and_id_where_they_are_given() -> None:
    touches, conversions = tables([("a", 1, "x"), ("a", 1, "y"), ("a", 1, "z")], [("a", 2, 5)])
    for name, values in (("source", ["web", "web", "crm"]), ("event_id", ["2", "1", "9"])):
        touches = touches.append_column(name, pa.array(values))
    assert journeys_of(touches, conversions).touches["channel"].to_pylist() == ["z", "y", "x"]


def test_the_next_journey_opens_when_the_one_before_converted() -> None:
    touches, conversions = tables([("a", 1, "x"), ("a", 4, "y"), ("b", 5, "z")], [("a", 2, 5)])
    assert journeys_of(touches, conversions).journeys["opened_at"].to_pylist() == [1, 2, 5]


def test_accounts_may_be_numbers_or_encoded() -> None:
    touches, conversions = tables([("2", 1, "x"), ("10", 1, "y")], [("2", 3, 5)])
    encoded = (rows.set_column(0, "account", rows["account"].dictionary_encode()) for rows in (touches, conversions))
    numbers = (rows.set_column(0, "account", rows["account"].cast(pa.int64())) for rows in (touches, conversions))
    assert told(journeys_of(*encoded)) == told(journeys_of(touches, conversions))
    assert [row[0] for row in told(journeys_of(*numbers))] == ["2", "10"]


def test_columns_that_are_given_stay_and_others_are_empty() -> None:
    touches, conversions = tables([("a", 1, "x")], [("a", 3, 5)])
    conversions = conversions.append_column("currency", pa.array(["EUR"]))
    journeys = journeys_of(touches.append_column("campaign", pa.array(["spring"])), conversions)
    assert journeys.players("campaign") == (["spring"], np.array([0]))
    assert journeys.players("content")[0] == [None]
    assert journeys.journeys["currency"].to_pylist() == ["EUR"]
    assert journeys.is_lever.all()


def test_rows_without_an_account_and_negative_revenue_are_counted() -> None:
    touches, conversions = tables([("a", 1, "x"), (None, 1, "y")], [("a", 3, -5), (None, 4, 7), ("b", 4, None)])  # type: ignore[list-item]
    journeys = journeys_of(touches, conversions)
    assert journeys.revenue.tolist() == [0, 0]
    assert journeys.left_out == {
        "touches_without_account": 1, "conversions_without_account": 1, "revenue_without_account": 7,
        "deals_negative": 1, "negative_revenue": -5, "deals_without_amount": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "name", "column", "says"),
    [
        (
            0,
            "occurred_at",
            pa.array([1], pa.timestamp("ns")),
            r"`occurred_at` must be whole numbers.*Got timestamp\[ns\]",
        ),
        (1, "at", pa.array([3.5]), "`at` must be whole numbers.*Got double"),
        (1, "at", pa.array([None], pa.int64()), "`at` must be there in every row. 1 of 1 lack it"),
        (1, "revenue", pa.array([9.99]), "`revenue` must be whole numbers.*Got double"),
    ],
)
def test_numbers_that_would_be_cut_are_refused(table: int, name: str, column: pa.Array, says: str) -> None:
    given = list(tables([("a", 1, "x")], [("a", 3, 5)]))
    given[table] = given[table].set_column(given[table].column_names.index(name), name, column)
    with pytest.raises(ValueError, match=says):
        journeys_of(*given)


def test_data_can_not_end_before_their_last_row() -> None:
    with pytest.raises(ValueError, match=r"`ended_at` must be later than all rows. Got 3; the last row is of 3"):
        journeys_of(*tables([("a", 3, "x")], []), ended_at=3)


def test_a_path_becomes_a_row_for_success_and_one_for_failure() -> None:
    journeys = counted_paths([["a", "b"], ["b"], ["c"]], [2, 0, 1], [700, 0, 50], [3, 4, 0])
    assert journeys.converted.tolist() == [True, False, False, True]
    assert journeys.count.tolist() == [2, 3, 4, 1]
    assert journeys.revenue.tolist() == [700, 0, 0, 50]
    assert [row[4] for row in told(journeys)] == [["a", "b"], ["a", "b"], ["b"], ["c"]]
    assert len(set(journeys.account.tolist())) == 4


def test_paths_may_come_as_a_list_array() -> None:
    paths = pa.array([["a", "b"], []], pa.list_(pa.string()))
    assert [row[4] for row in told(counted_paths(paths, [1, 1], [0, 0], [0, 0]))] == [["a", "b"], []]


@pytest.mark.parametrize(
    ("conversions", "values", "nulls", "says"),
    [
        ([-1], [0], [0], "`conversions` must have 1 numbers of at least 0. Got 1 of which the least is -1"),
        ([1], [0], [0, 0], "`nulls` must have 1 numbers of at least 0. Got 2"),
        ([1], [9.99], [0], "`values` must be whole numbers. Got 9.99 in row 0"),
        ([0], [5], [1], "`values` must be 0 for a path without conversions. Got 5 in row 0"),
    ],
)
def test_counts_that_can_not_be_are_refused(
    conversions: list[int], values: list[int], nulls: list[int], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        counted_paths([["a"]], conversions, values, nulls)


@given(st.lists(st.sampled_from(("x", "y", None)), max_size=8))
def test_codes_go_by_appearance_whatever_the_encoding(values: list[str | None]) -> None:
    plain = pa.chunked_array([pa.array(values, pa.string())])
    padded = pa.chunked_array([pa.array(["unused", *values], pa.string())]).dictionary_encode().slice(1)
    for column in (plain, plain.dictionary_encode(), padded):
        names, code = codes(column)
        assert names == list(dict.fromkeys(values))
        assert [names[place] for place in code] == values


@pytest.mark.parametrize("numbers", [{"a": 3, "b": 5, "c": 4}, {"a": -7, "b": 10**12, "c": 0}])
def test_accounts_may_be_whole_numbers(numbers):
    rows = [("b", 1, "x"), ("a", 2, "y"), ("b", 3, "z"), ("c", 1, "x")], [("b", 2, 5), ("a", 4, 7)]
    texts = tables(*rows)
    coded = [
        table.set_column(0, "account", pa.array([numbers[name] for name in table["account"].to_pylist()], pa.int64()))
        for table in texts
    ]
    found, expected = journeys_of(*coded), journeys_of(*texts)
    assert sorted(journey[1:] for journey in told(found)) == sorted(journey[1:] for journey in told(expected))
    assert set(found.journeys["account_id"].to_pylist()) == {str(number) for number in numbers.values()}
