from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from features.errors import NotEnoughDataError
from features.labels import Cases
from features.ledger import Ledger
from features.relations import build
from smarketing import app
from training.asking import DELAYS, Asked, ask, declared_weights, event_moments
from training.config import load_config
from training.dataset import build_dataset
from training.plan import Plan

UNLIMITED = ("data.max_train=1000000", "data.max_test=1000000")


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """The tables, relations and cases of sql_30d of a simulated market."""
    folder = tmp_path_factory.mktemp("market")
    store = str(folder / "market.db")
    for arguments in (
        ("simulate", "--accounts", "100", "--months", "12", "--until", "2026-11-01", "--out", str(folder / "files")),
        ("ingest", str(folder / "files"), "--store", store),
    ):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    agreement, config = load_config(None, goal="sql_30d")
    with Ledger.open(store) as ledger:
        tables = ledger.tables()
    relations = build(tables, agreement)
    return tables, relations, Cases.of(tables, relations, agreement, config.goal)


@pytest.fixture(scope="module")
def asked(market):
    """Return a function from settings to the snapshots of the market."""

    def choose(*settings: str, seed: int = 0) -> Asked:
        tables, relations, cases = market
        config = load_config(None, goal="sql_30d", settings=[*UNLIMITED, *settings], seed=seed)[1]
        return ask(cases, tables, relations, config, 0)

    return choose


def share(found: Asked, rows) -> float:
    return float(found.weight[rows & found.is_event].sum() / found.weight[rows].sum())


def keys(found: Asked, rows) -> set[tuple[int, int]]:
    return set(zip(found.pairs.account[rows].tolist(), found.pairs.as_of[rows].tolist(), strict=True))


@pytest.mark.parametrize("declared", [0.1, 0.25])
def test_grid_and_events_stand_as_declared_in_training_and_test(asked, declared):
    found = asked(f"snapshots.event_share={declared}")
    for rows in (found.split.train, found.split.test):
        assert share(found, rows) == pytest.approx(declared)
        assert found.is_event[rows].mean() == pytest.approx(declared, abs=0.01)
        assert found.weight[rows].mean() == pytest.approx(1.0)


def test_weights_make_up_for_events_that_are_too_few(asked):
    found = asked("snapshots.event_share=0.95")
    rows = found.split.test
    assert found.is_event[rows].mean() < 0.9
    assert share(found, rows) == pytest.approx(0.95)


def test_a_share_of_0_leaves_the_grid_alone(market, asked):
    found = asked("snapshots.event_share=0")
    _, _, cases = market
    config = load_config(None, goal="sql_30d")[1]
    assert not found.is_event.any()
    assert np.array_equal(found.weight, np.ones(len(found.weight)))
    assert np.isin(found.pairs.as_of, Plan.of(config, 0, cases.data_until).grid).all()


def test_the_test_may_have_another_share_than_training(asked):
    found = asked("snapshots.event_share=0.5", "split.test_event_share=0")
    assert not found.is_event[found.split.test].any()
    assert share(found, found.split.train) == pytest.approx(0.5)
    grid = asked("snapshots.event_share=0")
    assert keys(found, found.split.test) == keys(grid, grid.split.test)


def test_events_are_asked_about_some_minutes_after_they_became_visible(market, asked):
    tables, relations, cases = market
    found = asked()
    happened = event_moments(tables, relations)
    waited = []
    for account, as_of in keys(found, found.is_event):
        since = (as_of - happened.as_of[happened.account == account]) / 60e6
        waited.append(since[(since >= DELAYS[0]) & (since <= DELAYS[1])])
    assert min(map(len, waited)) > 0
    assert 4 < np.median(np.concatenate(waited)) < 15
    assert cases.applies(found.pairs).all()
    late = tables["account_touches"]["known_from"].to_numpy() > tables["account_touches"]["occurred_at"].to_numpy()
    assert np.isin(tables["account_touches"]["known_from"].to_numpy()[late], happened.as_of).mean() > 0.99


def test_what_is_entered_with_an_event_is_known_when_somebody_asks(market, asked):
    _, relations, _ = market
    found = asked()
    stages = relations.tables["stages"]
    changed = set(zip(stages["account"].to_pylist(), stages["valid_from"].to_pylist(), strict=True))
    soon = {(account, as_of) for account, as_of in changed for as_of in (as_of, as_of - 1)}
    assert not keys(found, found.is_event) & soon


def test_too_few_outcomes_are_refused_with_a_way_out(market):
    tables, _, _ = market
    for settings, hint in (
        (["data.min_positives=9999"], "data.min_positives="),
        (["split.test_from=2025-12-01"], "later"),
    ):
        agreement, config = load_config(None, goal="sql_30d", settings=[*UNLIMITED, *settings])
        with pytest.raises(NotEnoughDataError) as refused:
            build_dataset(tables, agreement, config)
        assert hint in str(refused.value.hint)


def test_events_are_purged_and_censored_like_the_grid(market, asked):
    _, _, cases = market
    found = asked()
    as_of, split = found.pairs.as_of, found.split
    assert as_of[split.train].max() + cases.horizon + cases.lag < as_of[split.test].min()
    assert as_of[found.is_event].max() + cases.horizon + cases.lag <= cases.data_until
    assert found.counts.purged > 0
    assert found.counts.censored > 0


def test_no_snapshot_is_there_twice_and_they_are_sorted(asked):
    found = asked()
    every = list(zip(found.pairs.account.tolist(), found.pairs.as_of.tolist(), strict=True))
    assert every == sorted(set(every))


def test_limits_hold_for_grid_and_events_together(asked):
    found = asked("data.max_train=400", "data.max_test=200", "snapshots.event_share=0.25")
    counts = found.counts
    assert (counts.train, counts.test) == (400, 200)
    assert int(found.is_event[found.split.train].sum()) == 100
    assert counts.train + counts.test + counts.purged + counts.censored + counts.sampled_out == counts.eligible


def test_the_same_seed_draws_the_same_and_another_seed_others(asked):
    few = "snapshots.event_share=0.1"
    first, again, other = asked(few), asked(few), asked(few, seed=1)
    assert keys(first, first.is_event) == keys(again, again.is_event)
    assert keys(first, first.is_event) != keys(other, other.is_event)


def test_folds_keep_the_events_of_an_account_with_its_grid(asked):
    judged = []
    for fold in range(3):
        found = asked("split.kind=folds", "split.folds=3", f"split.fold={fold}")
        train, test = (set(found.pairs.account[rows].tolist()) for rows in (found.split.train, found.split.test))
        assert train.isdisjoint(test)
        assert found.is_event[found.split.test].any()
        judged.append(test)
    assert sum(map(len, judged)) == len(set.union(*judged)) == len(train | test)


@given(is_event=st.lists(st.booleans(), min_size=1, max_size=50), declared=st.floats(0.01, 0.99))
def test_weights_have_mean_1_and_are_positive(is_event, declared):
    weight = declared_weights(np.array(is_event), declared)
    assert weight.mean() == pytest.approx(1.0)
    assert (weight > 0).all()
