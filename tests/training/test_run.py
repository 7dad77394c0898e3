from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from features.schema import DAY
from models.bundle import load_bundle, verify_in_child
from models.ladder import FEW
from tests.training.conftest import hand_made
from training.calibration_rule import later_slice
from training.run import CROSS_FITTED, LATER_SLICE, train_on


def test_the_ladder_has_its_rungs_with_every_measure(trained):
    names = ["base_rate", "stage_table", "points", "shrunk", "logistic", "lightgbm"]
    assert [rung.name for rung in trained.report.rungs] == names
    for rung in trained.report.rungs:
        assert {"auc", "pr_auc", "brier", "brier_skill", "ece", "ece_floor_95", "lift_at_10"} <= set(rung.test)
        assert "precision_at_capacity" in rung.test


def test_each_rung_of_the_ladder_knows_more_than_the_one_below(trained):
    auc = {rung.name: rung.test["auc"] for rung in trained.report.rungs}
    assert auc["base_rate"] == pytest.approx(0.5)
    assert auc["stage_table"] > 0.52
    assert auc["logistic"] > auc["stage_table"] + 0.05


def test_the_simpler_rung_wins_where_the_truth_is_simple(trained):
    assert trained.report.best == "logistic"
    assert "than that of lightgbm, the rung to beat" in trained.report.verdict()


def test_a_pinned_rung_is_the_best_and_said_to_be_pinned(settings):
    agreement, config = settings
    pinned = dataclasses.replace(config, goal=dataclasses.replace(config.goal, rung="stage_table"))
    report = train_on(hand_made(300, horizon=30), agreement, pinned).report
    assert report.best == "stage_table"
    assert "the agreement says so" in report.verdict()


def test_the_same_seed_gives_the_same_model_and_another_seed_another(settings, trained):
    assert train_on(hand_made(500), *settings).report.metrics() == trained.report.metrics()
    assert train_on(hand_made(500), *settings, seed=2).report.metrics() != trained.report.metrics()


def test_a_short_training_time_calibrates_on_cross_fitted_margins(trained):
    assert trained.report.calibration == CROSS_FITTED
    assert np.array_equal(trained.fitted, trained.dataset.split.train)


def test_a_long_training_time_calibrates_on_a_later_purged_slice(settings):
    agreement, config = settings
    month = dataclasses.replace(config, goal=dataclasses.replace(config.goal, within_days=30))
    data = hand_made(700, 900, 14, horizon=30)
    long = train_on(data, agreement, month)
    held = data.split.train & ~long.fitted & (data.as_of >= data.as_of[data.split.train].max() * 0.8)
    assert long.report.calibration == LATER_SLICE
    assert data.as_of[long.fitted].max() + 30 * DAY < data.as_of[held].min()
    winners = [len(set(data.account_id[rows & (data.label > 0)])) for rows in (held, long.fitted)]
    assert min(winners) >= FEW
    assert long.report.outcomes_train == long.ladder.outcomes == winners[1]


def test_no_outcome_is_spared_for_a_later_slice_while_few_accounts_won():
    as_of, label = np.repeat(np.arange(200) * DAY, 20), np.ones(4000, dtype=np.int8)
    for accounts, found in ((150, False), (1000, True)):
        account = np.array([f"a{number % accounts}" for number in range(4000)])
        assert (later_slice(as_of, label, account, horizon=10 * DAY, embargo=10 * DAY) is not None) == found


def test_calibrated_probabilities_are_calibrated_within_what_chance_allows(trained):
    champion = trained.report.champion
    assert champion.test["ece"] < 1.5 * champion.test["ece_floor_95"]


def test_the_bundle_of_a_run_passes_its_check_and_scores_as_the_run_did(trained, bundle):
    verify_in_child(bundle)
    loaded, champion = load_bundle(bundle), trained.ladder.champion
    expected = champion.calibration.logit(champion.scorer.margin(trained.X))
    assert loaded.logit(loaded.encoding.matrix(trained.dataset.table)) == pytest.approx(expected, abs=1e-12)
    assert loaded.rung == trained.report.best
    assert loaded.metrics["goal"] == trained.report.goal


def test_the_report_is_json(trained):
    document = json.loads(json.dumps(trained.report.document(), allow_nan=False))
    assert document["best"] == trained.report.best
    assert document["counts"]["purged"] > 0
