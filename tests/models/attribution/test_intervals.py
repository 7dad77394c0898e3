from __future__ import annotations

import numpy as np
import pytest

from models.attribution import allocation, markov, shapley
from models.attribution.draws import Draws
from models.attribution.intervals import Replicates, replicates
from models.attribution.markov import Markov
from models.attribution.shapley import ShapleyRate, ShapleySets
from tests.models.attribution.few import Walk, channels, walked

MODELS = [Markov(), Markov(per_journey=True), Markov(order=2), ShapleySets(), ShapleyRate()]
NAMES = ("Email", "Event", "Partner", "Direct")


def market(seed, accounts=300):
    """Return one or two journeys an account; one in three converts."""
    random = np.random.default_rng(seed)

    def walk(account):
        names = random.choice(NAMES, random.integers(1, 5), p=[0.4, 0.3, 0.2, 0.1])
        touches = [(name, day) for day, name in enumerate(names)]
        return Walk(touches, str(account), bool(random.random() < 0.3), revenue=int(random.integers(1, 1000)))

    return walked(*(walk(account) for account in range(accounts) for _ in range(random.integers(1, 3))))


MARKET = market(0)


def drawn(draws, row):
    """Return the journeys of a draw, each account as often as it was drawn."""
    return MARKET.take(np.repeat(np.arange(MARKET.size), draws.drawn[row][draws.cluster]))


def asked(model, journeys=MARKET, draws=None, **options):
    credit = model.fit(journeys).credit(journeys)
    return replicates(model, credit, draws or Draws.of(journeys, draws=20), **options)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_draw_gives_what_its_accounts_give_on_their_own(model):
    draws = Draws.of(MARKET, draws=3)
    found, alone = asked(model, draws=draws), drawn(draws, 2)
    credit = model.fit(alone).credit(alone)
    names, code = allocation.players(alone)
    expected = dict(zip(names, np.bincount(code, weights=credit.touch), strict=True))
    assert dict(zip(found.labels, found.draws[2], strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_what_is_given_makes_what_there_is_in_every_draw(model):
    draws = Draws.of(MARKET, draws=20)
    found = asked(model, draws=draws, amount=MARKET.revenue)
    total = draws.sums(draws.by_cluster(np.where(MARKET.converted, MARKET.revenue, 0.0)[:, None]))[:, 0]
    assert found.value.sum() == pytest.approx(MARKET.revenue[MARKET.converted].sum())
    assert found.draws.sum(axis=1) == pytest.approx(total)


def test_journeys_of_an_account_are_drawn_together():
    draws = Draws.of(MARKET, draws=5)
    assert (draws.cluster == MARKET.account).all() and (draws.drawn.sum(axis=1) == 300).all()


def test_counted_paths_are_drawn_journey_by_journey():
    journeys = walked(channels("Email", count=900), channels("Event", count=100))
    draws = Draws.of(journeys, draws=400)
    assert (draws.drawn.sum(axis=1) == 1000).all()
    assert draws.drawn[:, 1].std() == pytest.approx(np.sqrt(1000 * 0.1 * 0.9), rel=0.15)


def test_every_draw_holds_a_conversion():
    journeys = walked(
        channels("Email", account="a"), *(channels("Event", account=n, converted=False) for n in "bcdefg")
    )
    assert (Draws.of(journeys).drawn[:, 0] > 0).all()


def test_the_same_seed_draws_the_same_accounts():
    first, second, other = (Draws.of(MARKET, draws=2, seed=seed).drawn for seed in (1, 1, 2))
    assert (first == second).all() and not (first == other).all()


def test_conversions_without_a_touch_are_a_row_of_their_own():
    journeys = walked(channels("Email", account="a"), channels(account="b"))
    found = asked(ShapleySets(), journeys)
    assert found.labels == ("Email", "(no touch)") and found.ranked == ("Email",)
    assert found.shares()["(no touch)"].value == 0.5 and found.first() == {"Email": 1.0}


def test_values_of_another_column_are_weighed():
    found = asked(Markov(), column="content")
    assert found.labels[:2] == tuple(MARKET.players("content")[0])[:2]
    assert found.draws.mean(axis=0) == pytest.approx(found.value, rel=0.15)


@pytest.mark.parametrize(
    ("module", "limit", "model"),
    [(markov, "_MOST_CHANNELS", Markov()), (markov, "_MOST_WORK", Markov(order=2)),
     (shapley, "_MOST_CHANNELS", ShapleyRate())],
)  # fmt: skip
def test_with_too_many_channels_to_learn_anew_credit_is_weighed(monkeypatch, module, limit, model):
    learnt = asked(model).draws
    monkeypatch.setattr(module, limit, 3)
    weighed = asked(model).draws
    assert not np.allclose(weighed, learnt) and weighed.sum() == pytest.approx(learnt.sum(), rel=0.05)


def test_shares_are_between_nothing_and_everything():
    found = asked(ShapleySets(), walked(channels("Email", account="a"), channels("Event", "Email", account="b")))
    assert all(0 <= share.bounds[0] <= share.bounds[1] <= 1 for share in found.shares().values())


def test_ranks_are_counted_over_draws():
    found = Replicates(("A", "B", "(baseline)"), np.zeros(3), np.array([[2.0, 1, 9], [1, 2, 9], [3, 1, 9], [1, 1, 9]]))
    assert found.first() == {"A": 0.625, "B": 0.375}
    assert found.above().tolist() == [[0.5, 0.625], [0.375, 0.5]]


def test_signed_effects_have_signed_intervals():
    found = Replicates(("A",), np.array([-1.0]), np.array([[-1.5], [-0.5]]))
    low, high = found.estimates()["A"].bounds
    assert low < -1 and high < 0


def test_nothing_converted_gives_nothing():
    found = asked(ShapleySets(), walked(channels("Email", converted=False)))
    assert found.estimates()["Email"].bounds == (0, 0) == found.shares()["Email"].bounds


@pytest.fixture(scope="module")
def population():
    return market(1, 4_000)


@pytest.mark.parametrize("model", [MODELS[0], MODELS[1], MODELS[3]], ids=lambda model: model.name)
def test_nine_intervals_in_ten_hold_the_truth(model, population):
    truth = {name: share.value for name, share in asked(model, population).shares().items()}
    random, held = np.random.default_rng(5), []
    for _ in range(80):
        sample = population.take(np.isin(population.account, random.choice(4_000, 200, replace=False)))
        shares = asked(model, sample, Draws.of(sample, draws=60)).shares()
        held += [share.bounds[0] <= truth[name] <= share.bounds[1] for name, share in shares.items()]
    assert 0.84 <= np.mean(held) <= 0.95
