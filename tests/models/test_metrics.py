from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from features.errors import NotEnoughDataError
from models import metrics

rows = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.7, 0.9]), st.floats(0.1, 5)),
    min_size=4,
    max_size=40,
).filter(lambda drawn: len({y for y, _, _ in drawn}) == 2)


def _columns(drawn):
    return (np.array(column) for column in zip(*drawn, strict=True))


@given(rows)
def test_measures_agree_with_scikit_learn_whatever_the_ties_and_weights(drawn):
    y, p, w = _columns(drawn)
    logit = np.log(p / (1 - p))
    for weights in (None, w):
        assert metrics.auc(y, p, weights) == pytest.approx(roc_auc_score(y, p, sample_weight=weights), abs=1e-12)
        assert metrics.pr_auc(y, p, weights) == pytest.approx(average_precision_score(y, p, sample_weight=weights))
        assert metrics.brier(y, p, weights) == pytest.approx(brier_score_loss(y, p, sample_weight=weights))
        assert metrics.log_loss(y, logit, weights) == pytest.approx(sklearn_log_loss(y, p, sample_weight=weights))


@given(rows, st.randoms())
def test_no_measure_depends_on_the_order_of_rows(drawn, random):
    shuffled = random.sample(drawn, len(drawn))
    for measure in (metrics.auc, metrics.pr_auc, metrics.ece, metrics.brier_skill):
        before, after = (measure(*_columns(one)) for one in (drawn, shuffled))
        assert before == pytest.approx(after, abs=1e-12, rel=1e-12)


@given(rows)
def test_a_weight_of_two_is_two_rows(drawn):
    y, p, _ = _columns(drawn)
    twice = np.arange(len(y)) % 2 + 1
    repeated = np.repeat(np.arange(len(y)), twice)
    for measure in (metrics.auc, metrics.pr_auc, metrics.ece, metrics.brier):
        assert measure(y, p, twice) == pytest.approx(measure(y[repeated], p[repeated]), abs=1e-12)


def test_ece_by_hand_with_one_row_in_each_bin():
    p = np.arange(10) / 10 + 0.05
    y = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert metrics.ece(y, p) == pytest.approx(np.mean(np.abs(p - y)))


def test_a_tie_across_bins_is_shared():
    table = metrics.reliability([1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], bins=2)
    assert [(row.weight, row.predicted, row.observed) for row in table] == [(2.0, 0.25, 0.25)] * 2
    assert metrics.ece([1, 0, 0, 0], [0.25] * 4) == pytest.approx(0, abs=1e-15)


def test_brier_skill_of_the_base_rate_is_zero():
    assert metrics.brier_skill([0, 0, 0, 1], [0.25] * 4) == pytest.approx(0)
    assert metrics.brier_skill([0, 1], [0.0, 1.0]) == 1


def test_lift_and_precision_by_hand():
    y, score = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], np.linspace(1, 0, 10)
    assert metrics.lift_at(y, score, 0.1) == pytest.approx(5)
    assert metrics.precision_at(y, score, 4) == 0.5
    assert metrics.precision_at(y, score, 100) == 0.2
    with pytest.raises(ValueError, match="`capacity` must be a positive"):
        metrics.precision_at(y, score, 0)


def test_the_ece_floor_covers_a_calibrated_model_and_not_a_wrong_one():
    random = np.random.default_rng(0)
    p = random.uniform(0.05, 0.6, 4000)
    y = random.random(4000) < p
    floor = metrics.ece_floor(p, draws=200)
    assert 0.3 * floor.median < metrics.ece(y, p) < floor.upper * 1.3
    assert metrics.ece(y, p / 2) > 3 * floor.upper


def test_rows_of_one_account_raise_the_ece_floor():
    p = np.random.default_rng(0).uniform(0.05, 0.6, 2000)
    own = metrics.ece_floor(p, draws=200)
    shared = metrics.ece_floor(p, np.arange(2000) // 40, draws=200)
    assert shared.median > 1.5 * own.median


def test_the_ece_floor_does_not_depend_on_the_order_of_rows():
    p = np.random.default_rng(0).uniform(0.05, 0.6, 300).round(2)
    order = np.random.default_rng(1).permutation(300)
    accounts = np.arange(300) // 3
    first = metrics.ece_floor(p, accounts, draws=50)
    second = metrics.ece_floor(p[order], accounts[order], draws=50)
    assert (first.median, first.upper) == pytest.approx((second.median, second.upper))


def test_a_clustered_error_counts_accounts_not_rows():
    values = np.random.default_rng(0).normal(size=100)
    mean, error = metrics.clustered_mean(values, np.arange(100))
    assert (mean, error) == pytest.approx((values.mean(), values.std(ddof=1) / 10))
    assert metrics.clustered_mean(np.repeat(values, 5), np.repeat(np.arange(100), 5)) == pytest.approx((mean, error))


def test_too_little_data_is_said():
    for call in (
        lambda: metrics.auc([1, 1], [0.1, 0.2]),
        lambda: metrics.brier([], []),
        lambda: metrics.pr_auc([0], [1]),
    ):
        with pytest.raises(NotEnoughDataError):
            call()
    with pytest.raises(ValueError, match="one length"):
        metrics.brier([1, 0], [0.5])


def test_extreme_log_odds_have_finite_losses_and_probabilities():
    assert metrics.log_loss([1, 0], [-800.0, 800.0]) == 800.0
    assert metrics.sigmoid([-1e308, 1e308]).tolist() == [0.0, 1.0]


def test_the_summary_names_every_measure(market):
    logit = np.log(market.truth / (1 - market.truth))
    measures = metrics.summary(market.y, logit, accounts=market.accounts, capacity=50)
    assert set(measures) >= {"auc", "pr_auc", "brier", "brier_skill", "log_loss", "ece", "ece_floor_95", "lift_at_10"}
    assert measures["precision_at_capacity"] > measures["base_rate"] > 0


def test_the_calibration_line_agrees_with_scikit_learn(market):
    logit = 0.7 * np.log(market.truth / (1 - market.truth)) + 0.2
    w = np.random.default_rng(0).uniform(0.2, 3, len(logit))
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(logit[:, None], market.y, sample_weight=w)
    slope, intercept = metrics.calibration_line(market.y, logit, w)
    assert (slope, intercept) == pytest.approx((reference.coef_[0, 0], reference.intercept_[0]), rel=1e-4)


def test_log_odds_twice_too_extreme_have_half_the_slope(market):
    logit = np.log(market.truth / (1 - market.truth))
    slope, intercept = metrics.calibration_line(market.y, logit)
    assert metrics.calibration_line(market.y, 2 * logit) == pytest.approx((slope / 2, intercept))
    assert slope == pytest.approx(1, abs=0.2)


def test_no_calibration_line_where_log_odds_are_equal_or_separate_the_classes():
    for y, logit in (([0, 1], [1.0, 1.0]), ([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0]), ([1, 1], [0.0, 1.0])):
        with pytest.raises(NotEnoughDataError):
            metrics.calibration_line(y, logit)
    assert "calibration_slope" not in metrics.summary([0, 1, 0, 1], [1.0] * 4)


def test_every_row_is_shared_out_among_the_bins_and_every_bin_is_full():
    random = np.random.default_rng(0)
    member = metrics.bin_members(random.integers(0, 5, 40), w := random.uniform(0.1, 2, 40))
    assert member.sum(axis=1) == pytest.approx(np.ones(40))
    assert w @ member == pytest.approx(np.full(10, w.sum() / 10))
