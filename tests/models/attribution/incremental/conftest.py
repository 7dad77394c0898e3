"""A small market whose truth is known, and the model fitted to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from features.synthetic.exposures import DAYS, MARKETS, simulate_exposures
from models.attribution.incremental import Incremental


@pytest.fixture(scope="session")
def market():
    """Return 4,000 accounts that levers move by mere presence; Display and Content Syndication do nothing."""
    return simulate_exposures(replace(MARKETS["logistic"], accounts=4_000), seed=1_001)


@pytest.fixture(scope="session")
def fitted(market):
    return Incremental(horizon_days=DAYS).fit(market.journeys, market.confounders)


@pytest.fixture(scope="session")
def effects(fitted):
    return fitted.effects()
