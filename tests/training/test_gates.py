"""Each gate refuses a candidate in which one fault has been planted, and lets a sound one through."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from features.catalogue import Catalogue
from models.bundle import Bundle, load_bundle
from models.drift import chance_index, stability_index
from tests.training.faulty import FAULTS, Partial, bent, declared
from training.dataset import Dataset
from training.gates import FEWEST_OUTCOMES, GATES, judge
from training.holdout import holdout_of, judged_since


@pytest.fixture(scope="module")
def sound(bundle) -> Bundle:
    return load_bundle(bundle)


@pytest.fixture(scope="module")
def holdout(trained, sound) -> Dataset:
    return holdout_of(trained.dataset, [sound, sound])


def gate(verdict, name):
    return next(one for one in verdict.gates if one.name == name)


def test_a_sound_candidate_passes_every_gate(sound, holdout):
    verdict = judge(sound, sound, holdout)
    assert [one.name for one in verdict.gates] == list(GATES)
    assert {one.outcome for one in verdict.gates} == {"passed"}
    assert verdict.passed


def test_a_first_version_is_compared_with_the_base_rate(sound, holdout):
    verdict = judge(sound, None, holdout)
    assert verdict.passed
    assert gate(verdict, "hold_out").figures["brier_difference_high"] < 0
    assert gate(verdict, "slices").outcome == "not judged"


def test_a_feature_that_is_formed_otherwise_today_is_refused_by_name(sound, holdout):
    verdict = judge(FAULTS["manifest"](sound), sound, holdout)
    assert verdict.refused == ("manifest",)
    assert str(sound.catalogue[0]["name"]) in gate(verdict, "manifest").found
    assert {one.outcome for one in verdict.gates[1:]} == {"not judged"}


def test_a_feature_that_is_only_worded_otherwise_is_not(sound, holdout):
    candidate = declared(sound, lambda one: {"meaning": {"en": "other words", "zh": "x"}})
    assert gate(judge(candidate, sound, holdout), "manifest").outcome == "passed"


def test_a_champion_that_todays_features_can_not_feed_is_not_compared_with(sound, holdout):
    old = declared(sound, lambda one: {"dtype": "number"})
    assert judge(sound, old, holdout).champion == ""


def test_a_candidate_that_is_worse_on_the_hold_out_is_refused(sound, holdout):
    assert "hold_out" in judge(FAULTS["hold_out"](sound), sound, holdout).refused


@pytest.mark.parametrize("fault", [{"slope": 1.6}, {"slope": 0.5}, {"shift": 1.0}], ids=str)
def test_a_candidate_whose_probabilities_are_bent_is_refused(sound, holdout, fault):
    assert "calibration" in judge(bent(sound, **fault), sound, holdout).refused


def test_a_miss_in_calibration_does_not_keep_a_worse_champion(sound, holdout):
    candidate, champion = bent(sound, shift=0.8), bent(sound, shift=1.6)
    assert gate(judge(candidate, champion, holdout), "calibration").outcome == "passed"


def test_scores_that_have_moved_since_training_are_refused(sound, holdout):
    verdict = judge(FAULTS["stability"](sound), sound, holdout)
    assert verdict.refused == ("stability",)
    figures = gate(verdict, "stability").figures
    assert figures["since_training"] > figures["since_training_bar"]


def test_scores_far_from_the_champions_are_refused_unless_proven_better(sound, holdout):
    shifted = bent(sound, shift=1.5)
    assert "stability" in judge(shifted, sound, holdout).refused
    assert gate(judge(sound, shifted, holdout), "stability").outcome == "passed"


def test_a_slice_that_is_worse_is_refused_although_the_whole_is_not(sound, holdout):
    stage = np.array(holdout.table.column("new_stage").to_pylist())
    champion, candidate = (replace(sound, scorer=Partial(sound, *spoilt)) for spoilt in (("lead", 2.0), ("sql", 2.0)))
    verdict = judge(candidate, champion, holdout)
    assert "slices" in verdict.refused
    assert "new_stage = sql" in gate(verdict, "slices").found
    assert "lead" not in gate(verdict, "slices").found
    assert {"lead", "sql"} <= set(stage.tolist())


def test_contributions_that_do_not_sum_are_refused(sound, holdout):
    verdict = judge(FAULTS["explanations"](sound), sound, holdout)
    assert verdict.refused == ("explanations",)


def few(holdout: Dataset) -> Dataset:
    accounts = np.unique(holdout.account_id[holdout.label > 0])[: FEWEST_OUTCOMES - 1]
    kept = np.flatnonzero(np.isin(holdout.account_id, accounts))
    parts = {
        name: getattr(holdout, name)[kept] for name in ("label", "account_id", "as_of", "weight", "is_event", "amount")
    }
    return replace(holdout, table=holdout.table.take(kept), **parts)


def test_with_too_few_outcomes_a_challenger_waits_and_a_first_version_does_not(sound, holdout):
    assert judge(sound, sound, few(holdout)).refused == ("hold_out",)
    assert judge(sound, None, few(holdout)).passed


def test_the_hold_out_is_new_to_both_models(trained, sound):
    later = replace(sound, metrics={**sound.metrics, "test_from": int(trained.dataset.as_of.max())})
    rows = holdout_of(trained.dataset, [sound, later])
    assert judged_since([sound, later]) == rows.as_of.min() == trained.dataset.as_of.max()


def test_accounts_that_other_folds_have_taught_are_no_hold_out(trained, sound):
    timeless = replace(sound, metrics={**sound.metrics, "test_from": None})
    other = replace(timeless, metrics={**timeless.metrics, "digest": "1" * 64})
    assert len(holdout_of(trained.dataset, [timeless]).label) == trained.dataset.split.test.sum()
    assert len(holdout_of(trained.dataset, [timeless, other]).label) == 0


def test_a_verdict_is_json_words_and_a_page_that_asks_for_nothing(sound, holdout):
    verdict = judge(bent(sound, shift=1.0), sound, holdout)
    assert json.loads(json.dumps(verdict.document()))["passed"] is False
    assert "Next: train on later data" in verdict.text()
    page = verdict.page()
    assert "Refused by" in page
    assert "http" not in page
    assert "<script" not in page


def test_names_in_a_page_are_text(sound, holdout):
    verdict = replace(judge(sound, sound, holdout), goal="<b>won</b>")
    assert "<b>won</b>" not in verdict.page()


def test_small_samples_move_by_themselves():
    random = np.random.default_rng(0)
    found = [stability_index(random.normal(size=200), random.normal(size=200)) for _ in range(400)]
    bar = chance_index(10, 200, 200)
    assert 0.01 < np.mean([one > bar for one in found]) < 0.1
    assert stability_index(random.normal(size=200), random.normal(1.0, size=200)) > bar + 0.2


def test_the_catalogue_of_today_is_what_counts(sound, holdout):
    fewer = replace(holdout, catalogue=Catalogue(holdout.catalogue.features[1:]))
    assert judge(sound, None, fewer).refused == ("manifest",)
