from __future__ import annotations

import numpy as np
import pytest

from features.schema import DAY
from models.attribution.incremental.exposure import Exposures, lever_names
from models.attribution.incremental.moments import Moments
from models.attribution.incremental.shapes import HALF_LIVES, Pair


@pytest.fixture(scope="module")
def some(market):
    return market.journeys.take(np.arange(200))


@pytest.fixture(scope="module")
def moments(some):
    return Moments.of(some, 7)


def slow_adstock(journeys, lever, journey, at):
    rows = range(journeys.offset[journey], journeys.offset[journey + 1])
    channel = journeys.touches["channel"].to_pylist()
    ages = [(at - journeys.occurred_at[row]) / DAY for row in rows if channel[row] == lever]
    return [sum(2 ** (-age / half) for age in ages if age > 0) for half in HALF_LIVES]


def test_adstock_is_what_every_earlier_touch_has_left(some, moments):
    levers = lever_names(some)
    state = Exposures(some, levers, HALF_LIVES).before(0, moments.journey, moments.at)
    slow = [slow_adstock(some, levers[0], moments.journey[row], moments.at[row]) for row in state.rows[:50]]
    assert state.adstock[:50] == pytest.approx(np.array(slow), rel=1e-9)


def test_a_touch_at_the_very_moment_has_not_been_there_yet(some):
    levers = lever_names(some)
    touch = np.flatnonzero(some.is_lever)[0]
    journey, at = some.of_touch[[touch]], some.occurred_at[[touch]]
    lever = levers.index(some.touches["channel"][int(touch)].as_py())
    exposures = Exposures(some, levers, HALF_LIVES)
    before, after = (exposures.before(lever, journey, at + later).count.sum() for later in (0, 1))
    assert (before, after) == (0, 1)


def test_a_pair_in_order_needs_the_second_after_the_first(some, moments):
    exposures = Exposures(some, lever_names(some), HALF_LIVES)
    states = [exposures.before(lever, moments.journey, moments.at) for lever in (0, 1)]
    both, one_way, other_way = (set(Pair(*pair).rows(states)) for pair in ((0, 1, False), (0, 1, True), (1, 0, True)))
    assert both == one_way | other_way and one_way != both


def test_moments_make_up_the_time_at_risk(some, moments):
    opened, ended = (some.journeys[name].to_numpy() for name in ("opened_at", "ended_at"))
    days = np.bincount(moments.journey, moments.exposure, some.size)
    assert days == pytest.approx((ended - opened) / DAY)


def test_every_conversion_is_an_event_at_its_moment(some, moments):
    events = moments.events > 0
    assert moments.events.sum() == some.converted.sum()
    assert (moments.at[events] == some.journeys["ended_at"].to_numpy()[moments.journey[events]]).all()


def test_levers_are_not_put_in_the_order_of_their_names(some):
    counts = [int(np.sum(np.array(some.touches["channel"].to_pylist()) == lever)) for lever in lever_names(some)]
    assert counts == sorted(counts, reverse=True)
