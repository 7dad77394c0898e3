from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from features.errors import NotEnoughDataError, UnknownError
from features.journeys import Journeys
from features.schema import DAY
from features.synthetic.exposures import DAYS, MARKETS, simulate_exposures
from models.attribution.falsification import PLACEBO, placebo, time_shift, with_placebo


@pytest.fixture(scope="module")
def market():
    return simulate_exposures(replace(MARKETS["logistic"], accounts=4_000), seed=1_002)


@pytest.fixture(scope="module")
def retargeted(market):
    """Return a market in which a Display touch follows two days after every response."""
    journeys = market.journeys
    ended = journeys.journeys["ended_at"].to_numpy()
    heard = np.flatnonzero(~journeys.is_lever)
    heard = heard[journeys.occurred_at[heard] + 2 * DAY < ended[journeys.of_touch[heard]]]
    table = journeys.touches.take(pa.array(heard))
    for name, column in (
        ("occurred_at", pa.array(journeys.occurred_at[heard] + 2 * DAY)),
        ("channel", pa.array(["Display"] * len(heard), journeys.touches.schema.field("channel").type)),
        ("is_lever", pa.array([True] * len(heard))),
    ):
        table = table.set_column(table.column_names.index(name), name, column)
    touches = pa.concat_tables([journeys.touches, table]).unify_dictionaries()
    journey = np.concatenate([journeys.of_touch, journeys.of_touch[heard]])
    order = np.lexsort((touches["occurred_at"].to_numpy(), journey))
    offset = np.searchsorted(journey[order], np.arange(journeys.size + 1))
    return Journeys("won", journeys.journeys, touches.take(pa.array(order)), offset)


def test_a_placebo_brings_nothing(market):
    found = placebo(market.journeys, "Outbound Sales", confounders=market.confounders, horizon_days=DAYS)
    assert found.passed and "0 lies within" in found.verdict


def test_a_placebo_that_finds_the_converted_is_caught(market):
    """Touches that only accounts get that are about to convert must not pass for chance."""
    journeys = market.journeys
    planted = with_placebo(journeys, "Outbound Sales", seed=0)
    channel = np.array(planted.touches["channel"].to_pylist(), dtype=object)
    keep = (channel != PLACEBO) | planted.converted[planted.of_touch]
    offset = np.concatenate([[0], np.cumsum(keep)])[planted.offset]
    cheated = Journeys("won", planted.journeys, planted.touches.filter(pa.array(keep)), offset)
    found = placebo_effect(cheated, market.confounders)
    assert found.excludes_zero and found.value > 0


def placebo_effect(journeys, confounders):
    from models.attribution.incremental import Incremental

    return Incremental(horizon_days=DAYS).fit(journeys, confounders).effects()[PLACEBO].conversions


def test_placebo_touches_lie_within_their_journeys(market):
    journeys = with_placebo(market.journeys, "Email", seed=1)
    opened, ended = (journeys.journeys[name].to_numpy()[journeys.of_touch] for name in ("opened_at", "ended_at"))
    assert ((journeys.occurred_at >= opened) & (journeys.occurred_at < ended)).all()
    assert journeys.touches.num_rows > market.journeys.touches.num_rows


def test_nothing_runs_ahead_of_touches_that_come_by_chance(market):
    found = time_shift(market.journeys, "Email", confounders=market.confounders)
    assert found.passed and "nothing runs ahead" in found.verdict


def test_touches_that_follow_responses_are_caught(market, retargeted):
    found = time_shift(retargeted, "Display", confounders=market.confounders)
    assert not found.passed and found.effect.bounds[0] > 0 and "follow intent" in found.verdict


def test_touches_that_go_where_less_happens_are_not_said_to_follow_intent(market):
    """Display reaches accounts only that have just been silent: the verdict must not blame intent."""
    journeys = market.journeys
    silent = np.bincount(journeys.of_touch[~journeys.is_lever], minlength=journeys.size) == 0
    display = np.array(journeys.touches["channel"].to_pylist(), dtype=object) == "Display"
    keep = ~display | silent[journeys.of_touch]
    offset = np.concatenate([[0], np.cumsum(keep)])[journeys.offset]
    avoiding = Journeys("won", journeys.journeys, journeys.touches.filter(pa.array(keep)), offset)
    found = time_shift(avoiding, "Display", confounders=market.confounders)
    assert not found.passed and found.effect.bounds[1] < 0
    assert "less happens" in found.verdict and "intent" not in found.verdict


def test_a_channel_that_is_no_lever_is_refused(market):
    with pytest.raises(UnknownError, match="There is no lever 'Direct'"):
        placebo(market.journeys, "Direct")


def test_a_shift_beyond_every_journey_is_refused(market):
    with pytest.raises(NotEnoughDataError, match="Got 0 responses"):
        time_shift(market.journeys, "Email", days=400)
