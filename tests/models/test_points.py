from __future__ import annotations

import json

import pytest

from features.agreement import Agreement
from features.algebra import Decayed, where
from features.catalogue import catalogue
from features.catalogue.assemble import points_features
from features.errors import BundleError, UnknownError
from models.points import UNIT, make_points, points_score
from models.propensity import scorer_from_files
from tests.models.conftest import POINTS


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    return Agreement.load()


def load(tmp_path, text: str) -> Agreement:
    (tmp_path / "smarketing.toml").write_text(text)
    return Agreement.load(tmp_path / "smarketing.toml")


def scored(agreement: Agreement, **values: float):
    declared = catalogue(agreement).features
    return points_score(agreement, declared, [values.get(feature.name) for feature in declared])


def test_the_margin_is_the_sum_of_the_points(market):
    scorer = make_points(market.encoding, POINTS)
    expected = (12.0 * market.X[:, 3] - 3.0 * market.X[:, 1]) / UNIT
    assert scorer.margin(market.X) == pytest.approx(expected)
    added = scorer.contributions(market.X)
    assert added[:, 3] == pytest.approx(12.0 * market.X[:, 3] / UNIT)
    assert not added[:, [0, 2, 4, 5, 6, 7]].any()


def test_its_file_is_the_table_that_people_wrote(market):
    document = json.loads(make_points(market.encoding, POINTS).files()["model.json"])
    assert {row["feature"]: row["points"] for row in document["table"]} == POINTS


@pytest.mark.parametrize("change", [{"points_per_unit": 1}, {"n_features": 1}, {"name": "x"}, {"table": [{}]}])
def test_a_table_that_can_not_be_is_refused(market, change):
    document = json.loads(make_points(market.encoding, POINTS).files()["model.json"])
    with pytest.raises(BundleError):
        scorer_from_files({"model.json": json.dumps({**document, **change}).encode()}, "points", "points")


def test_a_feature_without_a_column_is_refused(market):
    with pytest.raises(UnknownError, match="Did you mean 'calls_30d'"):
        make_points(market.encoding, {"calls_30": 1.0})


def test_less_than_half_a_point_counts_and_is_no_reason(agreement):
    found = scored(agreement, demo_requests_decay_30d=0.01, pricing_views_decay_30d=1.0)
    assert found.points == pytest.approx(8.3)
    assert [reason.points for reason in found.up] == [8.0]


def test_before_any_model_touches_earn_what_the_agreement_says(agreement):
    found = scored(agreement, demo_requests_decay_30d=1.0, pricing_views_decay_30d=2.5)
    assert found.points == 30 + 8 * 2.5
    assert found.score == 50
    assert [(reason.code, reason.points) for reason in found.up] == [("demo_requests", 30.0), ("pricing_views", 20.0)]
    assert found.up[1].texts == {
        "en": "recent pricing views add up to 2.5 (halved every 30 days): +20 points",
        "zh": "近期价格页浏览折合 2.5 次（每 30 天减半）：+20 分",
    }


def test_scores_rise_with_points_within_1_and_99(agreement):
    scores = [scored(agreement, demo_requests_decay_30d=n).score for n in (0.0, 0.5, 1.0, 3.0, 50.0)]
    assert scores == [1, 19, 34, 71, 99]
    assert scored(agreement, demo_requests_decay_30d=float("nan")).up == ()


def test_points_may_be_taken_away(tmp_path):
    found = scored(load(tmp_path, "[points]\ndemo_request = 30\nquote_declined = -40\n"), quotes_declined_decay_30d=1.0)
    assert (found.points, found.score) == (-40.0, 1)
    assert [(reason.code, reason.points) for reason in found.down] == [("quotes_declined", -40.0)]


@pytest.mark.parametrize(("days", "name"), [(14, "demo_requests_decay_14d"), (0.5, "demo_requests_decay_0_5d")])
def test_another_half_life_is_declared_for_the_types_with_points(tmp_path, days, name):
    agreement = load(tmp_path, f"[points]\nhalf_life_days = {days}\ndemo_request = 30\n")
    declared = catalogue(agreement)
    assert points_features(agreement) == {name: 30.0}
    assert declared[name].expression == Decayed(days, where(touch_type="demo_request"))
    assert len(declared.names) == len(catalogue(Agreement.load()).names) + 1


def test_the_built_in_half_life_adds_no_feature(agreement):
    assert set(points_features(agreement)) <= set(catalogue(agreement).names)
    assert len(set(catalogue(agreement).names)) == len(catalogue(agreement).names)
