"""The rules against a slow and plain implementation, on the real files of the attribution field."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest

from features.agreement import Agreement
from features.journeys import counted_paths, journeys_of
from models.attribution.aggregate import credit_by
from models.attribution.rules import Rule, rules, time_decay

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "journeys"
RULES = rules(Agreement.load().attribution)


def lines(name: str) -> list[dict[str, str]]:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not here: it belongs in ../shared/data/journeys")
    with gzip.open(DATA / name, "rt", newline="") as file:
        return list(csv.DictReader(file))


def plain_weights(rule: str, steps: int) -> list[Fraction]:
    """Return the weights of the touches of one journey in exact fractions."""
    if rule == "first":
        return [Fraction(1)] + [Fraction(0)] * (steps - 1)
    if rule == "last":
        return [Fraction(0)] * (steps - 1) + [Fraction(1)]
    if rule == "linear" or steps < 3:
        return [Fraction(1, steps)] * steps
    return [Fraction(2, 5), *[Fraction(1, 5) / (steps - 2)] * (steps - 2), Fraction(2, 5)]


def plain_shares(amount: int, weights: list[Fraction]) -> list[int]:
    """Return the method of the largest remainder, in exact fractions."""
    exact = [amount * weight for weight in weights]
    shares = [int(one) for one in exact]
    for place in sorted(range(len(exact)), key=lambda at: (shares[at] - exact[at], at))[: amount - sum(shares)]:
        shares[place] += 1
    return shares


@pytest.fixture(scope="module")
def paths():
    """The steps, conversions, value in thousandths, and failures of each path."""
    return [
        (
            row["path"].split(" > "),
            int(row["total_conversions"]),
            round(float(row["total_conversion_value"]) * 1_000),
            int(row["total_null"]),
        )
        for row in lines("paths_10k.csv.gz")
    ]


@pytest.fixture(scope="module")
def counted(paths):
    return counted_paths(*zip(*paths, strict=True))


@pytest.mark.parametrize("rule", ["first", "last", "linear", "position"])
def test_counted_paths_give_exactly_what_the_slow_way_gives(paths, counted, rule):
    conversions: dict[str, Fraction] = defaultdict(Fraction)
    revenue: dict[str, int] = defaultdict(int)
    for steps, converted, value, _ in paths:
        weights = plain_weights(rule, len(steps))
        for channel, weight, share in zip(steps, weights, plain_shares(value, weights), strict=True):
            conversions[channel] += converted * weight
            revenue[channel] += share
    found = credit_by(RULES[rule].credit(counted), ["channel"])
    assert dict(zip(found["channel"].to_pylist(), found["revenue_unknown"].to_pylist(), strict=True)) == {
        channel: share for channel, share in revenue.items() if conversions[channel]
    }
    for row in found.to_pylist():
        assert row["conversions"] == pytest.approx(float(conversions[row["channel"]]), rel=1e-12)


def test_counted_paths_make_their_conversions_and_their_value(paths, counted):
    total = credit_by(RULES["linear"].credit(counted), []).to_pylist()[0]
    assert total["conversions"] == pytest.approx(19_785, rel=1e-12)
    assert total["revenue_unknown"] == sum(value for _, _, value, _ in paths)


@pytest.fixture(scope="module")
def cookies():
    """Touches as (customer, microseconds, channel), and when each converted, at the moment of its last touch."""
    rows = lines("cookie_touches_62k.csv.gz")
    moments = [int(datetime.fromisoformat(row["time"]).timestamp()) * 1_000_000 for row in rows]
    touches = [(row["customer_id"], at, row["channel"]) for row, at in zip(rows, moments, strict=True)]
    bought = [
        (row["customer_id"], at + 1, round(float(row["conversion_value"]) * 100))
        for row, at in zip(rows, moments, strict=True)
        if row["conversion"] == "1"
    ]
    return touches, bought


def test_timed_touches_decay_as_the_slow_way_says(cookies):
    touches, bought = cookies
    columns = zip(("account", "occurred_at", "channel"), zip(*touches, strict=True), strict=True)
    ends = zip(("account", "at", "revenue"), zip(*bought, strict=True), strict=True)
    journeys = journeys_of(
        pa.table({name: list(column) for name, column in columns}),
        pa.table({name: list(column) for name, column in ends}),
    )
    expected: dict[str, float] = defaultdict(float)
    ways: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for customer, at, channel in touches:
        ways[customer].append((at, channel))
    before: dict[str, int] = {}
    credited = 0
    for customer, end, _ in sorted(bought, key=lambda row: row[1]):
        way = [(at, channel) for at, channel in ways[customer] if before.get(customer, -1) < at < end]
        before[customer] = end
        credited += len(way)
        weights = [0.5 ** ((end - at) / (7 * 24 * 3600 * 1e6)) for at, _ in way]
        for (_, channel), weight in zip(way, weights, strict=True):
            expected[channel] += weight / sum(weights)
    found = credit_by(Rule("time_decay", time_decay(7.0)).credit(journeys), ["channel"])
    assert found["touches"].to_numpy().sum() == credited
    assert {row["channel"]: row["conversions"] for row in found.to_pylist()} == pytest.approx(dict(expected), rel=1e-9)
