from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.attribution.apportion import apportion

WEIGHTS = st.lists(st.floats(0, 1e3), min_size=1, max_size=8).filter(lambda weights: sum(weights) > 1e-3)
SHARED = st.lists(st.tuples(st.integers(-(2**62), 2**62) | st.integers(-500, 500), WEIGHTS), min_size=1, max_size=5)


def shares(*shared):
    amounts, weights = zip(*shared, strict=True)
    size = np.array([len(one) for one in weights])
    found = apportion(np.array(amounts), np.concatenate(weights).astype(float), size)
    return [part.tolist() for part in np.split(found, np.cumsum(size)[:-1])]


@given(SHARED)
def test_shares_make_exactly_the_amount(shared):
    assert [sum(of_amount) for of_amount in shares(*shared)] == [amount for amount, _ in shared]


@given(SHARED)
def test_every_share_is_within_one_unit_of_its_proportion(shared):
    for (amount, weights), found in zip(shared, shares(*shared), strict=True):
        total = sum(map(Fraction, weights))
        assert all(abs(one - amount * Fraction(w) / total) < 1.01 for w, one in zip(weights, found, strict=True))


@given(SHARED)
def test_no_share_has_another_sign_than_the_amount_and_no_weight_means_no_share(shared):
    for (amount, weights), found in zip(shared, shares(*shared), strict=True):
        assert all(one * amount >= 0 for one in found)
        assert not any(one for w, one in zip(weights, found, strict=True) if w == 0)


@pytest.mark.parametrize(
    ("amount", "weights", "expected"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (2, [1, 1, 1], [1, 1, 0]),
        (10, [0.6, 0.25, 0.15], [6, 3, 1]),
        (10, [0.15, 0.25, 0.6], [2, 2, 6]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (7, [0, 2, 0], [0, 7, 0]),
        (0, [1, 2], [0, 0]),
    ],
)
def test_the_units_left_go_to_the_largest_remainders_and_among_equal_ones_to_the_first(amount, weights, expected):
    assert shares((amount, weights)) == [expected]


def test_equal_shares_that_differ_by_a_rounding_error_count_as_equal():
    assert shares((1, [0.1 + 0.2, 0.3])) == shares((1, [0.3, 0.1 + 0.2])) == [[1, 0]]


def test_huge_amounts_lose_nothing():
    assert shares((2**62 + 1, [1, 1]), (3, [1, 1])) == [[2**61 + 1, 2**61], [2, 1]]


def test_nothing_is_shared_among_nobody():
    assert apportion(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)).shape == (0,)
