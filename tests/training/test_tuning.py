from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from features.errors import NotEnoughDataError
from features.schema import DAY
from models.bootstrap import Estimate
from models.rungs import LIGHTGBM
from tests.training.conftest import hand_made
from training.config import load_config
from training.tuning import BY_ACCOUNT, BY_TIME, SPACE, Trial, Tuned, chained_folds, tune
from training.tuning_record import records_of

TRIALS = 4


@pytest.fixture(scope="module")
def data():
    return hand_made(420, accounts=200, horizon=30)


@pytest.fixture(scope="module")
def tuned(data, settings):
    return tune(data, settings[1], minutes=5, most_trials=TRIALS)


def test_folds_are_later_than_what_teaches_and_purged():
    as_of, embargo = np.arange(100) * DAY, 20 * DAY
    folds = chained_folds(as_of, embargo, 3)
    assert [as_of[teach].max() + embargo < as_of[judge].min() for teach, judge in folds] == [True] * 3
    assert np.array_equal(sum(judge.astype(int) for _, judge in folds), as_of >= as_of[folds[0][1]].min())


def test_the_parameters_in_use_are_tried_first(tuned, settings):
    assert tuned.folds == BY_TIME
    assert tuned.trials[0].params["learning_rate"] == settings[1].lightgbm["learning_rate"]
    assert len(tuned.trials) == TRIALS


def test_a_search_can_be_repeated_exactly(tuned, data, settings):
    again = tune(data, settings[1], minutes=5, most_trials=TRIALS)
    assert [trial.params for trial in again.trials] == [trial.params for trial in tuned.trials]
    assert again.improvement == tuned.improvement


def test_the_test_is_never_seen(tuned, data, settings):
    label = np.where(data.split.test, 1 - data.label, data.label).astype(np.int8)
    found = tune(replace(data, label=label), settings[1], minutes=5, most_trials=2)
    assert [trial.log_loss for trial in found.trials] == [trial.log_loss for trial in tuned.trials[:2]]


def test_what_is_written_is_a_training_file(tuned, tmp_path):
    path = tmp_path / "tuned.toml"
    path.write_text(tuned.toml())
    assert set(tomllib.loads(tuned.toml())["lightgbm"]) == {*SPACE, "max_bin"}
    _, config = load_config(None, training=path)
    assert tuned.params.items() <= {**LIGHTGBM, **config.lightgbm}.items()


def test_an_improvement_is_told_with_its_interval(tuned):
    assert tuned.improvement.low <= tuned.improvement.value <= tuned.improvement.high
    assert "on the fold kept for the end" in tuned.verdict


@pytest.mark.parametrize(
    ("value", "words", "leaves"),
    [(-0.01, "are better", 9), (0.01, "ones are worse", 31), (-0.004, "ones are not proven better", 31)],
)
def test_parameters_that_are_not_proven_better_are_not_recommended(value, words, leaves):
    trials = (Trial({"num_leaves": 31}, 0.30, 1.0), Trial({"num_leaves": 9}, 0.29, 1.0))
    tuned = Tuned.of({"max_bin": 15}, trials, BY_TIME, Estimate(value, value - 0.005, value + 0.005))
    assert tuned.params == {"max_bin": 15, "num_leaves": leaves}
    assert words in tuned.toml().splitlines()[0]


def test_time_that_is_over_lets_the_first_trial_end(data, settings):
    tuned = tune(data, settings[1], minutes=0.0001)
    assert [trial.log_loss is not None for trial in tuned.trials] == [True]
    assert tuned.verdict == "No trial was better than the parameters in use."


def test_without_time_for_later_folds_accounts_are_divided(settings):
    assert tune(hand_made(150, horizon=60), settings[1], minutes=5, most_trials=1).folds == BY_ACCOUNT


def test_too_few_outcomes_are_told(settings):
    with pytest.raises(NotEnoughDataError, match="Tuning needs 10 accounts"):
        tune(hand_made(60, accounts=20, horizon=20), settings[1], minutes=5, most_trials=1)


def test_the_record_has_a_run_for_the_search_and_one_for_each_trial(tuned, settings):
    search, *trials = records_of(tuned, settings[1])
    assert len(trials) == TRIALS
    assert search.pictures["trials.png"].startswith(b"\x89PNG")
    assert search.pages["tuned.toml"] == tuned.toml()
    assert search.metrics["tuning.log_loss"] <= search.metrics["tuning.log_loss_before"]
