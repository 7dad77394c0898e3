from __future__ import annotations

from dataclasses import replace

import pytest

from features.agreement import Agreement, CreditRule
from models.attribution.rules import rules, time_decay
from tests.models.attribution.few import Walk, channels, walked

ATTRIBUTION = Agreement.load().attribution


def weights(name, *walks, attribution=ATTRIBUTION, **options):
    return rules(attribution)[name].weigh(walked(*walks, **options)).tolist()


def own(*walks, first=0.0, last=0.0, lead=0.0, deal=0.0, middle=0.0, exclude=()):
    models = {"own": CreditRule("own", first, last, lead, deal, middle, exclude)}
    return weights("own", *walks, attribution=replace(ATTRIBUTION, models=models))


FOUR = channels("Email", "Event", "Partner", "Direct", ends=5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first", [1, 0, 0, 0]),
        ("last", [0, 0, 0, 1]),
        ("last_non_direct", [0, 0, 1, 0]),
        ("linear", [0.25, 0.25, 0.25, 0.25]),
        ("position", [0.4, 0.1, 0.1, 0.4]),
    ],
)
def test_places_decide(name, expected):
    assert weights(name, FOUR) == pytest.approx(expected)


@pytest.mark.parametrize("name", rules(ATTRIBUTION))
def test_a_single_touch_has_everything(name):
    assert weights(name, channels("Email", lead=0, deal=0)) == [1]
    assert weights(name, channels("Direct")) == [1]


def test_two_touches_share_by_position_in_halves():
    assert weights("position", channels("Email", "Event")) == [0.5, 0.5]


def test_last_non_direct_falls_back_to_the_last_of_direct_touches_only():
    assert weights("last_non_direct", channels("Direct", "Direct"), channels("Email", "Direct")) == [0, 1, 1, 0]


def test_time_decay_halves_with_the_half_life_in_real_time_not_in_whole_days():
    journeys = walked(Walk([("Email", 92.5), ("Event", 99.5)], ends=99.75))
    assert time_decay(7.0)(journeys).tolist() == pytest.approx([1 / 3, 2 / 3], rel=1e-12)
    days = walked(Walk([("Email", 99.25), ("Event", 99.75)]))
    assert time_decay(0.5)(days).tolist() == pytest.approx([1 / 3, 2 / 3], rel=1e-12)


def test_time_decay_does_not_vanish_long_before_the_conversion():
    assert time_decay(0.01)(walked(Walk([("Email", 1), ("Event", 1)]))).tolist() == [0.5, 0.5]


MILESTONES = Walk([("Email", 1), ("Event", 5), ("Partner", 10), ("Direct", 15), ("Email", 20), ("Event", 30)])


def test_w_shaped_gives_thirty_per_cent_to_the_touches_of_the_milestones_and_ten_to_those_between():
    walk = replace(MILESTONES, lead=11, deal=20)
    assert weights("w_shaped", walk) == pytest.approx([0.3, 0.05, 0.3, 0.05, 0.3, 0])


def test_full_path_adds_the_last_touch_before_the_close():
    walk = replace(MILESTONES, lead=11, deal=20)
    assert weights("full_path", walk) == pytest.approx([0.225, 0.05, 0.225, 0.05, 0.225, 0.225])


def test_a_touch_that_made_several_milestones_has_the_sum_of_their_shares():
    walk = Walk([("Email", 1), ("Event", 5), ("Partner", 9)], lead=1, deal=9)
    assert weights("w_shaped", walk) == pytest.approx([0.6, 0.1, 0.3])


def test_the_share_of_touches_between_goes_to_the_milestones_when_there_are_none():
    walk = Walk([("Email", 1), ("Event", 5), ("Partner", 9)], lead=5, deal=9)
    assert weights("w_shaped", walk) == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_the_share_of_a_missing_milestone_goes_to_the_others_in_proportion():
    walk = Walk([("Email", 1), ("Event", 5), ("Partner", 9)], lead=5)
    assert weights("w_shaped", walk) == pytest.approx([0.3 / 0.7, 0.3 / 0.7, 0.1 / 0.7])


def test_a_milestone_before_the_first_touch_is_missing():
    walk = Walk([("Email", 5), ("Event", 9), ("Partner", 12)], lead=4, deal=9)
    assert weights("w_shaped", walk) == pytest.approx([0.5, 0.5, 0])


def test_without_stages_the_milestones_are_missing():
    assert weights("w_shaped", channels("Email", "Event"), milestones=False) == pytest.approx([0.75, 0.25])


def test_the_transition_itself_is_a_milestone():
    walk = Walk([("Email", 1), ("Event", 5), ("Partner", 9)], lead=5, ends=10)
    assert weights("w_shaped", walk, transition="deal") == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_of_touches_at_the_same_microsecond_the_order_decides():
    walk = Walk([("Email", 5), ("Event", 5), ("Partner", 5)], lead=5, deal=5)
    assert weights("first", walk) == [1, 0, 0]
    assert weights("w_shaped", walk) == pytest.approx([0.3, 0.1, 0.6])


def test_a_rule_of_ones_own_weighs_what_it_says():
    walk = replace(MILESTONES, lead=11, deal=20)
    found = own(walk, first=0.3, last=0.3, lead=0.1, deal=0.1, middle=0.2)
    assert found == pytest.approx([0.3, 0.1, 0.1, 0.1, 0.1, 0.3])


def test_an_excluded_channel_holds_no_place():
    assert own(FOUR, first=0.5, last=0.5, exclude=("Email", "Direct")) == [0, 0.5, 0.5, 0]
    assert own(channels(None, "Email"), first=1, exclude=("Unassigned",)) == [0, 1]


def test_where_every_channel_is_excluded_the_conversion_is_given_to_no_touch():
    rule = CreditRule("own", 1, 0, 0, 0, 0, ("Email",))
    journeys = walked(channels("Email", revenue=5))
    frame = rules(replace(ATTRIBUTION, models={"own": rule}))["own"].credit(journeys).frame()
    assert frame.select(["channel", "credit", "revenue"]).to_pylist() == [
        {"channel": "(no touch)", "credit": 1.0, "revenue": 5}
    ]


def test_a_rule_credits_all_identical_journeys_of_a_row_and_only_conversions():
    journeys = walked(channels("Email", "Event", count=4), channels("Email", converted=False), channels())
    credit = rules(ATTRIBUTION)["linear"].fit(journeys).credit(journeys)
    assert credit.touch.tolist() == [2, 2, 0]
    assert credit.rest.tolist() == [0, 0, 1]
