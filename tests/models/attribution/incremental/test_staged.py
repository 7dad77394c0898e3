from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.journeys import Journeys
from features.journeys.journeys import JOURNEY_COLUMNS, TOUCH_COLUMNS
from features.schema import DAY
from models.attribution.credit import BASELINE
from models.attribution.draws import Draws
from models.attribution.incremental import Incremental, StagedIncremental
from models.attribution.incremental.passages import cut_at, lost_for_good, stages_passed

DAYS = 180
SIZE = 4_000
TO_MQL, EVENT, TO_WON, LOST = 0.004, np.log(6.0), 0.01, 0.02


def lived(seed, events=True):
    """Return when accounts reached mql and won, when they were lost, and their touches as (account, day, channel).

    The first event, one in 60 days, multiplies the hazard of mql by 6 for good; calls come every week or so after mql,
    and do nothing.
    """
    random = np.random.default_rng(seed)
    mql, won, lost = (np.full(SIZE, DAYS + 1) for _ in range(3))
    met = np.zeros(SIZE, dtype=bool)
    touches = []
    for day in range(DAYS):
        here, called = random.random((2, SIZE))
        fate = random.random(SIZE)
        is_open, is_mql = (won > day) & (lost > day), mql < day
        moved = is_open & ~is_mql & (mql > day) & (fate < TO_MQL * np.exp(EVENT * met))
        won[is_open & is_mql & (fate < TO_WON)] = day
        lost[is_open & is_mql & (fate > 1 - LOST)] = day
        mql[moved] = day
        met_now = is_open & (here < 1 / 60) & events
        touches += [(account, day, "Event") for account in np.flatnonzero(met_now)]
        touches += [(account, day, "Outbound Sales") for account in np.flatnonzero(is_open & is_mql & (called < 1 / 7))]
        met |= met_now
    return mql, won, lost, touches


@pytest.fixture(scope="module")
def staged():
    mql, won, lost, touches = lived(1)
    ended = np.minimum(np.minimum(won, lost), DAYS)
    converted = won < DAYS
    ids = pa.array([f"a{account}" for account in range(SIZE)])
    columns = {
        **{name: pa.nulls(SIZE, kind) for name, kind in JOURNEY_COLUMNS.items()},
        "account_id": ids,
        "opened_at": pa.array(np.zeros(SIZE, dtype=np.int64)),
        "ended_at": pa.array(ended * DAY),
        "converted": pa.array(converted),
        "censored": pa.array(~converted & (lost > DAYS)),
        "revenue": pa.array(np.where(converted, 100, 0)),
        "currency": pa.array(["EUR"] * SIZE),
        "count": pa.array(np.ones(SIZE, dtype=np.int64)),
        "reached_mql": pa.array(mql * DAY, mask=mql > ended),
        "reached_won": pa.array(won * DAY, mask=~converted),
    }
    touches.sort()
    account, day, channel = (list(column) for column in zip(*touches, strict=True))
    count = len(touches)
    told = {
        **{name: pa.nulls(count, kind) for name, kind in TOUCH_COLUMNS.items()},
        "occurred_at": pa.array(np.array(day) * DAY + DAY // 2),
        "channel": pa.array(channel),
        "is_lever": pa.array(np.ones(count, dtype=bool)),
    }
    offset = np.searchsorted(account, np.arange(SIZE + 1))
    return Journeys("won", pa.table(columns), pa.table(told), offset)


@pytest.fixture(scope="module")
def truth():
    """Return the wins that events bring about, on average over lives with and without them."""
    with_them, without = (np.mean([(lived(seed, events)[1] < DAYS).sum() for seed in (1, 2, 3, 4)])
                          for events in (True, False))  # fmt: skip
    return with_them - without


@pytest.fixture(scope="module")
def fitted(staged):
    return StagedIncremental(horizon_days=DAYS).fit(staged)


def test_what_follows_the_stage_has_no_effect_stage_by_stage(staged, fitted):
    plain = Incremental(horizon_days=DAYS).fit(staged).effects()["Outbound Sales"].conversions
    assert plain.bounds[0] > 0
    assert not fitted.effects()["Outbound Sales"].conversions.excludes_zero


def test_what_acted_on_an_earlier_stage_keeps_its_effect(fitted, truth):
    found = fitted.effects()["Event"].conversions
    assert found.bounds[0] <= truth <= found.bounds[1]


def test_effects_and_baseline_make_the_conversions_of_several_passages(staged, fitted):
    rows = fitted.effects().rows
    assert sum(row.conversions.value for row in rows) == pytest.approx(staged.converted.sum())


def test_credit_of_several_passages_makes_each_conversion(staged, fitted):
    credit = fitted.credit(staged)
    given = np.bincount(staged.of_touch, credit.touch, staged.size) + credit.rest
    assert given == pytest.approx(staged.converted.astype(float), abs=1e-9)


def test_credit_goes_to_touches_before_the_passage_they_acted_on(staged, fitted):
    event = np.asarray(pc.equal(staged.touches["channel"], "Event"))
    reached = staged.journeys["reached_mql"].fill_null(0).to_numpy()[staged.of_touch]
    late = event & (staged.occurred_at > reached)
    assert fitted.credit(staged).touch[late].sum() < 0.1 * fitted.credit(staged).touch[event].sum()


def test_one_step_comes_near_a_refit_stage_by_stage(staged, fitted):
    weights = Draws.of(staged, draws=1, seed=3).weights
    again = StagedIncremental(horizon_days=DAYS).fit(
        staged.take(np.repeat(np.arange(staged.size), weights[0].astype(int)))
    )
    drawn = fitted.replicates(weights)
    refitted = again.replicates(np.ones((1, SIZE))[:, : len(again._learnt[0].influence.by_cluster)])
    spread = fitted.replicates(Draws.of(staged, seed=4).weights).draws.std(axis=0)
    order = [refitted.labels.index(label) for label in drawn.labels]
    assert (np.abs(drawn.draws[0] - refitted.value[order]) < spread).all()


def test_one_passage_is_the_plain_model(market):
    plain, staged = (
        model(horizon_days=DAYS).fit(market.journeys, market.confounders) for model in (Incremental, StagedIncremental)
    )
    assert staged.stages_ == ()
    assert staged.effects(20).table().equals(plain.effects(20).table())


def test_losses_leave_less_that_would_have_happened_anyway(staged):
    seen = staged.journeys.set_column(
        staged.journeys.column_names.index("censored"), "censored", pa.array(~staged.converted)
    )
    among, without = (
        Incremental(horizon_days=DAYS).fit(journeys).effects(2)[BASELINE].conversions.value
        for journeys in (staged, Journeys("won", seen, staged.touches, staged.offset))
    )
    assert among < without


def test_stages_that_few_pass_are_made_one_with_the_next(staged):
    assert stages_passed(staged, 10) == ("mql",)
    assert stages_passed(staged, SIZE) == ()


def test_passages_cut_the_time_at_risk(staged):
    first, second = cut_at(staged, ("mql",))
    risk = [(each.journeys.journeys["ended_at"].to_numpy() - each.journeys.journeys["opened_at"].to_numpy()).sum()
            for each in (first, second)]  # fmt: skip
    assert sum(risk) == staged.journeys["ended_at"].to_numpy().sum()
    assert second.journeys.converted.sum() == staged.converted.sum()


def test_an_account_that_comes_back_is_not_lost(staged):
    lost = lost_for_good(staged, 2 * DAYS * DAY)
    assert 0 < lost.sum() < (~staged.converted).sum()
    later = staged.journeys.set_column(3, "opened_at", pa.array(np.ones(SIZE, dtype=np.int64)))
    twice = Journeys(
        "won", pa.concat_tables([staged.journeys, later]), pa.concat_tables([staged.touches, staged.touches]),
        np.concatenate([staged.offset, staged.offset[1:] + staged.offset[-1]]),
    )  # fmt: skip
    assert not lost_for_good(twice, 2 * DAYS * DAY)[:SIZE].any()
