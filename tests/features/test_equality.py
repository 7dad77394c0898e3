"""The most important test of the project: batch, real time and a naive recomputation give the same features."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import offline, online, relations
from features.agreement import Agreement
from features.algebra import (
    EVERYTHING,
    RELATIONS,
    Atom,
    Cadence,
    Count,
    Decayed,
    Distinct,
    Expression,
    Gap,
    Latest,
    Mean,
    Ratio,
    Recency,
    Sum,
    TopShare,
    Waiting,
    check,
    where,
)
from features.catalogue import Catalogue, catalogue
from features.feature import Feature
from features.ledger import Batch, Ledger
from features.schema import DAY
from tests.features import oracle, streams
from tests.features.streams import START

AGREEMENT = Agreement.load(None)


def _declared(name: str, expression: Expression) -> Feature:
    check(expression, name=name)
    words = {"en": name, "zh": name}
    return Feature(name, name, "probe", "", words, words, words, expression)


def _probes() -> list[Feature]:
    """Return features that use every atom, on every relation and column it may read, whatever the catalogue uses."""
    found: list[Atom | Ratio] = [Decayed(7), Decayed(0.01), Decayed(90, where(direction=("inbound", "outbound")))]
    for name, columns in RELATIONS.items():
        of: Any = name
        text, number, time = columns["text"], columns["number"], columns["time"]
        found += [Count(of), Count(of, days=1), Count(of, days=365), Count(of, where(**{text[0]: "nothing"}))]
        found += [atom(of, column, days=30) for column in text for atom in (Distinct, TopShare)]
        for column in number:
            condition = where(currency="EUR") if column == "cost" else EVERYTHING
            found += [atom(of, column, condition) for atom in (Sum, Mean, Latest)]
        found += [atom(of, at=column) for column in time for atom in (Recency, Cadence)]
    found += [Recency("touches", days=7), Recency("deals", where(outcome="won"), at="opened_at")]
    found += [Gap(), Gap(where(direction="inbound")), Gap(days=30), Gap(where(touch_type="demo_request"), days=7)]
    found += [Waiting(), Waiting(where(direction="inbound")), Waiting(days=30), Waiting(where(channel="Email"), days=7)]
    found += [Latest("attributes", "value", where(field=field)) for field in streams.FIELDS[:3]]
    found += [Latest("attributes", "number", where(field="employees")), Latest("touches", "channel")]
    found += [Latest("stages", column, where(kind="new")) for column in RELATIONS["stages"]["number"]]
    found += [Latest("stages", "stage", where(kind=kind)) for kind in ("new", "expansion", "renewal")]
    found += [Latest("deals", "product"), Latest("deals", "loss_reason", where(outcome="lost"))]
    found += [
        Ratio(Count("touches", days=7), Count("touches", days=30), scale=30 / 7),
        Ratio(Decayed(7), Decayed(90)),
        Ratio(Sum("deals", "amount"), Mean("touches", "cost", where(currency="EUR"))),
        Ratio(Recency("touches"), Latest("stages", "rank", where(kind="new"))),
    ]
    return [_declared(f"probe_{place:03d}", expression) for place, expression in enumerate(found)]


CATALOGUE = Catalogue((*catalogue(AGREEMENT).features, *_probes()))
EXPRESSIONS = {feature.name: feature.expression for feature in CATALOGUE.features}
EVALUATOR = online.Evaluator(CATALOGUE)
PAIRS = tuple[tuple[str, int], ...]


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams.markets())
def test_batch_and_real_time_equal_a_naive_recomputation(market: streams.Market) -> None:
    pairs = tuple((account, moment) for moment in market.moments for account in streams.ACCOUNTS)
    expected = recomputed(market.raw, pairs)
    tables = streams.ledger_tables(market.raw)
    assert differences(expected, in_batch(tables, pairs), pairs) == []
    assert differences(expected, in_real_time(tables, pairs), pairs) == []


@settings(max_examples=5, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams.markets(own_links=True), st.integers(0, 10_000))
def test_any_order_of_arrival_gives_the_features_of_one_batch(
    empty_store: Path, market: streams.Market, seed: int
) -> None:
    pairs = tuple((account, moment) for moment in market.moments for account in streams.ACCOUNTS)
    expected = recomputed(market.raw, pairs)
    rows = [(table, row) for table, row in market.raw if table != "touch_links"]
    Random(seed).shuffle(rows)
    cuts = sorted(Random(seed).choices(range(len(rows) + 1), k=3))
    parts = [rows[begin:end] for begin, end in pairwise([0, *cuts, len(rows)])]
    with tempfile.TemporaryDirectory() as folder:
        shuffled, one = Path(folder) / "shuffled.db", Path(folder) / "one.db"
        for store, batches in ((shuffled, [*parts, parts[0]]), (one, [rows])):
            shutil.copy(empty_store, store)
            with Ledger.open(store) as ledger:
                for batch in batches:
                    assert not ledger.append(Batch(_by_table(batch))).rejected
                assert differences(expected, in_batch(ledger.tables(), pairs), pairs) == []
                by_account = {account: ledger.account_tables(account) for account in streams.ACCOUNTS}
                assert differences(expected, _in_real_time(by_account, pairs), pairs) == []


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("ledger") / "empty.db"
    with Ledger.open(store) as ledger:
        ledger.append(Batch({"accounts": [{"account_id": account} for account in streams.ACCOUNTS]}))
    return store


def _by_table(rows: streams.Raw) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for table, row in rows:
        found.setdefault(table, []).append(row)
    return found


def test_an_account_without_a_row_has_a_value_for_every_feature() -> None:
    pairs = (("a-empty", START),)
    tables = streams.ledger_tables([])
    assert differences(recomputed([], pairs), in_batch(tables, pairs), pairs) == []
    assert differences(recomputed([], pairs), in_real_time(tables, pairs), pairs) == []


@pytest.mark.parametrize(
    ("days", "shift", "count"), [(30, 0, 0.0), (30, -1, 1.0), (0, 0, 1.0), (0, -1, 0.0), (400, 0, 0.0)]
)
def test_a_window_excludes_its_start_and_includes_its_end(days: int, shift: int, count: float) -> None:
    raw = _one_touch(occurred_at=START, known_at=START)
    pairs = (("a-1", START + days * DAY + shift),)
    feature = _declared("touches_30d", Count("touches", days=30))
    tables = streams.ledger_tables(raw)
    assert offline.evaluate(relations.build(tables, AGREEMENT), ["a-1"], _as_of(pairs), Catalogue((feature,)))[
        "touches_30d"
    ].to_pylist() == [count]
    assert recomputed(raw, pairs, {"touches_30d": feature.expression}) == [{"touches_30d": count}]


def test_a_touch_learnt_late_is_counted_from_the_moment_it_was_known() -> None:
    raw = _one_touch(occurred_at=START, known_at=START + DAY)
    pairs = (("a-1", START + DAY - 1), ("a-1", START + DAY))
    tables = streams.ledger_tables(raw)
    counts = [row["probe_000"] > 0 for row in in_batch(tables, pairs)]
    assert counts == [False, True]
    assert differences(recomputed(raw, pairs), in_real_time(tables, pairs), pairs) == []


def test_all_three_agree_with_values_worked_out_by_hand() -> None:
    """One account: a reopened new cycle with a dollar deal, a person who became a champion, an answered request."""
    raw = [*_one_touch(occurred_at=START, known_at=START)]
    raw += _request(event_id="e-02", occurred_at=START + 10 * DAY, contact_id="c-1")
    raw += _request(event_id="e-03", occurred_at=START + 10 * DAY + 7_200_000_000, contact_id="c-1", reply_to="e-02")
    raw += [
        _fact("contact", "c-1", "role", "user", START),
        _fact("contact", "c-1", "role", "champion", START + 20 * DAY),
    ]
    raw += [_fact("contact", "c-1", "employer", "a-1", START), _fact("account", "a-1", "employees", "250", START)]
    raw += [_change("s-1", "sql", START + 5 * DAY), _change("s-2", "mql", START + 6 * DAY)]
    raw += [_deal("open", START + 12 * DAY), _deal("lost", START + 15 * DAY), _deal("open", START + 18 * DAY)]
    raw += [("fx_rates", {"currency": "USD", "date": START, "rate": 0.9, **_known(START)})]
    raw += [("fx_rates", {"currency": "USD", "date": START + 16 * DAY, "rate": 0.8, **_known(START + 30 * DAY)})]
    pairs = (("a-1", START + 30 * DAY),)
    worked: dict[str, float | str] = {
        "touches_30d": 2.0,  # the one at the start has just left the window
        "touches_90d": 3.0,
        "touches_days_since": 20 - 2 / 24,
        "new_stage": "deal",
        "new_stage_days": 12.0,
        "new_cycle_days": 30.0,  # the first inbound touch opened it
        "new_regressions": 1.0,
        "amount_open": 800.0,
        "champions_90d": 2.0,
        "response_hours_90d": 2.0,
        "employees": 250.0,
        "people_known": 1.0,
    }
    tables = streams.ledger_tables(raw)
    for way in (recomputed(raw, pairs), in_batch(tables, pairs), in_real_time(tables, pairs)):
        given = {name: way[0][name] for name in worked}
        assert not any(oracle.disagreement(worked[name], given[name], exact=False) for name in worked), given


def test_a_deal_is_converted_at_the_rate_of_its_day_from_when_that_rate_is_known() -> None:
    thousand_dollars = [_deal("open", START + 18 * DAY)]
    first, late = {"date": START, "rate": 0.9}, {"date": START + 16 * DAY, "rate": 0.8}
    after_the_deal = {"date": START + 19 * DAY, "rate": 0.5}
    corrected = {**late, "rate": 0.7, **_known(START + 40 * DAY), "revision": 2}
    rates = [
        first | _known(START + 20 * DAY),
        late | _known(START + 30 * DAY),
        after_the_deal | _known(START),
        corrected,
    ]
    raw = [*thousand_dollars, *(("fx_rates", {"currency": "USD", **rate}) for rate in rates)]
    days = {19: 0.0, 20: 900.0, 29: 900.0, 30: 800.0, 39: 800.0, 40: 700.0}
    pairs = tuple(("a-1", START + day * DAY) for day in days)
    tables = streams.ledger_tables(raw)
    for way in (recomputed(raw, pairs), in_batch(tables, pairs), in_real_time(tables, pairs)):
        assert [row["amount_open"] for row in way] == pytest.approx(list(days.values()))


def recomputed(
    raw: streams.Raw, pairs: PAIRS, expressions: Mapping[str, Expression] = EXPRESSIONS
) -> list[dict[str, Any]]:
    terms = oracle.Terms.of(AGREEMENT)
    return [oracle.values(raw, account, moment, expressions, terms) for account, moment in pairs]


def in_batch(tables: Mapping[str, pa.Table], pairs: PAIRS) -> list[dict[str, Any]]:
    accounts = [account for account, _ in pairs]
    table = offline.evaluate(relations.build(tables, AGREEMENT), accounts, _as_of(pairs), CATALOGUE)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def in_real_time(tables: Mapping[str, pa.Table], pairs: PAIRS) -> list[dict[str, Any]]:
    return _in_real_time({account: streams.account_tables(tables, account) for account, _ in pairs}, pairs)


def _in_real_time(by_account: Mapping[str, Mapping[str, pa.Table]], pairs: PAIRS) -> list[dict[str, Any]]:
    prepared = {
        account: EVALUATOR.prepare(relations.build(tables, AGREEMENT), account)
        for account, tables in by_account.items()
    }
    return [
        dict(zip(CATALOGUE.names, EVALUATOR.evaluate(prepared[account], moment), strict=True))
        for account, moment in pairs
    ]


def differences(
    expected: Sequence[Mapping[str, Any]], actual: Sequence[Mapping[str, Any]], pairs: PAIRS
) -> list[tuple[Any, ...]]:
    """Return (account, days since the start, feature, expected, actual) of every value that differs."""
    assert len(expected) == len(actual) == len(pairs)
    return [
        (account, (moment - START) / DAY, name, EXPRESSIONS[name], row[name], other[name])
        for row, other, (account, moment) in zip(expected, actual, pairs, strict=True)
        for name in EXPRESSIONS
        if oracle.disagreement(row[name], other[name], exact=isinstance(EXPRESSIONS[name], Count | Distinct | Latest))
    ]


def _as_of(pairs: PAIRS) -> np.ndarray:
    return np.array([moment for _, moment in pairs], dtype=np.int64)


def _known(at: int) -> dict[str, Any]:
    return {"known_at": at, "revision": 1, "deleted": False}


def _request(**columns: Any) -> streams.Raw:
    (_, touch), _ = _one_touch(occurred_at=columns["occurred_at"], known_at=columns["occurred_at"])
    touch = touch | columns
    return [("touchpoints", touch), ("touch_links", streams.own_link(touch))]


def _fact(entity: str, owner: str, field: str, value: str, at: int) -> tuple[str, dict[str, Any]]:
    fact = {"entity": entity, "id": owner, "field": field, "value": value, "occurred_at": at}
    return "attributes", {**fact, **_known(at)}


def _change(change: str, stage: str, at: int) -> tuple[str, dict[str, Any]]:
    row = {"change_id": change, "account_id": "a-1", "cycle_id": "a-1:new:1", "kind": "new", "stage": stage}
    return "stage_changes", {**row, "occurred_at": at, **_known(at)}


def _deal(outcome: str, at: int) -> tuple[str, dict[str, Any]]:
    row: dict[str, Any] = {
        "deal_id": "d-1",
        "account_id": "a-1",
        "cycle_id": "a-1:new:1",
        "kind": "new",
        "product": None,
    }
    row |= {"amount": 100_000, "currency": "USD", "outcome": outcome, "loss_reason": None, "owner_id": None}
    return "deals", {**row, "occurred_at": at, **_known(at)}


def _one_touch(*, occurred_at: int, known_at: int) -> streams.Raw:
    touch: dict[str, Any] = {
        "source": "web",
        "event_id": "e-01",
        "occurred_at": occurred_at,
        "account_id": "a-1",
        "contact_id": None,
    }
    touch |= {"touch_type": "page_view", "direction": "inbound", "channel": "Direct", "content_stage": "tofu"}
    touch |= {"revision": 1, "known_at": known_at, "deleted": False}
    return [("touchpoints", touch), ("touch_links", streams.own_link(touch))]
