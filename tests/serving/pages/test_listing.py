"""The table of accounts: sorted, filtered and paged."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from serving.bulk import SCHEMA
from serving.pages.listing import ROWS, Query, listing, query, strongest

STAGES = ("lead", "mql", "bql", "sql", "deal")


def row(number: int) -> dict[str, object]:
    """Return an account of the board; every third has no expected revenue, and the last ones are alike."""
    return {
        "account_id": f"a-{number:03d}",
        "name": None if number % 7 == 0 else f"Company {number}",
        "stage": STAGES[number % 5],
        "percentile": min(number, 100) / 200,
        "grade": "ABCD"[number % 4],
        "expected_revenue": None if number % 3 == 0 else 10.0 * number,
    }


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pa.Table.from_pylist([row(number) for number in range(120)], schema=SCHEMA)


def shown(table: pa.Table, asked: Query, column: str) -> list[Any]:
    pages = listing(table, asked, STAGES).pages
    return [one[column] for page in range(1, pages + 1) for one in listing(table, asked.on(page), STAGES).rows]


def test_all_pages_together_hold_every_account_once(table: pa.Table) -> None:
    ids = shown(table, Query("g"), "account_id")
    assert len(ids) == len(set(ids)) == 120
    assert len(listing(table, Query("g"), STAGES).rows) == ROWS


def test_the_best_come_first_and_equals_in_the_order_of_their_ids(table: pa.Table) -> None:
    rows = listing(table, Query("g"), STAGES).rows
    assert [one["account_id"] for one in rows[:3]] == ["a-100", "a-101", "a-102"]


@pytest.mark.parametrize("sort", ["score", "grade"])
def test_by_points_the_best_come_first_too(sort: str) -> None:
    rows = [{"account_id": f"a-{number}", "score": score} for number, score in enumerate((7, 99, 31))]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    assert shown(table, Query("g", sort=sort), "score") == [99, 31, 7]
    assert shown(table, Query("g", sort=sort, descending=False), "score") == [7, 31, 99]


@pytest.mark.parametrize(
    ("up", "down", "way"), [(2.0, -3.5, "down"), (4.0, -3.5, "up"), (None, -0.1, "down"), (None, None, None)]
)
def test_the_top_reason_is_the_strongest_either_way(up: float | None, down: float | None, way: str | None) -> None:
    assert strongest({"top_up_points": up, "top_down_points": down}) == way


def test_stages_are_sorted_in_their_own_order(table: pa.Table) -> None:
    stages = shown(table, Query("g", sort="stage", descending=False), "stage")
    assert list(dict.fromkeys(stages)) == list(STAGES)


@pytest.mark.parametrize("descending", [True, False])
def test_without_a_value_comes_last_either_way(table: pa.Table, descending: bool) -> None:
    amounts = shown(table, Query("g", sort="revenue", descending=descending), "expected_revenue")
    assert amounts[-40:] == [None] * 40
    assert amounts[:80] == sorted((one for one in amounts if one is not None), reverse=descending)


def test_filters_hold_together_and_look_into_names_and_ids(table: pa.Table) -> None:
    asked = Query("g", grade="A", stage="lead", text="COMPANY")
    assert {(one["grade"], one["stage"]) for one in listing(table, asked, STAGES).rows} == {("A", "lead")}
    assert shown(table, Query("g", text="a-007"), "account_id") == ["a-007"]


@pytest.mark.parametrize(("asked", "shown"), [(-1, 1), (0, 1), (3, 3), (10**30, 3)])
def test_a_page_that_is_not_there_is_the_nearest(table: pa.Table, asked: int, shown: int) -> None:
    assert listing(table, query("g", "", "", "", "", asked), STAGES).page == shown


def test_an_address_says_all_and_is_read_back() -> None:
    asked = Query("won_90d", sort="name", descending=False, grade="A", stage="sql", text="ü & co", page=2)
    assert asked.address == "/accounts?goal=won_90d&sort=name&grade=A&stage=sql&q=%C3%BC+%26+co&page=2"
    assert query("won_90d", "name", "A", "sql", " ü & co", 2) == asked
    assert query("won_90d", "-nothing", "", "", "", 1) == Query("won_90d")


def test_the_same_column_again_turns_the_order_around() -> None:
    assert Query("g").sorted_by("score").descending is False
    assert Query("g").sorted_by("name").descending is False
    assert Query("g", page=4).sorted_by("fit") == Query("g", sort="fit")
