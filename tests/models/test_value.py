from __future__ import annotations

import json

import numpy as np
import pytest

from features.algebra import Latest, Sum, where
from features.errors import BundleError
from features.feature import Feature
from models.encoding import Encoding
from models.value import FEWEST, PENALTIES, ValueModel, fit_value

SPREAD = 0.5


def _feature(name, family, unit, expression):
    words = {"en": name, "zh": name}
    return Feature(name, name, family, unit, words, words, words, expression)


FEATURES = (
    _feature("employees", "fit", "people", Latest("attributes", "number", where(field="employees"))),
    _feature("country", "fit", "category", Latest("attributes", "value", where(field="country"))),
    _feature("amount_open", "history", "reporting currency", Sum("deals", "amount")),
    _feature("visits", "frequency", "touches", Latest("attributes", "number", where(field="visits"))),
)
ENCODING = Encoding(
    tuple(one.name for one in FEATURES), tuple(one.dtype for one in FEATURES), {"country": ("CN", "NL")}
)


def wins(accounts, seed=0, each=3):
    """Return features, amounts and accounts of wins whose log amount follows size and country."""
    random = np.random.default_rng(seed)
    size, country = random.normal(5, 1, accounts), random.integers(0, 2, accounts).astype(float)
    amount = np.exp(9 + 0.6 * (size - 5) + 0.4 * country + random.normal(0, SPREAD, accounts))
    X = np.column_stack([np.exp(size), country, np.zeros(accounts), random.poisson(3, accounts)]).astype(float)
    X[: accounts // 2, 2] = amount[: accounts // 2] * np.exp(random.normal(0, 0.1, accounts // 2))
    return np.repeat(X, each, axis=0), np.repeat(amount, each), np.repeat(np.arange(accounts), each)


def fit(X, amount, groups, seed=0) -> ValueModel | None:
    return fit_value(X, amount, groups, ENCODING, FEATURES, currency="EUR", seed=seed)


@pytest.fixture(scope="module")
def model() -> ValueModel:
    found = fit(*wins(400))
    assert found is not None
    return found


def test_nine_of_ten_amounts_lie_in_the_interval(model):
    X, amount, _ = wins(2000, seed=1, each=1)
    found = model.expected(X, np.ones(len(X)))
    held = [one.low <= paid <= one.high for one, paid in zip(found, amount, strict=True)]
    assert np.mean(held) == pytest.approx(0.9, abs=0.04)


def test_the_expected_amounts_add_up_to_what_is_won(model):
    X, amount, _ = wins(4000, seed=2, each=1)
    found = model.expected(X, np.ones(len(X)))
    assert sum(one.amount for one in found) == pytest.approx(amount.sum(), rel=0.1)


def test_an_open_amount_is_told_from_no_deal(model):
    X, amount, _ = wins(300, seed=3, each=1)
    known = np.array([one.amount for one in model.expected(X, np.ones(300))])[:150]
    assert np.corrcoef(np.log(known), np.log(amount[:150]))[0, 1] > 0.9


def test_expected_revenue_is_probability_times_amount(model):
    X = wins(2, each=1)[0]
    for one in model.expected(X, [0.25, 0.0]):
        assert one.expected_revenue in (pytest.approx(0.25 * one.amount), 0.0)
        assert one.low < one.amount < one.high
        assert one.currency == "EUR"


def test_few_wins_shrink_to_their_mean():
    X, _, groups = wins(5)
    amount = np.exp(np.random.default_rng(5).normal(9, 1, 5))[groups]
    found = fit(X, amount, groups)
    assert found is not None
    assert np.ptp([one.amount for one in found.expected(X, np.ones(15))]) < 1e-3 * amount.mean()


def test_fewer_wins_have_wider_intervals():
    few, many = fit(*wins(5)), fit(*wins(400))
    assert few is not None
    assert many is not None
    assert few.half_width > 1.2 * many.half_width


def test_snapshots_that_repeat_an_account_change_nothing():
    once, often = fit(*wins(60, each=1)), fit(*wins(60, each=7))
    assert once is not None
    assert often is not None
    assert often.half_width == pytest.approx(once.half_width)


def test_one_wrong_amount_does_not_move_all_the_others(model):
    X, amount, groups = wins(400)
    amount = np.where(groups == 7, amount * 1e6, amount)
    found = fit(X, amount, groups)
    assert found is not None
    moved, before = (one.expected(X[:30], np.ones(30)) for one in (found, model))
    assert all(0.5 < one.amount / other.amount < 2 for one, other in zip(moved, before, strict=True))


@pytest.mark.parametrize("amount", [np.nan, 0.0, -5.0])
def test_without_amounts_nothing_is_said(amount):
    X, _, groups = wins(30)
    assert fit(X, np.full(len(X), amount), groups) is None


def test_too_few_amounts_say_nothing():
    X, amount, groups = wins(30)
    assert fit(X, np.where(groups < FEWEST - 1, amount, np.nan), groups) is None
    assert fit(X, np.where(groups < FEWEST, amount, np.nan), groups) is not None


def test_the_last_penalty_is_the_mean():
    assert PENALTIES[-1] > 1e6


def test_it_survives_json_bit_for_bit(model):
    X = wins(50)[0]
    again = ValueModel.from_json(json.loads(json.dumps(model.to_json())))
    assert again.expected(X, np.full(len(X), 0.3)) == model.expected(X, np.full(len(X), 0.3))


@pytest.mark.parametrize("change", [{"coefficient": [1.0]}, {"money": [9]}, {"n_features": 1}])
def test_a_model_that_can_not_be_is_refused(model, change):
    with pytest.raises(BundleError):
        ValueModel.from_json({**model.to_json(), **change})
