from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.attribution.incremental import game as game_module
from models.attribution.incremental.cases import Cases, Passing
from models.attribution.incremental.shapes import PRESENCE, Form, Pair
from models.attribution.incremental.worth import worth

part = st.floats(-1.5, 2.0)
parts = st.lists(part, min_size=3, max_size=3)
loss = st.floats(0, 3)
ahead = st.floats(-6, 1)


def passing(own, later, lost=0.0, both=()):
    """Return one passage of conversions: `own` of shape (n, k), `both` parts of the pairs of the first levers."""
    own = np.atleast_2d(np.asarray(own, dtype=float))
    n, k = own.shape
    form = Form((PRESENCE,) * k, tuple(Pair(0, second, False) for second in range(1, len(both) + 1)))
    terms = np.concatenate([own, np.tile(both, (n, 1))], axis=1)
    later, lost = np.broadcast_to(later, n).astype(float), np.broadcast_to(lost, n).astype(float)
    return Passing(form, terms, np.ones(form.size), np.zeros(n, np.int64), later, np.zeros((n, 1)), lost)


def cases(*passings):
    n, k = passings[0].terms.shape[0], len(passings[0].form.shapes)
    return Cases(np.arange(n), tuple("abcdefghijkl"[:k]), np.ones((n, k), dtype=bool), passings)


def by_every_order(passings):
    """Return the Shapley values of one conversion the slow way."""
    k = len(passings[0].form.shapes)

    def of_one(each, some):
        pairs = [(place, pair) for place, pair in enumerate(each.form.pairs, k) if {pair.first, pair.second} <= some]
        reduced = sum(each.terms[0, lever] for lever in some) + sum(each.terms[0, place] for place, _ in pairs)
        return worth(np.array(reduced), each.terms[0].sum(), each.ahead[0], each.loss[0]).value

    found = np.zeros(k)
    for order in permutations(range(k)):
        for place, lever in enumerate(order):
            with_it, without = set(order[: place + 1]), set(order[:place])
            found[lever] += np.prod([of_one(each, with_it) for each in passings])
            found[lever] -= np.prod([of_one(each, without) for each in passings])
    return found / len(list(permutations(range(k))))


@given(parts, parts, part, ahead, ahead, loss)
def test_shapley_values_are_the_mean_over_every_order(first, second, both, soon, late, lost):
    passings = passing(first, soon, lost, [both]), passing(second, late, 0.0, [0.0])
    assert cases(*passings).values(0)[0, :-1] == pytest.approx(by_every_order(passings), abs=1e-9)


@given(parts, parts, ahead, loss)
def test_values_and_baseline_make_one_conversion_of_several_passages(first, second, later, lost):
    value = cases(passing(first, later, lost), passing(second, later)).values(0)
    assert value.sum() == pytest.approx(1, abs=1e-9)


@given(part, ahead, loss)
def test_all_levers_together_are_worth_the_whole_passage(whole, later, lost):
    assert worth(np.array(whole), np.array(whole), np.array(later), np.array(lost)).value == pytest.approx(1)


@given(part, ahead)
def test_without_losses_the_passage_comes_later_or_never(whole, later):
    ratio, hazard = np.exp(-whole), np.exp(later)
    expected = ratio + (1 - ratio) * -np.expm1(-hazard)
    found = worth(np.array(0.0), np.array(whole), np.array(later), np.array(0.0)).value
    assert found == pytest.approx(expected, abs=1e-9)


@given(st.floats(0.05, 2.0), ahead, st.floats(0.05, 3))
def test_losses_lower_what_would_have_happened_anyway(whole, later, lost):
    without, among = (worth(np.array(0.0), np.array(whole), np.array(later), np.array(each)).value
                      for each in (0.0, lost))  # fmt: skip
    assert among < without


@given(part, part, ahead, loss)
def test_derivatives_are_the_limits_of_differences(reduced, gone, later, lost):
    at, step = (np.array(reduced), np.array(reduced + gone)), 1e-6
    here, there = (worth(*at, np.array(later + move), np.array(lost)).value for move in (-step, step))
    found = worth(*at, np.array(later), np.array(lost))
    assert found.ahead == pytest.approx((there - here) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("term", range(4))
def test_gradients_are_the_limits_of_differences(term):
    def summed(move):
        beta = np.ones(4)
        beta[term] += move
        one = passing([[0.6, -0.3, 0.4], [0.2, 0.9, -0.5]], -1.0, 0.4, [0.3])
        moved = Passing(one.form, one.terms, beta, one.ended, one.ahead, one.slope, one.loss)
        return cases(moved, passing([[0.1, 0.5, 0.2]] * 2, -2.0))

    counted = np.array([[1.0, 3.0]])
    found = summed(0.0).gradients(0, counted)[0][0, 1 + term]
    limit = counted[0] @ (summed(1e-6).readings(0) - summed(-1e-6).readings(0)) / 2e-6
    assert found == pytest.approx(limit, abs=1e-6)


def test_a_lever_without_a_part_is_worth_nothing():
    assert cases(passing([0.8, 0.0, 0.3, 0.0], -2.0)).values(0)[0, [1, 3]] == pytest.approx(0, abs=1e-12)


def test_a_lever_that_was_not_there_has_no_say():
    one = cases(passing([0.8, 0.0, 0.3], -2.0))
    absent = Cases(one.rows, one.levers, np.array([[True, False, True]]), one.passings)
    assert absent.readings(0) == pytest.approx(one.readings(0))


def test_past_the_horizon_only_the_hazard_at_the_conversion_counts():
    assert worth(np.array(0.0), np.log(4.0), np.array(-np.inf), np.array(0.0)).value == pytest.approx(0.25)


def test_sampled_orders_come_near_all_subsets(monkeypatch):
    random = np.random.default_rng(0)
    some = cases(passing(random.normal(0.4, 0.4, (20, 8)), random.normal(-2, 1, 20)))
    exact = some.readings(0)
    monkeypatch.setattr(game_module, "EXACT", 3)
    sampled = some.readings(0)
    assert sampled == pytest.approx(exact, abs=0.02) and sampled[:, 8:] == pytest.approx(exact[:, 8:])


def test_removal_is_the_last_lever_of_two():
    found = cases(passing([0.7, 0.4], -1.0, 0.0, [0.3])).readings(0)[0, 3]
    without_first = worth(np.array(0.4), np.array(1.4), np.array(-1.0), np.array(0.0)).value
    assert found == pytest.approx(1 - without_first)
