from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from features.errors import BundleError
from models.calibration import fit_platt
from models.encoding import Encoding
from models.ladder import fit_ladder
from models.metrics import sigmoid
from models.uncertainty import Band, fit_band, student
from tests.models.conftest import CATALOGUE, FAST

ROWS_EACH = 4


def drawn(accounts, random, *, rate=-2.0):
    """Return margins, labels and accounts of a market whose log-odds are `rate` + margin; an account's rows agree."""
    of_row = np.repeat(np.arange(accounts), ROWS_EACH)
    margin = np.repeat(random.normal(0, 1, accounts), ROWS_EACH)
    y = (np.repeat(random.random(accounts), ROWS_EACH) < sigmoid(rate + margin)).astype(float)
    return margin, y, of_row


def covers(accounts, seed):
    margin, y, of_row = drawn(accounts, np.random.default_rng(seed))
    if len(set(of_row[y > 0])) < 2:
        return []
    line = fit_platt(margin, y)
    low, high = fit_band(line.a, line.b, margin, y, of_row).interval(margin, line.logit(margin))
    truth = sigmoid(-2.0 + margin)
    return [float(np.mean((low <= truth) & (truth <= high)))]


def simulated(accounts, random, *, rate, wide=1.0):
    """Return features and log-odds of accounts whose truth is a logistic regression."""
    visits, size = np.expm1(random.normal(1.5, 0.5 * wide, accounts).clip(0)), random.normal(4, 1.2 * wide, accounts)
    stage, calls = random.integers(0, 2, accounts), random.poisson(1.0, accounts).astype(float)
    columns = {"new_stage": np.array(["lead", "sql"])[stage], "calls_30d": calls, "visits_7d": visits}
    logit = rate + 1.4 * (np.log1p(visits) - 1.5) + 0.3 * (size - 4) + 0.8 * stage
    return pa.table({**columns, "employees": np.exp(size)}), logit


def ladder_coverage(accounts, rate, seed):
    """Return for new accounts whether the best rung's interval holds the truth, and whether the margin is a new one.

    Half of the new accounts vary more than those that taught.
    """
    random = np.random.default_rng(seed)
    table, logit = simulated(accounts, random, rate=rate)
    encoding = Encoding.fit(table, CATALOGUE.subset(table.column_names).features)
    X, y = encoding.matrix(table), (random.random(accounts) < sigmoid(logit)).astype(float)
    points = {"visits_7d": 2.0}
    ladder = fit_ladder(X, y, np.arange(accounts), encoding, stage="new_stage", points=points, seed=0, params=FAST)
    rung, found = ladder.champion, []
    band = rung.calibration.band
    assert band is not None
    for wide in (1.0, 2.5):
        table, logit = simulated(300, random, rate=rate, wide=wide)
        margin = rung.scorer.margin(encoding.matrix(table))
        low, high = band.interval(margin, rung.calibration.logit(margin))
        holds = (low <= sigmoid(logit)) & (sigmoid(logit) <= high)
        beyond = (margin < rung.fit.margins.min()) | (margin > rung.fit.margins.max())
        found.append(np.column_stack([holds, beyond])[beyond | (wide == 1.0)])
    return np.concatenate(found)


@pytest.mark.parametrize("accounts", [60, 300, 1000])
def test_nine_of_ten_intervals_hold_the_truth_although_rows_repeat(accounts):
    held = [share for seed in range(100) for share in covers(accounts, seed)]
    assert 0.84 < np.mean(held) < 0.99


def test_intervals_that_took_rows_for_accounts_would_not_hold_it():
    margin, y, of_row = drawn(300, np.random.default_rng(0))
    line = fit_platt(margin, y)
    told, naive = (fit_band(line.a, line.b, margin, y, who).at(0.0) for who in (of_row, np.arange(len(y))))
    assert told > 1.6 * naive


def test_more_outcomes_make_the_interval_narrower():
    widths = []
    for accounts in (60, 240, 960, 3840):
        margin, y, of_row = drawn(accounts, np.random.default_rng(1))
        line = fit_platt(margin, y)
        widths.append(float(fit_band(line.a, line.b, margin, y, of_row).at(0.0)))
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 5 * widths[-1]


def test_fold_scorers_that_disagree_widen_it_and_levels_do_not():
    random = np.random.default_rng(2)
    margin, y, of_row = drawn(300, random)
    plain = fit_band(1.0, -2.0, margin, y, of_row).at(margin)
    levels = [margin + shift for shift in (-1.0, 0.0, 1.0)]
    apart = [margin + random.normal(0, 0.3, len(margin)) for _ in range(3)]
    assert fit_band(1.0, -2.0, margin, y, of_row, siblings=levels).at(margin) == pytest.approx(plain)
    assert (fit_band(1.0, -2.0, margin, y, of_row, siblings=apart).at(margin) > plain).all()


def test_equal_margins_have_one_width():
    y = np.array([0.0, 0.0, 1.0, 0.0])
    band = fit_band(1.0, 0.0, np.zeros(4), y, np.arange(4))
    assert len(band.margin) == 1
    assert band.half_width[0] > 0


def test_it_is_a_line_between_knots_that_never_narrows_beyond_them():
    band = Band((0.0, 2.0), (1.0, 3.0))
    assert band.at([-9.0, 1.0, 9.0]).tolist() == [1.0, 2.0, 10.0]
    assert Band((0.0,), (1.0,)).at([-9.0, 9.0]).tolist() == [1.0, 1.0]


def test_it_widens_beyond_the_margins_it_was_fitted_on():
    margin, y, of_row = drawn(300, np.random.default_rng(0))
    siblings = [margin * slope for slope in (0.9, 1.0, 1.1)]
    for told in ([], siblings):
        half = fit_band(1.0, -2.0, margin, y, of_row, siblings=told).at([margin.max(), 10.0, 20.0, -10.0, -20.0])
        assert half[0] < half[1] < 0.6 * half[2] and half[3] < 0.6 * half[4]


@pytest.mark.parametrize(("accounts", "rate", "least"), [(150, -2.5, 0.75), (1200, -1.5, 0.8)])
def test_intervals_of_the_best_rung_hold_the_truth_with_few_and_with_many_wins(accounts, rate, least):
    held = np.concatenate([ladder_coverage(accounts, rate, seed) for seed in range(8)])
    usual, beyond = held[held[:, 1] == 0, 0], held[held[:, 1] == 1, 0]
    assert len(beyond) > 50
    assert least < usual.mean() < 0.99
    assert beyond.mean() > 0.6


def test_few_degrees_of_freedom_are_paid_for():
    assert student(1) == pytest.approx(6.3138, abs=1e-4)
    assert student(1000) == pytest.approx(1.6464, abs=1e-4)


def test_it_survives_json():
    band = Band((0.1 + 0.2, 1.0), (1 / 3, 0.0))
    assert Band.from_json(json.loads(json.dumps(band.to_json()))) == band


@pytest.mark.parametrize(
    "change", [{"margin": [1.0, 1.0]}, {"margin": [0.0]}, {"half_width": [1.0, -1.0]}, {"margin": [], "half_width": []}]
)
def test_a_band_that_can_not_be_is_refused(change):
    with pytest.raises(BundleError):
        Band.from_json({"margin": [0.0, 1.0], "half_width": [1.0, 1.0], **change})
