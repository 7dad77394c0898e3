from __future__ import annotations

import numpy as np
import pytest

from models.attribution.incremental.hazard import fit_hazard


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    x = np.column_stack([np.ones(20_000), random.integers(0, 2, 20_000)])
    exposure = random.uniform(0.5, 1.5, 20_000)
    return x, random.poisson(exposure * np.exp(-3 + 0.8 * x[:, 1])).astype(float), exposure


def test_a_hazard_ratio_of_two_groups_is_that_of_their_rates(rows):
    x, events, exposure = rows
    beta = fit_hazard(x, events, exposure, np.zeros(2))
    rate = [events[x[:, 1] == g].sum() / exposure[x[:, 1] == g].sum() for g in (0, 1)]
    assert beta == pytest.approx([np.log(rate[0]), np.log(rate[1] / rate[0])], abs=1e-6)


def test_a_strong_prior_holds_a_coefficient_at_zero(rows):
    x, events, exposure = rows
    assert fit_hazard(x, events, exposure, np.array([0.0, 1e9]))[1] == pytest.approx(0, abs=1e-4)
