from __future__ import annotations

import numpy as np
import pytest

from features.errors import NotEnoughDataError, UnknownError
from models.attribution.credit import BASELINE, Evidence
from models.attribution.incremental import LiftTest


def test_a_test_moves_an_effect_towards_it(fitted, effects):
    before = effects["Email"].conversions
    after = fitted.calibrated([LiftTest("Email", 0.0, before.half / 3)])["Email"].conversions
    assert abs(after.value) < abs(before.value) / 2 and after.half < before.half / 1.5


def test_a_vague_test_leaves_effects_as_they_were(fitted, effects):
    after = fitted.calibrated([LiftTest("Email", 500.0, 1e7)])
    assert after["Email"].conversions.value == pytest.approx(effects["Email"].conversions.value, abs=0.1)


def test_only_the_tested_lever_is_calibrated_by_experiment(fitted):
    rows = fitted.calibrated([LiftTest("Email", 20.0, 10.0)]).rows
    assert [row.channel for row in rows if row.evidence is Evidence.EXPERIMENT] == ["Email"]


def test_what_a_test_takes_from_a_lever_would_have_happened_anyway(fitted, effects):
    after = fitted.calibrated([LiftTest("Outbound Sales", 0.0, 1.0)])
    assert after[BASELINE].conversions.value > effects[BASELINE].conversions.value
    assert sum(row.conversions.value for row in after.rows) == pytest.approx(
        sum(row.conversions.value for row in effects.rows)
    )


def test_a_test_of_no_lever_is_refused_with_the_nearest(fitted):
    with pytest.raises(UnknownError, match="Emial") as caught:
        fitted.calibrated([LiftTest("Emial", 1.0, 1.0)])
    assert "Email" in caught.value.hint


def test_a_test_without_error_is_refused():
    with pytest.raises(ValueError, match="standard error above 0"):
        LiftTest("Email", 1.0, 0.0)


def test_a_hold_out_compares_means(market):
    held_out = np.random.default_rng(0).random(market.journeys.size) < 0.3
    test = LiftTest.from_holdout(market.journeys, "Email", held_out)
    converted = market.journeys.converted
    lift = converted[~held_out].mean() - converted[held_out].mean()
    assert test.estimate == pytest.approx((~held_out).sum() * lift)
    assert abs(test.estimate) < 3 * test.standard_error


def test_a_hold_out_of_nobody_is_refused(market):
    with pytest.raises(NotEnoughDataError, match="at least two accounts on either side"):
        LiftTest.from_holdout(market.journeys, "Email", np.zeros(market.journeys.size, dtype=bool))
