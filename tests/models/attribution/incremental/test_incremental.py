from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.errors import NotEnoughDataError
from features.journeys import Journeys
from features.synthetic.exposures import DAYS
from models.attribution.credit import BASELINE, Evidence
from models.attribution.draws import Draws
from models.attribution.incremental import Incremental


def fit(journeys, confounders=None):
    return Incremental(horizon_days=DAYS).fit(journeys, confounders)


def only(journeys, keep):
    """Return the journeys with some of their touches."""
    offset = np.concatenate([[0], np.cumsum(keep)])[journeys.offset]
    return Journeys(journeys.transition, journeys.journeys, journeys.touches.filter(pa.array(keep)), offset)


def with_column(journeys, name, column):
    touches = journeys.touches.set_column(journeys.touches.column_names.index(name), name, column)
    return replace(journeys, touches=touches)


def values(model):
    drawn = model.replicates(np.ones((1, len(model._learnt[0].influence.by_cluster))))
    return dict(zip(drawn.labels, drawn.value, strict=True))


def test_confounders_that_are_the_same_for_all_are_none(market):
    nothing = pa.table({})
    found = fit(market.journeys, nothing)
    assert values(found) == values(fit(market.journeys))
    np.testing.assert_array_equal(found.credit(market.journeys, nothing).touch, found.credit(market.journeys).touch)


def test_planted_effects_lie_within_their_intervals(market, effects):
    truth = dict(zip(market.truth.channels, market.truth.incremental, strict=True)) | {BASELINE: market.truth.baseline}
    inside = [row.conversions.low <= truth[row.channel] <= row.conversions.high for row in effects.rows]
    assert sum(inside) >= len(inside) - 2


@pytest.mark.parametrize("lever", ["Display", "Content Syndication"])
def test_a_lever_without_effect_has_zero_in_its_interval(effects, lever):
    assert not effects[lever].conversions.excludes_zero


def test_the_strongest_lever_is_told_from_none(effects):
    assert effects["Outbound Sales"].conversions.low > 0


def test_effects_and_baseline_make_the_conversions(market, effects):
    assert sum(row.conversions.value for row in effects.rows) == pytest.approx(market.journeys.converted.sum())


def test_revenue_makes_the_revenue(market, effects):
    made = sum(row.revenue["EUR"].value for row in effects.rows)
    assert made == pytest.approx(market.journeys.revenue.sum())


def test_a_response_is_no_lever(effects):
    assert {row.channel for row in effects.rows}.isdisjoint({"Direct", "Organic Search", "Referral"})


def test_responses_change_nothing(market, fitted):
    without = only(market.journeys, market.journeys.is_lever)
    assert values(fit(without, market.confounders)) == pytest.approx(values(fitted), rel=1e-9)


def test_names_of_channels_do_not_matter(market, fitted):
    channel = market.journeys.touches["channel"]
    names = channel.unique().to_pylist()
    others = dict(zip(names, reversed(names), strict=True))
    swapped = pa.array([others[name] for name in channel.to_pylist()])
    found = values(fit(with_column(market.journeys, "channel", swapped), market.confounders))
    assert {others[name]: value for name, value in found.items() if name != BASELINE} == pytest.approx(
        {name: value for name, value in values(fitted).items() if name != BASELINE}, rel=1e-9
    )


def test_the_order_of_journeys_does_not_matter(market, fitted):
    order = np.random.default_rng(0).permutation(market.journeys.size)
    found = values(fit(market.journeys.take(order), market.confounders.take(pa.array(order))))
    assert found == pytest.approx(values(fitted), rel=1e-6, abs=1e-6)


def test_the_same_journeys_twice_bring_about_twice_as_much(market, fitted):
    twice = np.tile(np.arange(market.journeys.size), 2)
    found = values(fit(market.journeys.take(twice), market.confounders.take(pa.array(twice))))
    assert np.array(list(found.values())) / 2 == pytest.approx(np.array(list(values(fitted).values())), abs=12)


def test_credit_makes_each_conversion(market, fitted):
    credit = fitted.credit(market.journeys, market.confounders)
    given = np.bincount(market.journeys.of_touch, credit.touch, market.journeys.size) + credit.rest
    assert given == pytest.approx(market.journeys.converted.astype(float), abs=1e-9)


def test_credit_is_at_least_nothing_and_goes_to_levers_only(market, fitted):
    credit = fitted.credit(market.journeys, market.confounders)
    assert credit.touch.min() >= 0 and not credit.touch[~market.journeys.is_lever].any()


def test_credit_and_what_it_cut_make_the_signed_effects(market, fitted, effects):
    clipped = fitted.clipped(market.journeys, market.confounders)
    assert clipped == pytest.approx({row.channel: row.clipped for row in effects.rows if row.channel != BASELINE})
    assert all(cut >= 0 for cut in clipped.values())


def test_one_account_is_credited_as_among_all(market, fitted):
    row = np.flatnonzero(market.journeys.converted & (np.diff(market.journeys.offset) > 2))[:1]
    alone = fitted.credit(market.journeys.take(row), market.confounders.take(pa.array(row)))
    among = fitted.credit(market.journeys, market.confounders)
    assert alone.touch == pytest.approx(among.touch[market.journeys.of_touch == row[0]], abs=1e-12)


def test_an_average_account_needs_no_confounders(market, fitted):
    credit = fitted.credit(market.journeys)
    assert credit.rest.sum() == pytest.approx(fitted.credit(market.journeys, market.confounders).rest.sum(), rel=0.05)


def test_one_step_comes_near_a_refit(market, fitted):
    weights = Draws.of(market.journeys, draws=1, seed=3).weights
    rows = np.repeat(np.arange(market.journeys.size), weights[0].astype(int))
    # A drawn account is an account of its own, but stands at the same moments.
    refitted = values(fit(market.journeys.take(rows), market.confounders.take(pa.array(rows))))
    drawn = fitted.replicates(weights)
    errors = drawn.draws[0] - np.array([refitted[label] for label in drawn.labels])
    spread = fitted.replicates(Draws.of(market.journeys, seed=4).weights).draws.std(axis=0)
    assert (np.abs(errors) < 0.75 * spread).all()


def test_one_lever_is_enough(market):
    channel = market.journeys.touches["channel"]
    keep = np.asarray(pc.equal(channel, "Partner"))
    found = fit(only(market.journeys, keep), market.confounders).effects()
    assert [row.channel for row in found.rows] == ["Partner", BASELINE] and found["Partner"].conversions.low > 0


def test_without_levers_everything_would_have_happened_anyway(market):
    none = only(market.journeys, ~market.journeys.is_lever)
    found = fit(none, market.confounders).effects()
    assert found.baseline.conversions.value == market.journeys.converted.sum() and found.incremental.value == 0


def test_without_conversions_it_says_what_is_needed(market):
    with pytest.raises(NotEnoughDataError, match=r"at least 10 conversions to learn from\. Got 0"):
        fit(market.journeys.take(~market.journeys.converted))


def test_without_time_at_risk_it_says_so(market):
    journeys = market.journeys.journeys
    opened = journeys.set_column(journeys.column_names.index("opened_at"), "opened_at", journeys["ended_at"])
    with pytest.raises(NotEnoughDataError, match="every journey ends when it opens"):
        fit(replace(market.journeys, journeys=opened))


def test_too_many_levers_are_refused_with_a_way_out(market):
    many = pa.array([f"channel {row % 2000}" for row in range(market.journeys.touches.num_rows)])
    with pytest.raises(NotEnoughDataError, match="at most 60 levers apart") as caught:
        fit(with_column(market.journeys, "channel", many))
    assert "channel groups" in caught.value.hint


def test_a_confounder_may_be_missing_here_and_there(market):
    fit_column = np.where(np.arange(market.journeys.size) % 7 == 0, np.nan, market.fit)
    table = pa.table({"fit": pa.array(fit_column, from_pandas=True)})
    assert fit(market.journeys, table).effects()["Outbound Sales"].conversions.low > 0


def test_an_infinite_confounder_counts_as_missing(market):
    totals = []
    for value in (np.nan, np.inf):
        column = market.fit.copy()
        column[0] = value
        totals.append(fit(market.journeys, pa.table({"fit": column})).effects(20).incremental.value)
    assert totals[0] == totals[1]


def test_a_table_of_other_journeys_is_refused(market, fitted):
    with pytest.raises(ValueError, match="a row for each of 4000 journeys"):
        fitted.credit(market.journeys, market.confounders.slice(0, 10))


def test_a_confounder_that_is_no_number_is_refused(market):
    table = pa.table({"country": ["FR"] * market.journeys.size})
    with pytest.raises(ValueError, match="Got 'country' of type string instead"):
        fit(market.journeys, table)


def test_effects_are_adjusted_not_proven(effects):
    assert {row.evidence for row in effects.rows} == {Evidence.ADJUSTED}


def test_a_strong_effect_takes_a_strong_confounder(effects):
    assert effects["Partner"].tipping > effects["Display"].tipping >= 0


def test_the_table_has_a_row_for_each_lever_and_the_baseline(effects):
    table = effects.table()
    assert table["channel"].to_pylist()[-1] == BASELINE and table.num_rows == len(effects.rows) == 10
