from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest

from features.relations import Relations
from models.bootstrap import Estimate
from models.bundle import load_bundle
from tests.training.conftest import hand_made
from training import diagnosis, evaluation
from training.findings import beats_rule
from training.origin import channel_of_origin
from training.parts import FEWEST, TestRows
from training.report_page import report_page
from training.run import train_on


@pytest.fixture(scope="module")
def mixed(settings):
    """A run whose moments are partly event-triggered, and rarer in the sample than in the declared use."""
    data = hand_made(500)
    is_event = np.random.default_rng(0).random(len(data.label)) < 0.4
    weight = np.where(is_event, 2.0, 0.5)
    return train_on(dataclasses.replace(data, is_event=is_event, weight=weight), *settings)


def with_winners(trained, config, winners):
    """Return the report of a run as it would be had so few accounts of the test reached the goal."""
    data, test = trained.dataset, trained.dataset.split.test
    won = np.unique(data.account_id[test & (data.label > 0)])[:winners]
    label = np.where(test & ~np.isin(data.account_id, won), 0, data.label).astype(np.int8)
    changed = dataclasses.replace(data, label=label)
    return evaluation.judge(changed, config, trained.ladder, trained.X, trained.fitted, 100, "cross-fitted margins")


@pytest.fixture(scope="module")
def document(mixed):
    return json.loads(json.dumps(mixed.report.document(), allow_nan=False))


def rule(report):
    found = beats_rule(report)
    assert found is not None
    return found


def answered(report, low, high):
    """Return the report as it would be if the rule's log loss lay in an interval above or below the best rung's."""
    rungs = []
    for rung in report.rungs:
        if rung.name == "points":
            told = {**rung.difference["use"], "log_loss": Estimate((low + high) / 2, low, high)}
            rung = dataclasses.replace(rung, difference={"use": told})
        rungs.append(rung)
    return dataclasses.replace(report, rungs=tuple(rungs))


def judged_rows(columns):
    rows, random = 400, np.random.default_rng(0)
    label = (random.random(rows) < 0.4).astype(np.int8)
    account = np.array([f"a{number}" for number in range(rows)])
    never, as_of = np.zeros(rows, dtype=np.bool_), np.arange(rows, dtype=np.int64)
    return TestRows(pa.table(columns), label, account, as_of, np.ones(rows), never, never, 0)


def test_every_part_is_measured_and_counted(mixed):
    assert list(mixed.report.parts) == ["use", "grid", "event", "unseen"]
    assert mixed.report.parts["grid"].rows + mixed.report.parts["event"].rows == mixed.report.parts["use"].rows
    for rung in mixed.report.rungs:
        assert set(rung.parts) == set(mixed.report.parts)


def test_the_declared_use_counts_rows_by_their_weights(mixed):
    base_rate = {name: part.base_rate for name, part in mixed.report.parts.items()}
    event, data = mixed.dataset.is_event, mixed.dataset
    share = 2 * event[data.split.test].sum() / data.weight[data.split.test].sum()
    assert base_rate["use"] == pytest.approx(share * base_rate["event"] + (1 - share) * base_rate["grid"])
    brier = {name: mixed.report.champion.parts[name]["brier"].value for name in ("use", "grid", "event")}
    assert brier["use"] == pytest.approx(share * brier["event"] + (1 - share) * brier["grid"])


def test_a_test_of_one_kind_of_moment_has_no_parts_for_it(trained):
    assert list(trained.report.parts) == ["use", "unseen"]


@pytest.mark.parametrize("winners", [0, 1, 3, 8])
def test_a_test_with_too_few_outcomes_says_so_and_shows_what_the_folds_say(trained, settings, winners):
    report = with_winners(trained, settings[1], winners)
    text, document = report.text(), json.loads(json.dumps(report.document(), allow_nan=False))
    assert (report.outcomes_test, report.is_measured, report.champion.test) == (winners, False, {})
    assert f"Nothing could be judged on the test: {winners} of its" in " ".join(text.split())
    assert "training snapshots, out of fold" in text and "too few outcomes to tell" in text
    assert (document["reliability"], document["lift"], document["rungs"][0]["parts"]) == ({}, [], {"use": {}})
    assert "too few outcomes to measure" in report_page(document, {})
    assert "not_judged" in {line["code"] for section in document["card"] for line in section["lines"]}


def test_a_test_with_just_enough_outcomes_is_measured(trained, settings):
    report = with_winners(trained, settings[1], FEWEST)
    assert report.is_measured and report.champion.parts["use"]["auc"].low is not None
    assert rule(report)["answer"] in {"yes", "no", "unsure"}
    assert "accounts never seen in training" in " ".join(report.text().split("Too few outcomes to measure")[1].split())


def test_a_single_winning_account_teaches_and_is_not_called_out_of_fold(settings):
    data = hand_made(300, horizon=30)
    first = data.account_id[np.flatnonzero(data.split.train & (data.label > 0))[0]]
    label = np.where(data.account_id == first, data.label, 0).astype(np.int8)
    report = train_on(dataclasses.replace(data, label=label), *settings).report
    assert (report.outcomes_train, report.best, report.champion.log_loss) == (1, "shrunk", None)
    assert "too few to hold any out and compare" in report.verdict()
    assert "out of fold" not in report.text()


@pytest.mark.parametrize(
    ("best", "said"), [("shrunk", "no rival's log loss is lower"), ("lightgbm", "than that of shrunk")]
)
def test_the_reason_is_that_of_the_rung_to_beat(mixed, best, said):
    rungs = [
        dataclasses.replace(one, excess=-0.1, excess_error=0.05, difference={"use": {}}) for one in mixed.report.rungs
    ]
    report = dataclasses.replace(mixed.report, default="shrunk", best=best, rungs=tuple(rungs))
    assert said in report.verdict()
    assert ("lower by 2.0 standard errors" in report.verdict()) == (best == "lightgbm")


def test_differences_are_those_of_the_measures_and_narrower_than_both(mixed):
    best, worse = mixed.report.champion, next(one for one in mixed.report.rungs if one.name == "stage_table")
    difference = worse.difference["use"]["brier"]
    assert difference.value == pytest.approx(worse.test["brier"] - best.test["brier"])
    assert difference.half < np.hypot(best.parts["use"]["brier"].half, worse.parts["use"]["brier"].half)
    assert best.difference == {} and best.out_of_fold is None


def test_out_of_fold_differences_are_those_of_the_ladder(mixed):
    for rung in mixed.report.rungs:
        if rung.name != mixed.report.best:
            expected = rung.log_loss - mixed.report.champion.log_loss
            assert rung.out_of_fold.value == pytest.approx(expected, abs=1e-9)


def test_the_best_rung_is_held_against_the_rule_on_the_same_draws(mixed):
    found = rule(mixed.report)
    assert found["answer"] == "yes"
    assert found["difference"]["log_loss"]["high"] < 0 < found["difference"]["auc"]["low"]
    assert found["text"].startswith("Does it beat your rule? Yes")
    assert found["text"] in " ".join(mixed.report.text().split())


def test_a_rule_that_is_the_best_rung_or_that_is_not_there_is_said_so(mixed):
    report = mixed.report
    without = tuple(one for one in report.rungs if one.name != "points")
    assert rule(dataclasses.replace(report, best="points"))["answer"] == "is_rule"
    assert beats_rule(dataclasses.replace(report, rungs=without)) is None


@pytest.mark.parametrize(("low", "high", "answer"), [(-0.1, 0.1, "unsure"), (-0.3, -0.1, "no"), (0.1, 0.3, "yes")])
def test_nothing_is_called_better_where_the_interval_holds_0(mixed, low, high, answer):
    report = answered(mixed.report, low, high)
    assert rule(report)["answer"] == answer
    said = next(one for one in report.verdict().split("On the test")[1].split(";") if "points" in one)
    assert ("no difference can be told" in said) == (answer == "unsure")


def test_reliability_agrees_with_the_probabilities_and_its_bars_hold_the_share(document):
    for bins in document["reliability"].values():
        assert len(bins) == 10
        assert [one["predicted"] for one in bins] == sorted(one["predicted"] for one in bins)
        assert all(one["low"] <= one["observed"] <= one["high"] for one in bins)
        assert sum(one["low"] <= one["predicted"] <= one["high"] for one in bins) >= 6


def test_lift_ends_at_one_and_captures_everything(document):
    assert (document["lift"][-1]["lift"]["value"], document["lift"][-1]["captured"]) == (1, 1)
    assert document["lift"][0]["lift"]["value"] > 1.5


def test_every_week_of_the_test_has_a_slope_with_an_interval(document):
    assert len(document["weekly"]) > 5
    assert sum(week["rows"] for week in document["weekly"]) == document["counts"]["test"]
    for week in document["weekly"]:
        assert week["slope"]["low"] < week["slope"]["value"] < week["slope"]["high"]


def test_slices_are_made_from_the_columns_there_are_and_small_ones_say_so():
    random = np.random.default_rng(0)
    segment = np.where(np.arange(400) < 390, random.choice(["small", "large"], 400), "odd")
    rows = judged_rows({"segment": segment, "employees": random.choice([5.0, 300.0, np.nan], 400)})
    logit = random.normal(-0.4, 1, 400)
    found = {(one.slice, one.value): one for one in diagnosis.diagnose(rows, rows.parts(), logit).slices}
    assert {key for key in found if key[0] == "size"} == {
        ("size", "1 to 9 people"),
        ("size", "250 to 999 people"),
        ("size", "not known"),
    }
    assert found["segment", "odd"].measures is None
    assert found["segment", "odd"].outcomes < FEWEST
    assert set(found["segment", "small"].measures or ()) == set(diagnosis.SLICE_MEASURES)


def test_rare_values_of_a_slice_are_taken_together():
    language = np.array([f"l{number // 20:02d}" for number in range(400)])
    rows = judged_rows({"language": language})
    found = diagnosis.diagnose(rows, rows.parts(), np.linspace(-2, 2, 400)).slices
    assert len(found) == diagnosis.MOST_VALUES + 1
    assert (found[-1].value, found[-1].rows) == ("all others", 400 - 20 * diagnosis.MOST_VALUES)


def test_the_channel_of_origin_is_that_of_the_first_touch_from_either_side():
    touches = pa.table(
        {
            "account": pa.array([0, 0, 2, 2], pa.int32()),
            "direction": ["internal", "inbound", "outbound", "inbound"],
            "channel": ["Back Office", "Email", "Event", "Direct"],
        }
    )
    found = channel_of_origin(Relations(tables={"touches": touches}, account_ids=["a", "b", "c"]))
    assert found.tolist() == ["Email", "not known", "Event"]


def test_channels_are_slices():
    rows = dataclasses.replace(judged_rows({"other": np.zeros(400)}), origin=np.array(["Email", "Direct"] * 200))
    found = diagnosis.diagnose(rows, rows.parts(), np.linspace(-2, 2, 400)).slices
    assert [(one.slice, one.value, one.rows) for one in found] == [
        ("channel", "Direct", 200),
        ("channel", "Email", 200),
    ]


def test_seen_and_unseen_accounts_are_slices(document):
    seen = [one for one in document["slices"] if one["slice"] == "seen"]
    assert sum(one["rows"] for one in seen) == document["counts"]["test"]


def test_importance_sums_to_the_score_and_the_strongest_is_first(mixed, document):
    importance = document["importance"]
    strength = [one["mean_abs"] for one in importance["concepts"]]
    assert strength == sorted(strength, reverse=True)
    assert importance["features"][0]["name"] == "touches_30d"
    assert all(len(one["contributions"]) == importance["rows"] for one in importance["beeswarm"])
    places = [value for one in importance["beeswarm"] for value in one["values"] if value is not None]
    assert 0 <= min(places) < max(places) <= 1


def test_a_bundle_is_judged_as_its_own_run_judged_it(mixed, settings, tmp_path):
    mixed.save(tmp_path / "bundle", trained_at=500 * 86_400_000_000)
    bundle = load_bundle(tmp_path / "bundle")
    report = evaluation.judge_bundle(mixed.dataset, settings[1], bundle, mixed.report.capacity)
    assert report.champion.parts == mixed.report.champion.parts
    assert report.diagnosis == mixed.report.diagnosis
    assert json.loads(json.dumps(bundle.metrics)) == json.loads(json.dumps(mixed.report.document()))


def test_metrics_for_the_registry_are_flat_and_carry_bounds(mixed):
    flat = mixed.report.metrics()
    best = mixed.report.champion.parts["use"]["auc"]
    assert (flat["test.auc"], flat["test.auc.low"], flat["test.auc.high"]) == (best.value, best.low, best.high)
    assert flat["test.event.auc"] == mixed.report.champion.parts["event"]["auc"].value
    assert flat["stage_table.test.auc"] < flat["lightgbm.test.auc"]
    assert all(np.isfinite(value) for value in flat.values())
