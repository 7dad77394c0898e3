from __future__ import annotations

import numpy as np
import pytest

from models.fitting import Sample
from models.linear import fit_logistic
from models.metrics import sigmoid
from models.points import make_points
from models.shrunk import SLOPE, fit_shrunk
from tests.models.conftest import POINTS, ROWS


def sample_of(market, rows=slice(None), y=None) -> Sample:
    labels = market.y if y is None else y
    everything = Sample(market.X, labels, np.ones(ROWS), market.accounts)
    return everything.take(np.arange(ROWS)[rows])


def test_next_to_no_evidence_leaves_the_rule(market):
    won = np.eye(1, ROWS, int(np.argmax(market.X[:12, 2])))[0]
    sample = sample_of(market, slice(0, 12), won)
    sample.X[:, 0] = 1.0  # all in one stage
    margin = fit_shrunk(sample, market.encoding, POINTS, 0).margin(market.X)
    rule = make_points(market.encoding, POINTS).margin(market.X)
    assert np.corrcoef(margin, rule)[0, 1] > 0.8
    assert np.polyfit(rule, margin, 1)[0] == pytest.approx(SLOPE, abs=1)


def test_many_outcomes_outweigh_the_rule(market):
    often = np.tile(np.arange(ROWS), 20)
    sample = Sample(market.X[often], market.y[often], np.ones(20 * ROWS), np.arange(20 * ROWS))
    shrunk, free = fit_shrunk(sample, market.encoding, POINTS, 0), fit_logistic(sample, market.encoding)
    few = fit_shrunk(sample_of(market), market.encoding, POINTS, 0)
    near, far = (np.abs(sigmoid(one.margin(market.X)) - sigmoid(free.margin(market.X))).mean() for one in (shrunk, few))
    assert near < 0.02 < 2 * near < far


def test_a_rule_that_is_wrong_is_unlearnt(market):
    wrong = {name: -points for name, points in POINTS.items()}
    right, mended = (fit_shrunk(sample_of(market), market.encoding, points, 0) for points in (POINTS, wrong))
    assert np.corrcoef(right.margin(market.X), mended.margin(market.X))[0, 1] > 0.95


def test_rows_that_repeat_an_account_say_no_more_than_one(market):
    twice = np.tile(np.arange(ROWS), 2)
    once = fit_shrunk(sample_of(market), market.encoding, POINTS, 0)
    again = fit_shrunk(sample_of(market).take(twice), market.encoding, POINTS, 0)
    assert again.margin(market.X) == pytest.approx(once.margin(market.X), abs=1e-5)


def test_it_is_calibrated_as_it_stands_on_what_it_learnt_from(market):
    margin = fit_shrunk(sample_of(market), market.encoding, POINTS, 0).margin(market.X)
    assert sigmoid(margin).mean() == pytest.approx(market.y.mean(), abs=1e-4)


def test_without_points_it_is_a_plain_ridge(market):
    plain = fit_shrunk(sample_of(market), market.encoding, {}, 0)
    assert set(plain.terms.transform) == {"log", "missing", "level"}
    assert np.corrcoef(plain.margin(market.X), market.truth)[0, 1] > 0.7
