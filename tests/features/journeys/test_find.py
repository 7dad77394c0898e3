"""What a journey is: its touches, its ending, its worth, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from features.errors import UnknownError
from tests.features.journeys.conftest import Story, day


def test_a_touch_at_the_moment_of_the_conversion_is_not_before_it(story: Story) -> None:
    for on in (10, 40, 50):
        story.touch(on)
    story.deal("won", 40)
    assert story.told()[0]["touches"] == [10]
    assert story.journeys().left_out == {"touches_after_the_end": 2}


def test_the_touch_that_makes_a_lead_is_what_brought_it(story: Story) -> None:
    story.touch(10, direction="inbound")
    story.touch(12, direction="inbound")
    (row,) = story.told("lead")
    assert (row["converted"], row["ended_at"], row["touches"]) == (True, 10, [10])


def test_the_lookback_is_open_at_its_far_end(story: Story) -> None:
    for on in (9, 10, 10.001, 39):
        story.touch(on)
    story.deal("won", 40)
    assert story.told(lookback_days=30)[0]["touches"] == [10.001, 39]
    assert story.told(lookback_days=0)[0]["touches"] == [9, 10, 10.001, 39]


def test_a_lookback_in_touches_keeps_the_latest(story: Story) -> None:
    for on in (10, 20, 30):
        story.touch(on)
    story.deal("won", 40)
    assert story.told(lookback_touches=2)[0]["touches"] == [20, 30]
    assert story.journeys(lookback_touches=2).left_out == {"touches_over_the_limit": 1}


def test_a_lookback_of_ages_is_none_and_a_negative_one_is_refused(story: Story) -> None:
    story.touch(10)
    story.deal("won", 40)
    assert story.told(lookback_days=10**12)[0]["touches"] == [10]
    with pytest.raises(ValueError, match="A lookback must be at least 0"):
        story.journeys(lookback_days=-1)
    with pytest.raises(ValueError, match="A lookback must be at least 0"):
        story.journeys(lookback_touches=-1)


def test_ties_are_ordered_by_source_and_id(story: Story) -> None:
    for source, event_id in (("web", "2"), ("crm", "9"), ("web", "1")):
        story.touch(10, source=source, event_id=event_id)
    story.deal("won", 40)
    touches = story.journeys().touches
    assert list(zip(touches["source"].to_pylist(), touches["event_id"].to_pylist(), strict=True)) == [
        ("crm", "9"), ("web", "1"), ("web", "2"),
    ]  # fmt: skip


def test_the_touches_of_the_whole_buying_group_count(story: Story) -> None:
    story.touch(10, contact_id="c1")
    story.touch(20, contact_id="c2")
    story.deal("won", 40)
    assert story.journeys().touches["contact_id"].to_pylist() == ["c1", "c2"]


def test_deals_side_by_side_share_the_touches_before_both(story: Story) -> None:
    story.touch(10)
    story.deal("won", 40)
    story.touch(45)
    story.deal("won", 50, deal_id="d2", amount=7)
    told = story.told()
    assert [row["touches"] for row in told] == [[10], [10, 45]]
    assert [row["revenue"] for row in told] == [10_000, 7]


def test_a_second_cycle_is_observed_since_the_first_closed(story: Story) -> None:
    story.touch(1)
    story.deal("open", 20)
    story.deal("lost", 40)
    story.stage("mql", 100, cycle="new:2")
    story.deal("won", 130, deal_id="d2", cycle="new:2")
    lost, won = story.told()
    assert (lost["converted"], lost["censored"], lost["opened_at"], lost["ended_at"]) == (False, False, 1, 40)
    assert (won["converted"], won["opened_at"], won["ended_at"]) == (True, 40, 130)


def test_cycles_side_by_side_are_each_observed_from_their_own_beginning(story: Story) -> None:
    story.stage("mql", 10)
    story.stage("mql", 30, cycle="new:2")
    assert [row["opened_at"] for row in story.told(data_from=day(0))] == [10, 30]


def test_an_amendment_of_a_won_deal_changes_its_worth_and_not_its_time(story: Story) -> None:
    story.deal("won", 40)
    story.deal("won", 60, amount=12_000)
    (row,) = story.told()
    assert (row["ended_at"], row["revenue"]) == (40, 12_000)


def test_a_deal_that_goes_to_another_account_is_in_the_books_once(story: Story) -> None:
    story.touch(1)
    story.touch(2, account="b")
    story.deal("won", 40)
    story.deal("won", 50, account="b")
    assert [(row["account_id"], row["ended_at"], row["revenue"]) for row in story.told() if row["converted"]] == [
        ("b", 40, 10_000)
    ]
    assert [row["account_id"] for row in story.told("deal") if row["converted"]] == ["b"]


def test_an_amount_of_whatever_size_keeps_its_last_cent(story: Story) -> None:
    story.touch(1)
    story.deal("won", 40, amount=2**53 + 1)
    assert story.journeys().revenue.tolist() == [2**53 + 1]


def test_a_win_that_is_taken_back_is_no_conversion(story: Story) -> None:
    story.deal("won", 40)
    story.deal("lost", 60)
    (row,) = story.told()
    assert (row["converted"], row["ended_at"], row["revenue"], row["reached_won"]) == (False, 60, 0, None)


def test_a_stage_that_was_skipped_is_reached_with_the_later_one(story: Story) -> None:
    story.touch(1)
    story.stage("sql", 20)
    (row,) = story.told("mql")
    assert (row["converted"], row["ended_at"], row["reached_lead"], row["reached_mql"]) == (True, 20, 1, 20)


def test_stages_are_told_up_to_the_conversion(story: Story) -> None:
    for stage, on in (("mql", 10), ("sql", 20)):
        story.stage(stage, on)
    story.deal("open", 30)
    story.deal("won", 40)
    (won,), (sql,) = story.told(), story.told("sql")
    assert [won[f"reached_{stage}"] for stage in ("mql", "bql", "sql", "deal", "won")] == [10, 20, 20, 30, 40]
    assert [sql[f"reached_{stage}"] for stage in ("mql", "bql", "sql", "deal", "won")] == [10, 20, 20, None, None]


def test_every_deal_has_the_moment_it_was_opened_itself(story: Story) -> None:
    story.deal("open", 10)
    story.deal("open", 30, deal_id="d2")
    story.deal("won", 40)
    story.deal("won", 50, deal_id="d2")
    assert [row["reached_deal"] for row in story.told()] == [10, 30]


def test_a_deal_is_worth_its_amount_when_it_is_opened(story: Story) -> None:
    story.deal("open", 10, amount=500)
    story.deal("lost", 20, amount=400)
    (row,) = story.told("deal")
    assert (row["converted"], row["ended_at"], row["revenue"]) == (True, 10, 400)


@pytest.mark.parametrize(("until", "censored"), [(179, True), (180, False)])
def test_an_open_journey_is_censored_until_it_has_had_its_time(story: Story, until: int, censored: bool) -> None:
    story.touch(0)
    (row,) = story.told(until=until)
    assert (row["converted"], row["censored"], row["ended_at"]) == (False, censored, until)


def test_a_lost_journey_is_never_censored(story: Story) -> None:
    story.touch(0)
    story.stage("disqualified", 5)
    (row,) = story.told(until=10)
    assert (row["censored"], row["ended_at"]) == (False, 5)


def test_a_cycle_is_lost_with_its_last_deal(story: Story) -> None:
    for deal_id, lost in (("d1", 20), ("d2", 30)):
        story.deal("open", 10, deal_id=deal_id)
        story.deal("lost", lost, deal_id=deal_id)
    assert [row["ended_at"] for row in story.told(until=25)] == [25]
    assert [row["ended_at"] for row in story.told(until=35)] == [30]


def test_a_deal_that_was_lost_and_taken_up_again_is_lost_the_last_time(story: Story) -> None:
    for outcome, on in (("open", 10), ("lost", 20), ("open", 25), ("lost", 30)):
        story.deal(outcome, on)
    assert [row["ended_at"] for row in story.told(until=27)] == [27]
    assert [row["ended_at"] for row in story.told(until=35)] == [30]


def test_two_deals_that_are_lost_at_once_lose_their_cycle(story: Story) -> None:
    story.deal("lost", 20)
    story.deal("lost", 20, deal_id="d2")
    story.deal("open", 5, deal_id="d3", cycle="new:2")
    assert [(row["cycle_id"], row["ended_at"]) for row in story.told(until=35)] == [("a:new:1", 20), ("a:new:2", 35)]


def test_an_account_that_was_never_touched_is_under_observation(story: Story) -> None:
    story.account("untouched", 20)
    story.account("not there yet", 300)
    story.touch(5)
    _, row = story.told(until=250)
    assert (row["account_id"], row["cycle_id"], row["opened_at"], row["touches"]) == ("untouched", None, 20, [])


def test_observation_never_begins_before_the_data(story: Story) -> None:
    story.account("a", -900)
    story.touch(5)
    story.touch(3, account="b")
    assert [row["opened_at"] for row in story.told()] == [3, 3]


def test_a_renewal_is_looked_for_since_the_account_is_a_customer(story: Story) -> None:
    story.deal("won", 40)
    story.touch(60)
    story.deal("won", 90, deal_id="d2", cycle="renewal:1", amount=5)
    story.touch(60, account="no customer")
    (row,) = story.told("renewed", data_from=day(0))
    assert (row["opened_at"], row["ended_at"], row["revenue"], row["touches"]) == (40, 90, 5, [60])
    assert story.journeys("renewed").left_out == {"touches_unobserved": 1, "deals_of_another_kind": 1}


def test_levers_are_channels_we_chose_but_for_what_the_account_did_by_itself(story: Story) -> None:
    story.touch(1, "Paid Search")
    story.touch(2, "Paid Search", touch_type="form_fill")
    story.touch(3, "Direct")
    story.touch(4, None)  # type: ignore[arg-type]
    assert story.journeys(until=50).is_lever.tolist() == [True, False, False, False]


def test_excluded_types_internal_work_and_own_outbound_are_counted(story: Story) -> None:
    story.touch(1, touch_type="ticket_opened")
    story.touch(2, direction="internal", touch_type="quote_withdrawn")
    story.touch(3, "Outbound Sales", direction="outbound", touch_type="call")
    story.touch(4)
    assert story.told(until=50)[0]["touches"] == [3, 4]
    rules = replace(story.agreement.attribution, outbound="exclude")
    story.agreement = replace(story.agreement, attribution=rules)
    assert story.told(until=50)[0]["touches"] == [4]
    assert story.journeys(until=50).left_out == {
        "touches_internal": 1, "touches_of_excluded_type": 1, "touches_outbound": 1,
    }  # fmt: skip


def test_a_deal_without_touches_is_a_journey_and_is_counted(story: Story) -> None:
    story.deal("won", 40)
    assert [(row["revenue"], row["touches"]) for row in story.told()] == [(10_000, [])]
    assert story.journeys().left_out == {"conversions_without_touch": 1}


def test_touches_without_an_account_are_counted(story: Story) -> None:
    story.touch(1, account=None)
    story.touch(2, account=None)
    story.touch(3)
    assert story.journeys(until=50).left_out == {"touches_without_account": 2}
    assert story.journeys(until=1.5).left_out == {"touches_without_account": 1}


def test_a_negative_amount_is_kept_out_and_shown(story: Story) -> None:
    story.touch(1)
    story.deal("won", 40)
    story.deal("won", 50, deal_id="credit note", amount=-2_500)
    journeys = story.journeys()
    assert journeys.revenue.tolist() == [10_000, 0]
    assert journeys.left_out == {"deals_negative": 1, "negative_EUR": -2_500}


def test_an_amount_without_a_rate_stays_in_its_own_currency(story: Story) -> None:
    story.touch(1)
    story.rate("USD", 1, 0.5)
    for number, (amount, currency) in enumerate(((1_000, "EUR"), (1_000, "USD"), (1_000, "JPY"))):
        story.deal("won", 40 + number, deal_id=f"d{number}", amount=amount, currency=currency)
    journeys = story.journeys()
    assert journeys.revenue.tolist() == [1_000, 500, 1_000]
    assert journeys.journeys["currency"].to_pylist() == ["EUR", "EUR", "JPY"]
    assert journeys.left_out == {"deals_without_rate": 1}


def test_a_deal_without_an_amount_is_worth_nothing_and_counted(story: Story) -> None:
    story.touch(1)
    story.deal("won", 40, amount=None)
    journeys = story.journeys()
    assert journeys.revenue.tolist() == [0]
    assert journeys.left_out == {"deals_without_amount": 1}


def test_an_empty_ledger_has_no_journeys(story: Story) -> None:
    assert story.told() == []


def test_an_unknown_transition_suggests_the_nearest(story: Story) -> None:
    with pytest.raises(UnknownError, match=r"no transition 'renewal'.*Did you mean 'renewed'"):
        story.journeys("renewal")


def test_a_renewal_has_no_other_kind(story: Story) -> None:
    with pytest.raises(UnknownError, match="'renewed' is not about cycles of kind 'new'"):
        story.journeys("renewed", kind="new")
