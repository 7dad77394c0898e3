from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.journeys import Journeys
from models.attribution import draws
from models.attribution import shapley as module
from models.attribution.allocation import players
from models.attribution.coalitions import Coalitions
from models.attribution.shapley import ShapleyRate, ShapleySets
from tests.models.attribution import oracle
from tests.models.attribution.few import CHANNELS, JOURNEYS, Walk, channels, walked
from tests.models.attribution.test_markov import many_channels, renamed, totals

FIVE = st.lists(
    st.builds(
        Walk,
        st.lists(st.tuples(st.sampled_from(CHANNELS[2:]), st.integers(0, 100)), max_size=7),
        converted=st.booleans(),
        count=st.integers(1, 3),
    ),
    min_size=1,
    max_size=12,
).map(lambda walks: walked(*walks))
MODELS = st.sampled_from([ShapleySets, ShapleyRate])


@given(FIVE)
def test_sets_are_the_average_over_all_orders(journeys):
    rows = oracle.plain(journeys)
    expected = oracle.shapley(players(journeys)[0], oracle.conversions_within(rows))
    assert totals(ShapleySets().fit(journeys).credit(journeys)) == pytest.approx(expected)


@given(FIVE)
def test_rates_are_the_average_over_all_orders(journeys):
    expected = oracle.shapley(players(journeys)[0], oracle.rate_within(oracle.plain(journeys)))
    assert ShapleyRate().fit(journeys).values_ == pytest.approx(expected)


def test_sets_of_ten_thousand_paths_are_those_of_plain_python(paths_10k):
    expected = oracle.set_credit(oracle.plain(paths_10k))
    assert totals(ShapleySets().fit(paths_10k).credit(paths_10k)) == pytest.approx(dict(expected))


def test_the_touches_of_a_channel_share_its_part():
    journeys = walked(channels("Email", "Event", "Email"), channels("Event", converted=False))
    assert ShapleySets().fit(journeys).credit(journeys).touch.tolist() == [0.25, 0.5, 0.25, 0]


def test_sharing_in_stretches_changes_nothing(monkeypatch, paths_10k):
    whole = ShapleySets().credit(paths_10k).touch
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    assert (ShapleySets().credit(paths_10k).touch == whole).all()


@given(JOURNEYS, MODELS)
def test_credit_makes_the_conversions(journeys, model):
    credit = model().fit(journeys).credit(journeys)
    assert credit.touch.sum() + credit.rest.sum() == pytest.approx(journeys.count[journeys.converted].sum())


@given(JOURNEYS)
def test_values_make_the_rate_of_the_journeys_with_a_touch(journeys):
    touched = np.diff(journeys.offset) > 0
    won, all_ = (journeys.count[some].sum() for some in (touched & journeys.converted, touched))
    found = sum(ShapleyRate().fit(journeys).values_.values())
    assert found == pytest.approx(won / all_ if all_ else 0.0, abs=1e-12)


def test_journeys_without_a_touch_do_not_stand_for_what_happens_without_channels():
    journeys = walked(channels("Email"), channels("Email", converted=False), channels("Event", converted=False))
    untouched = walked(*[channels()] * 9)
    both = Journeys(
        "won",
        pa.concat_tables([journeys.journeys, untouched.journeys]),
        journeys.touches,
        np.append(journeys.offset, [journeys.offset[-1]] * 9),
    )
    assert ShapleyRate().fit(both).values_ == ShapleyRate().fit(journeys).values_
    assert ShapleyRate().fit(both).clipped(both) == ShapleyRate().fit(journeys).clipped(journeys)


@given(JOURNEYS, MODELS, st.permutations("abcdefg"))
def test_names_do_not_matter(journeys, model, letters):
    naming = dict(zip(dict.fromkeys(journeys.touches["channel"].to_pylist()), letters, strict=False))
    before, after = (model().fit(some).credit(some).touch for some in (journeys, renamed(journeys, naming)))
    assert after == pytest.approx(before, abs=1e-12)


@given(JOURNEYS, MODELS, st.randoms())
def test_the_order_of_rows_does_not_matter(journeys, model, random):
    shuffled = journeys.take(np.array(random.sample(range(journeys.size), journeys.size)))
    expected = totals(model().fit(journeys).credit(journeys))
    assert totals(model().fit(shuffled).credit(shuffled)) == pytest.approx(expected, abs=1e-12)


@given(JOURNEYS, MODELS)
def test_the_same_journeys_twice_double_the_credit(journeys, model):
    twice = journeys.take(np.tile(np.arange(journeys.size), 2))
    expected = {name: 2 * credit for name, credit in totals(model().fit(journeys).credit(journeys)).items()}
    assert totals(model().fit(twice).credit(twice)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("model", [ShapleySets, ShapleyRate])
def test_a_channel_that_converts_nobody_has_no_credit(model):
    journeys = walked(channels("Email"), channels("Email", converted=False), channels("Event", converted=False))
    assert totals(model().fit(journeys).credit(journeys)) == {"Email": 1.0, "Event": 0.0}


def test_what_a_channel_takes_away_is_clipped_and_told():
    journeys = walked(channels("Email"), channels("Email", "Event", converted=False))
    model = ShapleyRate().fit(journeys)
    # Email adds 1 alone and 1/2 after Event; Event adds 0 alone and -1/2 after Email.
    assert model.values_ == {"Email": 0.75, "Event": -0.25} and model.clipped(journeys) == {"Event": 0.5}
    assert totals(model.credit(journeys)) == {"Email": 1.0, "Event": 0.0}


@pytest.mark.parametrize("model", [ShapleySets, ShapleyRate])
def test_one_channel_has_everything(model):
    journeys = walked(channels("Email", "Email"), channels("Email", converted=False))
    assert totals(model().fit(journeys).credit(journeys)) == {"Email": 1.0}


@pytest.mark.parametrize("model", [ShapleySets, ShapleyRate])
def test_without_conversions_there_is_nothing_to_share(model):
    journeys = walked(channels("Email", converted=False), channels(converted=False))
    assert model().fit(journeys).credit(journeys).touch.tolist() == [0]


@pytest.mark.parametrize("model", [ShapleySets, ShapleyRate])
def test_without_any_touch_nothing_is_credited(model):
    assert model().fit(walked(channels())).credit(walked(channels())).rest.tolist() == [1]


def test_journeys_that_are_still_open_are_left_out():
    journeys = walked(channels("Email"), channels("Email", converted=False), channels("Email", converted=False))
    still_open = replace(journeys, journeys=journeys.journeys.set_column(6, "censored", pa.array([False, False, True])))
    assert ShapleyRate().fit(still_open).values_ == {"Email": 0.5}


@pytest.mark.parametrize("model", [ShapleySets(), ShapleyRate(pairs=2)])
def test_two_thousand_channels_have_credit(model):
    journeys = many_channels(2_000)
    found = totals(model.fit(journeys).credit(journeys))
    assert len(found) == 2_000 and sum(found.values()) == pytest.approx(5_000)


def test_values_that_were_sampled_are_within_their_bound(paths_10k):
    names, code = players(paths_10k)
    sets = Coalitions.of(paths_10k, code, len(names))
    won, all_ = (
        draws.totals(one, sets.of_journey, sets.size)
        for one in (paths_10k.count * paths_10k.converted, paths_10k.count)
    )
    exact, found = sets.exact(won, all_), sets.sampled(won[:, None], all_[:, None], 400, 0)
    error = np.abs(found.value[:, 0] - exact)
    assert (error <= found.bound[:, 0]).all() and (error <= 5 * found.error[:, 0]).all()


@pytest.mark.parametrize("count", [20, 21])
def test_above_twenty_channels_values_are_sampled(count):
    model = ShapleyRate(pairs=50).fit(many_channels(count))
    assert (model.error_bound_ > 0) == (model.standard_error_ > 0) == (count > 20)


def test_orders_drawn_do_not_depend_on_the_order_of_rows():
    walks = [channels(f"{at}", f"{(at + 1) % 25}", converted=at * 7 % 25 < place)
             for at in range(25) for place in range(25)]  # fmt: skip
    journeys = walked(*walks)
    backwards = journeys.take(np.arange(journeys.size)[::-1])
    expected, found = (ShapleyRate(pairs=5).fit(some).values_ for some in (journeys, backwards))
    assert found == pytest.approx(expected)


def test_one_order_alone_has_no_error():
    with pytest.raises(ValueError, match="`pairs` must be at least 2"):
        ShapleyRate(pairs=1)
