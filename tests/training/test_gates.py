"""Each gate refuses a candidate in which one fault has been planted, and lets a sound one through."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.catalogue import Catalogue
from models.bundle import Bundle, load_bundle
from models.drift import chance_index, stability_index
from models.metrics import sigmoid
from tests.training.faulty import FAULTS, Noisy, Partial, bent, declared
from training.config import DataSettings, TrainingConfig, recorded_config
from training.dataset import Dataset
from training.gates import FEWEST_AGAINST_CHAMPION, GATES, judge
from training.holdout import asks_alike, gates_config, holdout_of, judged_since
from training.parts import FEWEST


@pytest.fixture(scope="module")
def sound(bundle) -> Bundle:
    return load_bundle(bundle)


@pytest.fixture(scope="module")
def config(settings) -> TrainingConfig:
    return settings[1]


@pytest.fixture(scope="module")
def holdout(trained, sound) -> Dataset:
    """The hold-out, where the channel of origin is another word for the stage, so that there are slices."""
    rows = holdout_of(trained.dataset, [sound, sound])
    return replace(rows, origin=np.array(rows.table.column("new_stage").to_pylist()))


def gate(verdict, name):
    return next(one for one in verdict.gates if one.name == name)


def test_a_sound_candidate_passes_every_gate(sound, holdout, config):
    verdict = judge(sound, sound, holdout, config)
    assert [one.name for one in verdict.gates] == list(GATES)
    assert {one.outcome for one in verdict.gates} == {"passed"}
    assert verdict.passed


def test_a_first_version_is_compared_with_the_base_rate(sound, holdout, config):
    verdict = judge(sound, None, holdout, config)
    assert verdict.passed
    assert gate(verdict, "hold_out").figures["brier_difference_high"] < 0
    assert gate(verdict, "slices").outcome == "not judged"


def test_a_feature_that_is_formed_otherwise_today_is_refused_by_name(sound, holdout, config):
    verdict = judge(FAULTS["manifest"](sound), sound, holdout, config)
    assert verdict.refused == ("manifest",)
    assert str(sound.catalogue[0]["name"]) in gate(verdict, "manifest").found
    assert {one.outcome for one in verdict.gates[1:]} == {"not judged"}


def test_a_feature_that_is_only_worded_otherwise_is_not(sound, holdout, config):
    candidate = declared(sound, lambda one: {"meaning": {"en": "other words", "zh": "x"}})
    assert gate(judge(candidate, sound, holdout, config), "manifest").outcome == "passed"


def test_a_champion_that_todays_features_can_not_feed_is_not_compared_with(sound, holdout, config):
    old = declared(sound, lambda one: {"dtype": "number"})
    assert judge(sound, old, holdout, config).champion == ""


def test_a_candidate_that_is_worse_on_the_hold_out_is_refused(sound, holdout, config):
    assert "hold_out" in judge(FAULTS["hold_out"](sound), sound, holdout, config).refused


@pytest.mark.parametrize("fault", [{"slope": 1.6}, {"slope": 0.5}, {"shift": 1.0}], ids=str)
def test_a_candidate_whose_probabilities_are_bent_is_refused(sound, holdout, config, fault):
    assert "calibration" in judge(bent(sound, **fault), sound, holdout, config).refused


def test_a_miss_in_calibration_does_not_keep_a_worse_champion(sound, holdout, config):
    candidate, champion = bent(sound, shift=0.8), bent(sound, shift=1.6)
    assert gate(judge(candidate, champion, holdout, config), "calibration").outcome == "passed"


def test_scores_that_have_moved_since_training_are_refused(sound, holdout, config):
    verdict = judge(FAULTS["stability"](sound), sound, holdout, config)
    assert verdict.refused == ("stability",)
    figures = gate(verdict, "stability").figures
    assert figures["since_training"] > figures["since_training_bar"]


def test_scores_far_from_the_champions_are_refused_unless_proven_better(sound, holdout, config):
    shifted = bent(sound, shift=1.5)
    assert "stability" in judge(shifted, sound, holdout, config).refused
    assert gate(judge(sound, shifted, holdout, config), "stability").outcome == "passed"


def test_a_slice_that_is_worse_is_refused_although_the_whole_is_not(sound, holdout, config):
    stage = np.array(holdout.table.column("new_stage").to_pylist())
    champion, candidate = (replace(sound, scorer=Partial(sound, *spoilt)) for spoilt in (("lead", 2.0), ("sql", 2.0)))
    verdict = judge(candidate, champion, holdout, config)
    assert "slices" in verdict.refused
    assert "channel = sql" in gate(verdict, "slices").found
    assert "lead" not in gate(verdict, "slices").found
    assert {"lead", "sql"} <= set(stage.tolist())


def test_contributions_that_do_not_sum_are_refused(sound, holdout, config):
    verdict = judge(FAULTS["explanations"](sound), sound, holdout, config)
    assert verdict.refused == ("explanations",)


def few(holdout: Dataset, number: int) -> Dataset:
    """Return the rows of one account less than so many with the outcome."""
    accounts = np.unique(holdout.account_id[holdout.label > 0])[: number - 1]
    kept = np.flatnonzero(np.isin(holdout.account_id, accounts))
    names = ("label", "account_id", "as_of", "weight", "is_event", "amount", "origin")
    parts = {name: getattr(holdout, name)[kept] for name in names}
    split = holdout.split.only(holdout.account_id, kept)
    return replace(holdout, table=holdout.table.take(kept), split=split, **parts)


def test_with_too_few_outcomes_a_challenger_waits_and_a_first_version_does_not(sound, holdout, config):
    for number in (FEWEST, FEWEST_AGAINST_CHAMPION):
        waiting = gate(judge(sound, sound, few(holdout, number), config), "hold_out")
        assert (waiting.outcome, waiting.mend) == ("refused", "wait for outcomes.")
    assert judge(sound, None, few(holdout, FEWEST), config).passed


def test_a_candidate_that_may_be_much_worse_waits_for_outcomes(sound, holdout, config):
    noisy = replace(sound, scorer=Noisy(sound.scorer, 0.2))
    some = gate(judge(noisy, sound, few(holdout, 80), config), "hold_out")
    figures = some.figures
    assert figures["brier_difference_low"] <= 0 < figures["margin"] < figures["brier_difference_high"]
    assert some.outcome == "refused"
    assert some.mend.startswith("wait for outcomes")
    assert gate(judge(noisy, sound, holdout, config), "hold_out").outcome == "passed"


def test_without_a_slice_with_enough_outcomes_slices_are_not_judged(sound, holdout, config):
    split = replace(holdout.split, unseen=np.zeros_like(holdout.split.unseen))
    bare = replace(holdout, origin=None, split=split)
    assert gate(judge(sound, sound, bare, config), "slices").outcome == "not judged"


def rarely(sound: Bundle, holdout: Dataset, shift: float) -> Dataset:
    """Return 20 times the accounts, with outcomes as the sound bundle would say with its log-odds shifted."""
    copies, random = 20, np.random.default_rng(0)
    p = np.tile(sigmoid(sound.logit(sound.encoding.matrix(holdout.table)) + shift), copies)
    account = np.concatenate([np.char.add(holdout.account_id, f"-{number}") for number in range(copies)])
    names = ("as_of", "weight", "is_event", "amount", "origin")
    parts: dict[str, Any] = {name: np.tile(getattr(holdout, name), copies) for name in names}
    label = (random.random(len(p)) < p).astype(np.int8)
    flags: dict[str, Any] = {
        name: np.tile(getattr(holdout.split, name), copies) for name in ("train", "test", "unseen")
    }
    rows = replace(holdout.split, **flags)
    table = pa.concat_tables([holdout.table] * copies)
    return replace(holdout, table=table, label=label, account_id=account, split=rows, **parts)


@pytest.fixture(scope="module", params=[(-4.0, 0.02), (-4.8, 0.01)], ids=["2 %", "1 %"])
def scarce(request, sound, holdout) -> tuple[float, Dataset]:
    """How far log-odds are shifted, and a hold-out with as low a base rate."""
    shift, base = request.param
    found = rarely(sound, holdout, shift)
    assert 0.7 * base < found.label.mean() < 1.4 * base
    return shift, found


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, "passed"), (2.0, "refused"), (0.4, "refused")])
def test_probabilities_of_rare_outcomes_must_be_right_too(sound, scarce, config, factor, outcome):
    shift, rows = scarce
    found = gate(judge(bent(sound, shift=shift + float(np.log(factor))), None, rows, config), "calibration")
    assert found.outcome == outcome, found.found


def test_a_model_of_another_question_is_refused_and_is_no_champion(sound, holdout, config):
    other = replace(sound, question={**sound.question, "within_days": 30})
    verdict = judge(other, sound, holdout, config)
    assert verdict.refused == ("manifest",)
    assert "within 30 days; today" in gate(verdict, "manifest").found
    assert judge(sound, other, holdout, config).champion == ""


def test_what_a_training_was_told_does_not_change_what_the_gates_ask(sound, config):
    agreed, told = replace(config, data=DataSettings()), replace(config, data=DataSettings(max_test=120))
    assert gates_config(agreed, lambda: told, [sound]) is agreed
    assert not asks_alike(agreed, told)


def test_where_accounts_divide_the_data_the_gates_ask_as_the_candidates_run_has_it_on_record(sound, config):
    timeless = replace(sound, metrics={**sound.metrics, "test_from": None})
    agreed, told = replace(config, data=DataSettings()), replace(config, data=DataSettings(max_test=120), seed=4)
    assert asks_alike(gates_config(agreed, lambda: recorded_config(None, told.flat(), "won_90d"), [timeless]), told)


def test_the_settings_are_kept_with_the_verdict(sound, holdout, config):
    settings = judge(sound, sound, holdout, config).document()["settings"]
    assert (settings["data.max_test"], settings["goal.within_days"], settings["seed"]) == (20_000, 90, 1)


def test_accounts_that_divide_the_data_are_named_where_nothing_is_new_to_both(sound, holdout, config):
    timeless = replace(holdout.split, test_from=None)
    verdict = judge(sound, sound, replace(few(holdout, 1), split=timeless), config)
    assert "trained on this very data" in gate(verdict, "hold_out").mend


def test_the_hold_out_is_new_to_both_models(trained, sound):
    later = replace(sound, metrics={**sound.metrics, "test_from": int(trained.dataset.as_of.max())})
    rows = holdout_of(trained.dataset, [sound, later])
    assert judged_since([sound, later]) == rows.as_of.min() == trained.dataset.as_of.max()


def test_accounts_that_other_folds_have_taught_are_no_hold_out(trained, sound):
    timeless = replace(sound, metrics={**sound.metrics, "test_from": None})
    other = replace(timeless, metrics={**timeless.metrics, "digest": "1" * 64})
    assert len(holdout_of(trained.dataset, [timeless]).label) == trained.dataset.split.test.sum()
    assert len(holdout_of(trained.dataset, [timeless, other]).label) == 0


def test_a_verdict_is_json_words_and_a_page_that_asks_for_nothing(sound, holdout, config):
    verdict = judge(bent(sound, shift=1.0), sound, holdout, config)
    assert json.loads(json.dumps(verdict.document()))["passed"] is False
    assert "Next: train on later data" in verdict.text()
    page = verdict.page()
    assert "Refused by" in page
    assert "http" not in page
    assert "<script" not in page


def test_names_in_a_page_are_text(sound, holdout, config):
    verdict = replace(judge(sound, sound, holdout, config), goal="<b>won</b>")
    assert "<b>won</b>" not in verdict.page()


def test_small_samples_move_by_themselves():
    random = np.random.default_rng(0)
    found = [stability_index(random.normal(size=200), random.normal(size=200)) for _ in range(400)]
    bar = chance_index(10, 200, 200)
    assert 0.01 < np.mean([one > bar for one in found]) < 0.1
    assert stability_index(random.normal(size=200), random.normal(1.0, size=200)) > bar + 0.2


def test_the_catalogue_of_today_is_what_counts(sound, holdout, config):
    fewer = replace(holdout, catalogue=Catalogue(holdout.catalogue.features[1:]))
    assert judge(sound, None, fewer, config).refused == ("manifest",)
