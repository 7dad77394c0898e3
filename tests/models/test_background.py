from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.background import percentile, quantiles
from tests.models.conftest import background_of


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.floats(-150, 150), st.floats(-150, 150))
def test_percentiles_are_shares_and_never_fall(sample, one, other):
    grid = quantiles(sample)
    low, high = percentile(grid, sorted([one, other]))
    assert 0 <= low <= high <= 1


def test_percentiles_of_a_large_sample_are_its_mid_ranks():
    sample = np.random.default_rng(0).normal(size=5000)
    ranks = (np.argsort(np.argsort(sample)) + 0.5) / 5000
    assert percentile(quantiles(sample), sample) == pytest.approx(ranks, abs=0.002)


@given(st.integers(1, 200), st.integers(1, 200))
def test_equal_scores_get_their_mid_rank(low, high):
    grid = quantiles([0.0] * low + [1.0] * high)
    assert percentile(grid, [0.0])[0] == pytest.approx(low / (low + high) / 2, abs=0.003)
    assert percentile(grid, [1.0])[0] == pytest.approx((low + high / 2) / (low + high), abs=0.003)


def test_the_percentiles_are_those_of_each_accounts_latest_snapshot(ladder, market):
    rung = ladder.rungs["lightgbm"]
    latest = [
        max(np.flatnonzero(market.accounts == account), key=lambda row: market.as_of[row])
        for account in sorted(set(market.accounts))
    ]
    background = background_of(rung, market)
    assert background.margins == pytest.approx(quantiles(rung.fit.margins[latest]))
    added = rung.fit.contributions(market.X, np.array(latest))
    assert background.sides["fit"] == pytest.approx(quantiles(added[:, [5, 6]].sum(axis=1)))
    assert background.sides["engagement"] == pytest.approx(quantiles(added[:, [2, 3, 4]].sum(axis=1)))


def test_drift_is_described_for_numbers_and_categories(ladder, market):
    drift = background_of(ladder.rungs["logistic"], market).drift
    assert drift["employees"]["missing"] == pytest.approx(np.isnan(market.X[:, 6]).mean())
    assert len(drift["employees"]["deciles"]) == 11
    assert sum(drift["country"]["shares"].values()) + drift["country"]["missing"] == pytest.approx(1)


def test_the_base_rate_is_that_of_the_labels(ladder, market):
    background = background_of(ladder.rungs["base_rate"], market)
    assert background.base_rate == pytest.approx(market.y.mean())
