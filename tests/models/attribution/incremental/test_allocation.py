from __future__ import annotations

import numpy as np
import pytest

from models.attribution.incremental.allocation import Allocation
from models.attribution.incremental.cases import Cases, Passing
from models.attribution.incremental.shapes import PRESENCE, Form


@pytest.fixture
def allocation(market):
    """Return two conversions that the first lever helped and the second one hindered."""
    rows = np.flatnonzero(market.journeys.converted)[:2]
    terms, beta = np.ones((2, 2)), np.array([0.9, -0.4])
    passing = Passing(
        Form((PRESENCE,) * 2), terms, beta, np.zeros(2, np.int64), np.full(2, -2.0), np.zeros((2, 1)), np.zeros(2)
    )  # fmt: skip
    cases = Cases(rows, ("Partner", "Display"), terms > 0, (passing,))
    return Allocation.of(cases, market.journeys, seed=0)


def test_what_a_lever_cost_is_told_and_not_shared(allocation):
    assert allocation.lost[0] == 0 and allocation.lost[1] > 0
    assert not allocation.lever[:, 1].any()


def test_cut_credit_still_makes_each_conversion(allocation):
    assert allocation.lever.sum(axis=1) + allocation.rest == pytest.approx(1)


def test_the_baseline_is_left_as_it_is(allocation):
    assert allocation.rest == pytest.approx(allocation.cases.values(0)[:, -1])
