from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from features.agreement import Agreement
from models.attribution.aggregate import credit_by, with_team
from models.attribution.rules import rules
from tests.models.attribution.few import JOURNEYS, channels, walked

RULES = rules(Agreement.load().attribution)
MARKET = walked(
    channels("Email", "Event", revenue=1001),
    channels("Email", "Email", account="a", revenue=300, currency="JPY"),
    channels("Event", account="b", revenue=5, currency=None),
    channels(account="c", revenue=50),
    channels("Partner", account="d", converted=False),
)


def test_the_figures_of_each_channel_are_added_up_with_every_currency_by_itself():
    names = ("channel", "conversions", "touches", "accounts", "revenue_EUR", "revenue_JPY", "revenue_unknown")
    assert credit_by(RULES["linear"].credit(MARKET), ["channel"]).to_pylist() == [
        dict(zip(names, row, strict=True))
        for row in (
            ("Email", 1.5, 3, 1, 501, 300, 0),
            ("Event", 1.5, 2, 2, 500, 0, 5),
            ("(no touch)", 1.0, 0, 1, 50, 0, 0),
        )
    ]


def test_a_credit_and_its_frame_add_up_to_the_same():
    credit = RULES["time_decay"].credit(MARKET)
    for columns in (["channel"], ["content", "currency"], ["account_id", "transition"], []):
        assert credit_by(credit, columns) == credit_by(credit.frame(), columns)


def test_frames_of_several_models_are_added_up_side_by_side():
    frame = pa.concat_tables([RULES[name].credit(MARKET).frame() for name in ("first", "last")])
    found = credit_by(frame, ["model", "channel"])
    assert sorted(zip(found["model"].to_pylist(), found["channel"].to_pylist(), strict=True)) == [
        (model, channel) for model in ("first", "last") for channel in ("(no touch)", "Email", "Event")
    ]
    assert found["conversions"].to_numpy().sum() == 8


def test_no_columns_give_the_total():
    total = credit_by(RULES["first"].credit(MARKET), [])
    assert total.to_pylist() == [
        {"conversions": 4, "touches": 3, "accounts": 3, "revenue_EUR": 1051, "revenue_JPY": 300, "revenue_unknown": 5}
    ]


def test_which_content_and_which_person_made_the_conversions():
    credit = RULES["last"].credit(MARKET)
    assert credit_by(credit, ["content"])["content"].to_pylist() == ["about Event", "about Email", None]
    people = credit_by(credit, ["actor_id", "channel"])
    assert dict(zip(people["channel"].to_pylist(), people["actor_id"].to_pylist(), strict=True)) == {
        "Email": "E", "Event": "E", "(no touch)": None
    }  # fmt: skip


def test_an_answer_also_knows_the_other_columns_of_the_touches():
    assert credit_by(RULES["first"].credit(MARKET), ["is_lever"])["is_lever"].to_pylist() == [True, None]


def test_teams_are_those_of_the_people():
    frame = with_team(RULES["first"].credit(walked(channels("Email"), channels("Partner"))).frame(), {"E": "north"})
    assert credit_by(frame, ["team"]).select(["team", "conversions"]).to_pylist() == [
        {"team": "north", "conversions": 1.0}, {"team": None, "conversions": 1.0}
    ]  # fmt: skip


def test_nothing_gives_no_groups():
    nothing = RULES["first"].credit(walked(channels("Email", converted=False)))
    assert credit_by(nothing, ["channel", "campaign"]).num_rows == 0
    assert credit_by(nothing, [])["conversions"].to_pylist() == [0]


@given(JOURNEYS)
def test_the_totals_are_the_same_however_rows_are_grouped(journeys):
    credit = RULES["position"].credit(journeys)
    whole = credit_by(credit, []).to_pylist()[0]
    for columns in (["channel"], ["account_id"], ["currency", "actor_id"], ["event_id", "source", "cycle_id"]):
        grouped = credit_by(credit, columns)
        for name in set(whole) - {"accounts"}:
            assert sum(grouped[name].to_pylist()) == pytest.approx(whole[name], rel=1e-12, abs=0)


def test_two_thousand_channels_are_added_up():
    journeys = walked(*(channels(f"Channel {number}", account=str(number), revenue=3) for number in range(2_000)))
    found = credit_by(RULES["linear"].credit(journeys), ["channel"])
    assert found.num_rows == 2_000
    assert set(found["conversions"].to_pylist()) == {1.0} and set(found["revenue_EUR"].to_pylist()) == {3}
    assert found["channel"].to_pylist() == sorted(found["channel"].to_pylist())


def test_sums_that_differ_by_rounding_stand_in_the_order_of_their_names():
    journeys = walked(*(channels("Event", "Partner", "Email") for _ in range(7)))
    for order in (np.arange(7), np.arange(7)[::-1]):
        found = credit_by(RULES["linear"].credit(journeys.take(order)), ["channel"])
        assert found["channel"].to_pylist() == ["Email", "Event", "Partner"]
