from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.agreement import Grades
from features.errors import BundleError
from models.bundle import load_bundle
from models.calibration import Platt
from models.explain import Explainer, points_per_logit, score_of
from models.metrics import sigmoid
from models.propensity import LogisticScorer, Terms
from models.value import fit_value
from tests.models.conftest import CATALOGUE

GRADES = Grades(a=0.9, b=0.7, c=0.4)
logits = st.floats(-40, 40)


def _explainer(bundle) -> Explainer:
    return Explainer(bundle, CATALOGUE.features, GRADES)


def _linear(coefficient, base=0.0) -> LogisticScorer:
    terms = Terms(np.arange(7), ("log",) * 7, np.zeros(7), np.zeros(7), np.ones(7))
    return LogisticScorer("logistic", 7, terms, np.asarray(coefficient, dtype=float), np.zeros(7), base)


def _assert_adds_up(explained):
    points = [one.percentage_points for one in explained.contributions]
    assert explained.base_logit + sum(one.logit for one in explained.contributions) == pytest.approx(
        explained.logit, abs=1e-9
    )
    assert abs(100 * explained.base_probability + sum(points) - 100 * explained.probability) <= 1e-9
    listed, rest = explained.largest(3)
    assert sum(one.logit for one in listed) + rest.logit + explained.base_logit == pytest.approx(
        explained.logit, abs=1e-9
    )
    for groups in (explained.by_concept(), explained.by_family()):
        moved = 100 * (explained.probability - explained.base_probability)
        assert math.fsum(points for _, points in groups.values()) == pytest.approx(moved, abs=1e-9)


def test_explanations_of_every_rung_add_up_to_the_score(saved, market):
    bundle = load_bundle(saved)
    explainer = _explainer(bundle)
    explained = explainer.explain_batch(market.values[:200], market.X[:200])
    for one, logit in zip(explained, bundle.logit(market.X[:200]), strict=True):
        _assert_adds_up(one)
        assert one.logit == pytest.approx(logit, abs=1e-9)
        assert one.base_logit == pytest.approx(bundle.base_logit, abs=1e-9)


@given(
    st.lists(st.floats(-30, 30), min_size=7, max_size=7), st.floats(-30, 30), st.floats(0.01, 3), st.floats(-5, 5),
    st.lists(st.none() | st.floats(-1e6, 1e6), min_size=7, max_size=7),
)  # fmt: skip
def test_explanations_of_random_models_add_up_however_extreme(base_bundle, coefficient, base, a, b, values):
    bundle = dataclasses.replace(base_bundle, scorer=_linear(coefficient, base), calibration=Platt(a, b))
    row = np.array([math.nan if value is None else value for value in values])
    _assert_adds_up(_explainer(bundle).explain(values, row))


@pytest.fixture(scope="module")
def base_bundle(boosted):
    return load_bundle(boosted)


def test_at_the_reference_account_nothing_is_added(base_bundle):
    bundle = dataclasses.replace(base_bundle, scorer=_linear(np.zeros(7), -1.0), calibration=Platt(1.0, 0.0))
    explained = _explainer(bundle).explain([0.0] * 7, np.zeros(7))
    assert explained.probability == explained.base_probability == pytest.approx(float(sigmoid(-1.0)))
    assert {one.percentage_points for one in explained.contributions} == {0.0}
    assert explained.up == explained.down == ()


def test_contributions_that_cancel_have_the_limit_of_the_ratio(base_bundle):
    bundle = dataclasses.replace(base_bundle, scorer=_linear([1, -1, 0, 0, 0, 0, 0], -1.0), calibration=Platt(1.0, 0.0))
    explained = _explainer(bundle).explain([2.0, 2.0, 0, 0, 0, 0, 0], np.array([2.0, 2.0, 0, 0, 0, 0, 0]))
    p0 = explained.base_probability
    up = next(one for one in explained.contributions if one.logit > 0)
    assert up.percentage_points == pytest.approx(100 * p0 * (1 - p0) * up.logit)


@given(logits, logits)
def test_the_ratio_is_the_slope_between_two_log_odds(L, L0):
    ratio = float(points_per_logit(L, L0))
    assert 0 <= ratio <= 0.25 + 1e-15
    assert ratio * (L - L0) == pytest.approx(float(sigmoid(L) - sigmoid(L0)), abs=1e-14)
    if abs(L - L0) > 0.1:
        assert ratio == pytest.approx(float((sigmoid(L) - sigmoid(L0)) / (L - L0)), rel=1e-9, abs=1e-15)


@given(logits, st.floats(-1e-7, 1e-7))
def test_the_ratio_is_smooth_where_the_two_meet(L0, d):
    p0 = float(sigmoid(L0))
    assert float(points_per_logit(L0 + d, L0)) == pytest.approx(p0 * float(sigmoid(-L0)), rel=1e-6)


def test_one_row_is_explained_as_in_a_batch(boosted, market):
    explainer = _explainer(load_bundle(boosted))
    batch = explainer.explain_batch(market.values[:20], market.X[:20])
    for values, expected in zip(market.values[:20], batch, strict=True):
        one = explainer.explain(values)
        assert one.logit == pytest.approx(expected.logit, abs=1e-12)
        assert (one.score, one.grade, one.sides) == (expected.score, expected.grade, expected.sides)
        assert [r.code for r in one.up + one.down] == [r.code for r in expected.up + expected.down]


def test_contributions_carry_raw_values_largest_first(boosted, market):
    explained = _explainer(load_bundle(boosted)).explain(market.values[0])
    sizes = [abs(one.logit) for one in explained.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert {one.feature: one.value for one in explained.contributions} == dict(
        zip(market.table.column_names, market.values[0], strict=True)
    )
    assert (len(explained.contributions), explained.largest(3)[1].features) == (7, 4)


def test_nan_is_told_as_missing(boosted):
    explained = _explainer(load_bundle(boosted)).explain(["sql", math.nan, 1.0, 1.0, None, None, math.nan])
    assert [one.value for one in explained.contributions if one.feature == "employees"] == [None]


def test_reasons_are_per_concept_and_in_both_languages(base_bundle):
    # visits_7d and visits_decayed are one concept: +2 ln 2 and -ln 2 / 2 make one reason, told by the larger.
    scorer = _linear([0, 0, 2.0, -0.5, 0, 0, -1.0])
    bundle = dataclasses.replace(base_bundle, scorer=scorer, calibration=Platt(1.0, 0.0))
    explained = _explainer(bundle).explain([None, 0.0, 1.0, 1.0, 0.0, None, 1.0], np.array([0, 0, 1.0, 1.0, 0, 0, 1.0]))
    assert [(reason.code, reason.texts) for reason in explained.up] == [
        ("visits", {"en": "visits_7d is 1", "zh": "visits_7d 为 1"})
    ]
    assert [reason.code for reason in explained.down] == ["size"]
    assert explained.up[0].percentage_points == pytest.approx(explained.by_concept()["visits"][1])


def test_reasons_are_few_strong_and_ordered(base_bundle):
    bundle = dataclasses.replace(
        base_bundle, scorer=_linear([1.0, 2.0, 0.5, 0.0, 0.4, 0.001, 3.0]), calibration=Platt(1.0, -5.0)
    )
    explained = _explainer(bundle).explain([1.0] * 7, np.ones(7))
    assert [reason.code for reason in explained.up] == ["size", "calls_made", "stage"]
    assert all(reason.percentage_points >= 0.5 for reason in explained.up)
    assert explained.down == ()


def test_scores_grades_and_sides_follow_the_percentiles(boosted, market):
    bundle = load_bundle(boosted)
    explained = _explainer(bundle).explain_batch(market.values, market.X)
    assert all(1 <= one.score <= 99 and one.grade == GRADES.grade(one.percentile) for one in explained)
    order = np.argsort([one.logit for one in explained])
    ranks = np.array([one.percentile for one in explained])[order]
    assert (np.diff(ranks) >= 0).all()
    assert set(explained[0].sides) == {"fit", "engagement"}
    visits = market.X[:, 2]
    engagement = np.array([one.sides["engagement"] for one in explained])
    assert engagement[visits >= 4].mean() > engagement[visits == 0].mean() + 30


def test_the_interval_holds_the_probability_and_is_that_of_the_band(boosted, market):
    bundle = load_bundle(boosted)
    assert bundle.calibration.band is not None
    widths = bundle.calibration.band.at(bundle.scorer.margin(market.X[:50]))
    for one, half in zip(_explainer(bundle).explain_batch(market.values[:50], market.X[:50]), widths, strict=True):
        assert one.interval is not None
        low, high = one.interval
        assert 0 < low < one.probability < high < 1
        assert [low, high] == pytest.approx(sigmoid([one.logit - half, one.logit + half]).tolist())


def test_without_a_band_there_is_no_interval(base_bundle):
    bundle = dataclasses.replace(base_bundle, calibration=Platt(1.0, 0.0))
    assert _explainer(bundle).explain([None] * 7).interval is None


def test_the_value_of_a_win_is_said_where_amounts_are_known(base_bundle, market):
    amount = np.where(market.y > 0, np.exp(9 + 0.1 * market.X[:, 5]), np.nan)
    value = fit_value(market.X, amount, market.accounts, market.encoding, CATALOGUE.features, currency="EUR", seed=0)
    explained = _explainer(dataclasses.replace(base_bundle, value=value)).explain(market.values[0])
    found = explained.value
    assert found is not None
    assert found.expected_revenue == pytest.approx(explained.probability * found.amount)
    assert found.low < found.amount < found.high
    assert _explainer(base_bundle).explain(market.values[0]).value is None


def test_a_recalibration_moves_probabilities_and_not_scores(boosted, market):
    bundle = load_bundle(boosted)
    moved = dataclasses.replace(bundle, calibration=Platt(0.7 * bundle.calibration.a, bundle.calibration.b - 1, 1))
    before, after = (_explainer(one).explain(market.values[0]) for one in (bundle, moved))
    assert after.probability < before.probability
    assert (before.score, before.sides) == (after.score, after.sides)


def test_a_feature_that_is_gone_is_said(boosted):
    with pytest.raises(BundleError, match="no longer declared: new_stage"):
        Explainer(load_bundle(boosted), CATALOGUE.features[1:], GRADES)


def test_contributions_that_do_not_sum_are_refused(base_bundle, market):
    class Lying(LogisticScorer):
        def margin(self, X):
            return super().margin(X) + 1e-6

    honest = _linear(np.ones(7))
    lying = Lying(*(getattr(honest, field.name) for field in dataclasses.fields(honest)))
    with pytest.raises(BundleError, match="do not sum"):
        _explainer(dataclasses.replace(base_bundle, scorer=lying)).explain(market.values[0])


@pytest.mark.parametrize(("rank", "score"), [(0.0, 1), (0.004, 1), (0.5, 50), (0.999, 99), (1.0, 99)])
def test_the_score_is_the_percentile_from_1_to_99(rank, score):
    assert score_of(rank) == score
