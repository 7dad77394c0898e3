from __future__ import annotations

import numpy as np
import pytest

from features.errors import NotEnoughDataError
from models import metrics
from models.bootstrap import Bootstrap, Estimate

ACCOUNTS = 80


def drawn_rows(seed: int, rows: int = 6):
    """Return log-odds, labels and accounts of a calibrated model; the rows of an account come out together."""
    random = np.random.default_rng(seed)
    account = np.repeat(np.arange(ACCOUNTS), rows)
    logit = random.normal(-0.5, 1.0, ACCOUNTS)[account] + random.normal(0, 0.5, len(account)).round(1)
    y = (random.random(ACCOUNTS)[account] < metrics.sigmoid(logit)).astype(float)
    return logit, y, account


@pytest.fixture(scope="module")
def rows():
    return drawn_rows(0)


def test_every_draw_is_the_measure_of_the_accounts_it_took(rows):
    logit, y, account = rows
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y))
    drawn = Bootstrap.of(y, account, weights, draws=3)
    measured = drawn.measure(logit, capacity=40)
    for draw, counts in enumerate(drawn.counts):
        w = counts[drawn.account] * weights
        expected = metrics.summary(y, logit, weights=w, capacity=40 * w.sum() / weights.sum())
        for name in set(measured.draws) - {"calibration_slope", "calibration_intercept"}:
            assert measured.draws[name][draw] == pytest.approx(expected[name], abs=1e-12), name


def test_one_newton_step_a_draw_gives_the_spread_of_the_calibration_line(rows):
    logit, y, account = rows
    drawn = Bootstrap.of(y, account, draws=100)
    exact = np.std([metrics.calibration_line(y, logit, row[drawn.account]) for row in drawn.counts], axis=0)
    step = drawn.measure(logit).draws
    assert np.std(step["calibration_slope"]) == pytest.approx(exact[0], rel=0.12)
    assert np.std(step["calibration_intercept"]) == pytest.approx(exact[1], rel=0.12)


def test_the_values_are_those_of_all_rows_and_every_measure_but_counts_and_floors_has_an_interval(rows):
    logit, y, account = rows
    estimates = Bootstrap.of(y, account).measure(logit, capacity=40).estimates()
    assert {name: one.value for name, one in estimates.items()} == metrics.summary(
        y, logit, accounts=account, capacity=40
    )
    without = {name for name, one in estimates.items() if one.low is None}
    assert without == {"rows", "ece_floor_median", "ece_floor_95"}
    assert all(one.bounds[0] <= one.value <= one.bounds[1] for one in estimates.values())


def test_intervals_hold_the_truth_as_often_as_they_say_and_only_when_accounts_are_drawn():
    truth = np.mean([metrics.brier(y, metrics.sigmoid(logit)) for logit, y, _ in map(drawn_rows, range(1000, 1400))])
    held = {"accounts": 0.0, "rows": 0.0}
    for seed in range(150):
        logit, y, account = drawn_rows(seed)
        for kind, groups in (("accounts", account), ("rows", np.arange(len(y)))):
            square = (metrics.sigmoid(logit) - y) ** 2
            one = Bootstrap.of(y, groups, draws=100, seed=seed).mean(square)
            held[kind] += bool(one.bounds[0] <= truth <= one.bounds[1])
    assert 0.82 <= held["accounts"] / 150 <= 0.97
    assert held["rows"] / 150 < 0.7


def test_paired_intervals_are_narrower_and_tell_the_better_from_the_worse(rows):
    logit, y, account = rows
    drawn = Bootstrap.of(y, account)
    good, poor = drawn.measure(logit), drawn.measure(logit + np.random.default_rng(2).normal(0, 0.6, len(y)))
    difference = good.minus(poor)["log_loss"]
    assert difference.value == pytest.approx(good.values["log_loss"] - poor.values["log_loss"])
    assert difference.excludes_zero and difference.bounds[1] < 0
    assert difference.half < 0.6 * good.estimates()["log_loss"].half


def test_a_model_does_not_differ_from_itself(rows):
    logit, y, account = rows
    drawn = Bootstrap.of(y, account, draws=50)
    for one in drawn.measure(logit).minus(drawn.measure(logit)).values():
        assert (one.value, one.low, one.high) == (0, 0, 0)
        assert not one.excludes_zero


def test_the_same_seed_gives_the_same_draws_and_another_seed_others(rows):
    logit, y, account = rows
    first, again, other = (
        Bootstrap.of(y, account, draws=20, seed=seed).measure(logit).estimates()["auc"] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_constant_has_no_calibration_line_and_a_certain_auc(rows):
    _, y, account = rows
    estimates = Bootstrap.of(y, account, draws=20).measure(np.zeros(len(y))).estimates()
    assert "calibration_slope" not in estimates
    assert (estimates["auc"].low, estimates["auc"].high) == (0.5, 0.5)


def test_rates_and_lifts_are_those_of_the_measures_with_intervals_around_them(rows):
    logit, y, account = rows
    drawn = Bootstrap.of(y, account)
    rates = drawn.rates(metrics.bin_members(logit))
    assert [one.value for one in rates] == pytest.approx([one.observed for one in metrics.reliability(y, logit)])
    lifts = drawn.lifts(logit, np.array([0.1, 0.5, 1.0]))
    assert lifts[0].value == pytest.approx(metrics.lift_at(y, logit, 0.1))
    assert lifts[0].half > lifts[1].half > 0
    assert lifts[2].half == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("winners", [1, 3, 8])
def test_a_handful_of_winning_accounts_still_gives_intervals(winners):
    account = np.repeat(np.arange(100), 4)
    y = (account < winners).astype(float)
    logit = np.random.default_rng(winners).normal(size=len(y)) + y
    drawn = Bootstrap.of(y, account)
    estimates = drawn.measure(logit, capacity=20).estimates()
    for name in ("auc", "pr_auc", "brier", "log_loss", "ece", "lift_at_10", "precision_at_capacity"):
        assert estimates[name].low is not None
    assert all(row[drawn.account][y > 0].any() for row in drawn.counts)
    assert set(drawn.measure(-logit).minus(drawn.measure(logit))) >= {"auc", "brier", "log_loss"}


def test_rows_of_one_class_can_not_be_measured():
    with pytest.raises(NotEnoughDataError):
        Bootstrap.of([1, 1], ["a", "b"]).measure([0.1, 0.2])


def test_an_estimate_without_an_interval_excludes_nothing():
    assert not Estimate(3.0).excludes_zero
    assert Estimate(3.0).half == 0
    assert Estimate.of(0.9, 0.2, 0.0, 1.0).high == 1.0
