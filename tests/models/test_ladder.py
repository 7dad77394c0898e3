from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from features.errors import NotEnoughDataError, UnknownError
from models import metrics
from models.encoding import Encoding
from models.fitting import Sample
from models.ladder import account_folds, cross_fit
from models.linear import FEWEST_KNOWN, fit_logistic, fit_terms, logistic_pipeline
from models.propensity import LIMIT
from models.rungs import LightgbmRung, ladder_rungs
from tests.models.conftest import FAST, POINTS, ROWS, RUNGS, fit


def test_the_rungs_come_from_the_simplest(ladder):
    assert list(ladder.rungs) == list(RUNGS)


def far_apart(rows, known_in):
    """Return rows of one feature that has a value for a few accounts alone, all of them nearly the same."""
    X = np.full((rows, 1), np.nan)
    X[:known_in, 0] = 100 + np.arange(known_in) / 1000
    return Sample(X, (np.arange(rows) % 3 == 0).astype(float), np.ones(rows), np.arange(rows))


def test_a_feature_known_in_a_few_accounts_has_no_term():
    encoding = Encoding(("a",), ("number",), {})
    few, enough = (fit_terms(far_apart(300, known), encoding) for known in (FEWEST_KNOWN - 1, FEWEST_KNOWN))
    assert few.transform == ()
    assert enough.transform == ("log", "missing")
    repeated = far_apart(300, 60)
    assert fit_terms(replace(repeated, groups=np.arange(300) // 20), encoding).transform == ()


def test_a_value_far_from_all_that_taught_says_no_more_than_the_limit(ladder, market):
    scorer = ladder.rungs["logistic"].scorer
    row = market.X[:1].copy()
    row[0, 2] = 1e12
    far, farther = (scorer.margin(row * factor) for factor in (1, [1, 1, 1e6, 1, 1, 1, 1]))
    assert far == farther
    assert np.abs(scorer.terms.design(row)[:, np.array(scorer.terms.transform) == "log"]).max() == LIMIT
    assert scorer.contributions(row).sum() == pytest.approx(far.item(), abs=1e-12)


def test_the_base_rate_is_calibrated(ladder, market):
    rung = ladder.rungs["base_rate"]
    assert metrics.sigmoid(rung.logits).mean() == pytest.approx(market.y.mean(), abs=0.003)
    assert metrics.ece(market.y, metrics.sigmoid(rung.calibration.logit(rung.scorer.margin(market.X)))) < 0.003


def test_out_of_fold_probabilities_are_calibrated(rung, market):
    floor = metrics.ece_floor(metrics.sigmoid(rung.logits), market.accounts, draws=200)
    assert metrics.ece(market.y, metrics.sigmoid(rung.logits)) < 1.5 * floor.upper


def test_each_rung_beats_the_one_below_on_a_market_that_needs_it(ladder):
    losses = [ladder.rungs[name].log_loss for name in ("logistic", "stage_table", "base_rate")]
    assert losses == sorted(losses)


def test_the_logistic_wins_where_the_truth_is_in_its_terms(market):
    random = np.random.default_rng(11)
    visits, country = np.log1p(market.X[:, 2]), market.X[:, 5]
    logit = -2.0 + 1.5 * visits - 1.2 * (country == 1)
    y = (random.random(ROWS) < metrics.sigmoid(logit)).astype(float)
    fitted = fit(market, y)
    assert fitted.best == "logistic"
    assert fitted.champion is fitted.rungs["logistic"]
    assert fitted.rungs[fitted.default].excess == 0
    assert fitted.rungs["base_rate"].excess > 0


def test_lightgbm_wins_where_features_interact(market):
    random = np.random.default_rng(0)
    y = (random.random(ROWS) < np.where((market.X[:, 1] > 0) ^ (market.X[:, 2] > 1), 0.9, 0.1)).astype(float)
    fitted = fit(market, y)
    assert fitted.best == "lightgbm"
    assert fitted.rungs["lightgbm"].excess < -2 * fitted.rungs["lightgbm"].excess_error


def test_a_pinned_rung_is_best_and_an_unknown_one_refused(market):
    pinned = fit(market, market.y, seed=3, pin="stage_table")
    assert pinned.best == "stage_table"
    with pytest.raises(UnknownError, match="Did you mean 'lightgbm'"):
        fit(market, market.y, pin="lightgmb")
    with pytest.raises(UnknownError, match="Did you mean 'new_stage'"):
        fit(market, market.y, stage="nw_stage")


def test_no_account_is_in_two_folds_and_folds_are_alike(market):
    fold = account_folds(market.accounts, market.y, folds=5, seed=1)
    assert all(len(set(fold[market.accounts == account])) == 1 for account in set(market.accounts))
    assert max(market.y[fold == k].mean() for k in range(5)) - min(market.y[fold == k].mean() for k in range(5)) < 0.2
    assert min(np.bincount(fold)) > ROWS / 10


def test_out_of_fold_margins_do_not_know_their_own_labels(market):
    noise = np.random.default_rng(5).integers(0, 2, ROWS).astype(float)
    fit = cross_fit(LightgbmRung(market.encoding, FAST), market.X, noise, market.accounts, seed=0)
    assert metrics.auc(noise, fit.margins) == pytest.approx(0.5, abs=0.06)


def test_out_of_fold_contributions_sum_to_out_of_fold_margins(rung, market):
    rows = np.array([0, 5, 17, 800])
    assert rung.fit.contributions(market.X, rows).sum(axis=1) == pytest.approx(rung.fit.margins[rows], abs=1e-9)


def test_boosting_can_overfit_toy_data(market):
    sample = Sample(market.X, market.y, np.ones(ROWS), market.accounts)
    eager = {"learning_rate": 0.5, "min_data_in_leaf": 1, "lambda_l2": 0.0, "num_leaves": 63, "num_threads": 1}
    scorer = LightgbmRung(market.encoding, eager).fit(sample, 100, 0)
    assert metrics.auc(market.y, scorer.margin(market.X)) > 0.99


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(market):
    sample = Sample(market.X, market.y, np.ones(ROWS), market.accounts)
    rung = LightgbmRung(market.encoding, FAST)
    first, second, other = (rung.fit(sample, 20, seed).files()["model.txt"] for seed in (1, 1, 2))
    assert first == second != other


def test_the_plain_coefficients_say_what_the_pipeline_says(market):
    weights = np.random.default_rng(0).uniform(0.5, 2, ROWS)
    sample = Sample(market.X, market.y, weights, market.accounts)
    scorer, pipeline = fit_logistic(sample, market.encoding), logistic_pipeline(sample, market.encoding)
    pipeline.fit(sample.X, sample.y, regression__sample_weight=weights / weights.mean())
    X = np.vstack([market.X, np.full(7, np.nan), [9, -3, 1e6, 0, 0, 9, -1]])
    assert scorer.margin(X) == pytest.approx(pipeline.decision_function(X), abs=1e-9)


def test_weights_count(market):
    stage_table = ladder_rungs(market.encoding, "new_stage", POINTS)[1]
    doubled = np.concatenate([np.arange(ROWS), np.arange(0, ROWS, 2)])
    weights = np.where(np.arange(ROWS) % 2 == 0, 2.0, 1.0)
    repeated = stage_table.fit(Sample(market.X, market.y, np.ones(ROWS), market.accounts).take(doubled), 0, 0)
    weighted = stage_table.fit(Sample(market.X, market.y, weights, market.accounts), 0, 0)
    assert weighted.margin(market.X) == pytest.approx(repeated.margin(market.X))


def test_a_stage_not_seen_has_about_the_base_rate(ladder, market):
    scorer = ladder.rungs["stage_table"].scorer
    unseen = market.X[:1].copy()
    unseen[0, 0] = np.nan
    assert metrics.sigmoid(scorer.margin(unseen))[0] == pytest.approx(market.y.mean(), abs=1e-9)


def test_columns_without_a_value_do_not_stop_any_rung(market):
    X = market.X.copy()
    X[:, 4] = np.nan
    fitted = fit(dataclasses.replace(market, X=X), market.y)
    assert all(np.isfinite(rung.logits).all() for rung in fitted.rungs.values())


def test_columns_of_one_value_leave_the_base_rate(market):
    X = np.ones_like(market.X)
    X[:, 3] = np.nan
    scorer = fit_logistic(Sample(X, market.y, np.ones(ROWS), market.accounts), market.encoding)
    assert metrics.sigmoid(scorer.margin(X)) == pytest.approx(np.full(ROWS, market.y.mean()))
    assert scorer.name == "logistic"


def test_no_outcome_is_too_few(market):
    with pytest.raises(NotEnoughDataError, match="at least 1 accounts with a positive outcome"):
        fit(market, np.zeros(ROWS))


def _with_wins(market, wins):
    """Return the rows of accounts until so many of them have won, and their labels."""
    winners = np.unique(market.accounts[market.y > 0])
    kept = np.flatnonzero(np.isin(market.accounts, [*winners[:wins], *np.setdiff1d(market.accounts, winners)]))
    y = np.where(np.isin(market.accounts, winners[:wins]), market.y, 0.0)
    rows = np.union1d(kept, np.flatnonzero(market.accounts % 3 == 0))
    return dataclasses.replace(market, X=market.X[rows], accounts=market.accounts[rows]), y[rows]


@pytest.mark.parametrize("wins", [1, 2, 7])
def test_a_handful_of_outcomes_gives_the_shrunk_rung(market, wins):
    few, y = _with_wins(market, wins)
    fitted = fit(few, y, pin=None)
    assert (fitted.default, fitted.outcomes) == ("shrunk", wins)
    assert list(fitted.rungs) == list(RUNGS if wins > 1 else RUNGS[:4])
    assert all(np.isfinite(rung.logits).all() for rung in fitted.rungs.values())
    assert (fitted.rungs["shrunk"].calibration.a, fitted.rungs["shrunk"].calibration.b) == (1.0, 0.0)


def test_a_single_outcome_can_not_be_held_out(market):
    few, y = _with_wins(market, 1)
    assert fit(few, y).best == "shrunk"
    with pytest.raises(NotEnoughDataError, match="needs at least 2 accounts of either outcome"):
        fit(few, y, pin="lightgbm")


def test_many_outcomes_make_lightgbm_the_rung_to_beat(market, monkeypatch):
    monkeypatch.setattr("models.ladder.FEW", 50)
    assert fit(market, market.y).default == "lightgbm"
