from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import NotEnoughDataError
from features.journeys import counted_paths
from models.attribution import allocation, markov_order
from models.attribution.chain import Chain
from models.attribution.markov import Markov
from models.attribution.markov_order import _split, best_order
from tests.models.attribution.few import JOURNEYS, Walk, channels, walked
from tests.models.attribution.oracle import held_out_loss, plain, removal_effects
from tests.models.attribution.test_intervals import market

ORDERS = st.sampled_from([1, 2, 3])
README_SHARES = {
    "alpha": 0.27015, "iota": 0.19634, "eta": 0.16886, "beta": 0.12774, "theta": 0.09967, "lambda": 0.06484,
    "epsilon": 0.03030, "zeta": 0.01926, "kappa": 0.01387, "gamma": 0.00865, "delta": 0.00023, "mi": 0.00009,
}  # fmt: skip
TWO_CHANNELS = walked(channels("Email", "Event"), channels("Email", converted=False))


def totals(credit):
    names, code = allocation.players(credit.journeys)
    return dict(zip(names, np.bincount(code, weights=credit.touch, minlength=len(names)), strict=True))


def in_one_currency(journeys):
    return replace(journeys, journeys=journeys.journeys.set_column(8, "currency", pa.nulls(journeys.size, pa.string())))


def renamed(journeys, naming):
    names = [naming[name] for name in journeys.touches["channel"].to_pylist()]
    return replace(journeys, touches=journeys.touches.set_column(4, "channel", pa.array(names, pa.string())))


@given(JOURNEYS, ORDERS)
def test_removing_a_channel_loses_what_the_edited_matrix_says(journeys, order):
    assert Markov(order=order).fit(journeys).effects_ == pytest.approx(removal_effects(plain(journeys), order))


@given(JOURNEYS.map(in_one_currency), ORDERS)
def test_revenue_lost_is_what_the_edited_matrix_says(journeys, order):
    expected = removal_effects(plain(journeys), order, "revenue")
    assert Markov(order=order, worth="revenue").fit(journeys).effects_ == pytest.approx(expected)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_ten_thousand_paths_lose_what_the_edited_matrix_says(paths_10k, order):
    effects = Markov(order=order).fit(paths_10k).effects_
    assert effects == pytest.approx(removal_effects(plain(paths_10k), order), abs=1e-12)


def test_ten_thousand_paths_have_the_known_shares(paths_10k):
    found = totals(Markov().fit(paths_10k).credit(paths_10k))
    assert {name: round(credit / 19_785, 5) for name, credit in found.items()} == README_SHARES


@given(JOURNEYS, ORDERS, st.booleans())
def test_credit_makes_the_conversions(journeys, order, per_journey):
    credit = Markov(order=order, per_journey=per_journey).fit(journeys).credit(journeys)
    assert credit.touch.sum() + credit.rest.sum() == pytest.approx(journeys.count[journeys.converted].sum())


def test_totals_are_in_proportion_to_removal_effects(paths_10k):
    model = Markov(order=2).fit(paths_10k)
    found, effect = totals(model.credit(paths_10k)), sum(model.effects_.values())
    assert found == pytest.approx({name: 19_785 * own / effect for name, own in model.effects_.items()})


def test_a_journey_shares_its_conversion_by_the_effects_of_its_channels():
    model = Markov(per_journey=True).fit(TWO_CHANNELS)
    email, event = model.effects_["Email"], model.effects_["Event"]
    expected = [email / (email + event), event / (email + event), 0]
    assert model.credit(TWO_CHANNELS).touch.tolist() == pytest.approx(expected)


@given(JOURNEYS, ORDERS, st.permutations("abcdefg"))
def test_names_do_not_matter(journeys, order, letters):
    naming = dict(zip(dict.fromkeys(journeys.touches["channel"].to_pylist()), letters, strict=False))
    before, after = (Markov(order=order).fit(some).credit(some).touch for some in (journeys, renamed(journeys, naming)))
    assert after == pytest.approx(before, abs=1e-12)


@given(JOURNEYS, ORDERS, st.randoms())
def test_the_order_of_rows_does_not_matter(journeys, order, random):
    rows = np.array(random.sample(range(journeys.size), journeys.size))
    shuffled = journeys.take(rows)
    expected = Markov(order=order).fit(journeys).effects_
    assert Markov(order=order).fit(shuffled).effects_ == pytest.approx(expected, abs=1e-12)


@given(JOURNEYS, ORDERS)
def test_the_same_journeys_twice_have_the_same_effects(journeys, order):
    twice = journeys.take(np.tile(np.arange(journeys.size), 2))
    expected = Markov(order=order).fit(journeys).effects_
    assert Markov(order=order).fit(twice).effects_ == pytest.approx(expected, abs=1e-12)


def test_a_channel_that_leads_to_no_conversion_has_no_credit():
    journeys = walked(channels("Email"), channels("Event", "Partner", converted=False))
    assert Markov().fit(journeys).effects_ == {"Email": 1.0, "Event": 0.0, "Partner": 0.0}


def test_only_conversions_can_be_shared_even_if_the_chain_sees_a_way_to_one():
    journeys = walked(channels("Event", "Email", converted=False), channels("Email"))
    model = Markov().fit(journeys)
    assert model.effects_["Event"] > 0 and totals(model.credit(journeys)) == {"Event": 0.0, "Email": 1.0}


def test_journeys_that_are_still_open_are_left_out():
    journeys = walked(
        channels("Email", "Event"), channels("Email", converted=False), channels("Event", converted=False)
    )
    still_open = replace(journeys, journeys=journeys.journeys.set_column(6, "censored", pa.array([False, False, True])))
    assert Markov().fit(still_open).effects_ == Markov().fit(TWO_CHANNELS).effects_


def test_one_channel_has_everything():
    journeys = walked(channels("Email", "Email"), channels("Email", converted=False))
    assert Markov().fit(journeys).credit(journeys).touch.tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize("order", [1, 2])
def test_without_conversions_there_is_nothing_to_share(order):
    journeys = walked(channels("Email", converted=False), channels(converted=False))
    assert Markov(order=order).fit(journeys).credit(journeys).touch.tolist() == [0]


def test_without_any_touch_nothing_is_credited():
    journeys = walked(channels(), channels(converted=False))
    assert Markov().fit(journeys).credit(journeys).rest.tolist() == [1, 0]


def test_channels_that_the_chain_has_not_seen_share_equally():
    later = walked(channels("Partner", "Referral"))
    assert Markov().fit(TWO_CHANNELS).credit(later).touch.tolist() == [0.5, 0.5]


def many_channels(count):
    names = [f"channel {number}" for number in range(count)]
    random = np.random.default_rng(0)
    paths = [[names[at] for at in random.integers(0, count, 40)] for _ in range(5_000)]
    return counted_paths(paths, np.ones(5_000), np.zeros(5_000), np.ones(5_000))


def test_two_thousand_channels_have_credit_at_order_1():
    journeys = many_channels(2_000)
    found = totals(Markov().fit(journeys).credit(journeys))
    assert len(found) == 2_000 and sum(found.values()) == pytest.approx(5_000)


def test_two_thousand_channels_are_refused_at_a_higher_order():
    with pytest.raises(ValueError, match="Choose order 1, or put rare channels into one group"):
        Markov(order=2).fit(many_channels(2_000))


def test_revenue_in_several_currencies_is_not_added_up():
    journeys = walked(channels("Email", revenue=5), channels("Event", revenue=5, currency="JPY"))
    with pytest.raises(ValueError, match="several currencies can not be added up: EUR, JPY"):
        Markov(worth="revenue").fit(journeys)


@pytest.mark.parametrize("options", [{"order": 4}, {"worth": "clicks"}])
def test_what_does_not_exist_is_refused(options):
    with pytest.raises(ValueError, match="must be"):
        Markov(**options)


def test_the_matrix_gives_every_transition_with_its_probability():
    rows = Markov().fit(TWO_CHANNELS).chain_.table().to_pylist()
    found = {(row["from"], row["to"]): (row["probability"], row["count"]) for row in rows}
    assert found == {
        ("(start)", "Email"): (1, 2), ("Email", "Event"): (0.5, 1), ("Email", "(null)"): (0.5, 1),
        ("Event", "(conversion)"): (1, 1),
    }  # fmt: skip


def test_a_state_of_a_higher_order_names_the_last_channels():
    table = Markov(order=2).fit(walked(channels("Email", "Event", "Partner"))).chain_.table()
    assert table["from"].to_pylist() == ["(start)", "Email", "Email > Event", "Event > Partner"]


@pytest.mark.parametrize("memory", [1, 2])
def test_the_order_of_the_chain_that_made_the_journeys_is_found(memory):
    assert best_order(_remembering(memory)).order == memory


def test_losses_are_those_of_plain_python():
    journeys = market(0, 60)
    fold = _split(np.ones(60, dtype=np.int64), 5, 0).argmax(axis=1)[journeys.account].tolist()
    expected = {order: held_out_loss(plain(journeys), fold, order) for order in (1, 2, 3)}
    assert {order: loss.value for order, loss in best_order(journeys).loss.items()} == pytest.approx(expected)


def test_journeys_of_one_touch_need_no_memory():
    walks = [channels(f"channel {number % 3}", account=str(number), converted=number % 7 < 3) for number in range(300)]
    choice = best_order(walked(*walks))
    assert choice.order == 1 and choice.loss[1] == choice.loss[2] == choice.loss[3]


def test_an_order_with_too_many_transitions_is_not_chosen(monkeypatch):
    journeys = _remembering(2)
    monkeypatch.setattr(markov_order, "MOST_WORK", Chain.of(journeys, 2).work - 1)
    assert best_order(journeys).order == 1 and set(best_order(journeys).loss) == {1}


def _remembering(memory):
    """Return journeys in which the next channel depends on the one `memory` steps before."""
    random = np.random.default_rng(3)
    walks = []
    for number in range(1_500):
        way = random.choice(["Email", "Event"], memory).tolist()
        while random.random() < 0.7:
            way.append({"Email": "Event", "Event": "Email"}[way[-memory]] if random.random() < 0.8 else way[-memory])
        walks.append(Walk([(name, day) for day, name in enumerate(way)], str(number), bool(random.random() < 0.3)))
    return walked(*walks)


def test_paths_that_come_counted_are_split_by_journey(paths_10k):
    choice = best_order(paths_10k)
    assert choice.order == 3 and choice.loss[3].value < choice.loss[2].value < choice.loss[1].value


def test_a_choice_needs_accounts():
    with pytest.raises(NotEnoughDataError, match="At least 5 accounts"):
        best_order(TWO_CHANNELS)
