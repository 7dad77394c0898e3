from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BundleError, NotEnoughDataError
from models.calibration import SMALLEST_SLOPE, Platt, fit_platt
from models.metrics import sigmoid


@settings(max_examples=30)
@given(st.floats(0.2, 4), st.floats(-3, 3), st.integers(0, 2**32 - 1))
def test_it_recovers_the_line_that_made_the_labels(a, b, seed):
    random = np.random.default_rng(seed)
    margin = random.normal(size=20_000)
    fitted = fit_platt(margin, random.random(20_000) < sigmoid(a * margin + b))
    assert fitted.a == pytest.approx(a, abs=0.05 + 0.12 * a)
    assert fitted.b == pytest.approx(b, abs=0.05 + 0.08 * abs(b) + 0.05 * a)


def test_the_mean_probability_is_the_base_rate(market):
    margin = np.random.default_rng(0).normal(size=len(market.y))
    fitted = fit_platt(margin, market.y)
    assert sigmoid(fitted.logit(margin)).mean() == pytest.approx(market.y.mean(), abs=2 / len(market.y))


@settings(max_examples=50)
@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_a_change_of_scale_of_the_margins_changes_no_probability(scale, shift):
    random = np.random.default_rng(1)
    margin = random.normal(size=500)
    y = random.random(500) < sigmoid(margin)
    moved = margin * scale + shift
    fitted = fit_platt(moved, y)
    if fitted.a > SMALLEST_SLOPE:
        assert fitted.logit(moved) == pytest.approx(fit_platt(margin, y).logit(margin), abs=1e-6)


def test_separated_classes_give_a_finite_line():
    fitted = fit_platt([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    assert 0 < fitted.a < 50
    assert np.isfinite(fitted.b)


@pytest.mark.parametrize("margin", [[3.0, 3.0, 3.0, 3.0], [2.0, 1.0, -1.0, -2.0]])
def test_margins_that_say_nothing_or_the_opposite_keep_a_small_positive_slope(margin):
    y = [0, 0, 1, 1] if margin[0] != 3.0 else [0, 0, 0, 1]
    fitted = fit_platt(margin, y)
    assert fitted.a == SMALLEST_SLOPE
    if margin[0] == 3.0:
        assert sigmoid(fitted.logit(margin)).mean() == pytest.approx((3 / 5 + 2 / 3) / 4)


def test_weights_are_repeated_rows():
    random = np.random.default_rng(2)
    margin, weights = random.normal(size=200), random.integers(1, 4, 200)
    y = random.random(200) < sigmoid(2 * margin)
    weighted, repeated = fit_platt(margin, y, weights), fit_platt(np.repeat(margin, weights), np.repeat(y, weights))
    assert (weighted.a, weighted.b) == pytest.approx((repeated.a, repeated.b))


def test_one_class_is_not_enough():
    with pytest.raises(NotEnoughDataError):
        fit_platt([1.0, 2.0], [1, 1])


def test_it_survives_json():
    line = Platt(0.1 + 0.2, -1 / 3, 3)
    assert Platt.from_json(json.loads(json.dumps(line.to_json()))) == line


@pytest.mark.parametrize("change", [{"a": 0.0}, {"a": float("nan")}, {"b": float("inf")}, {"method": "isotonic"}])
def test_a_line_that_can_not_be_is_refused(change):
    with pytest.raises(BundleError):
        Platt.from_json({**Platt(1.0, 0.0).to_json(), **change})
