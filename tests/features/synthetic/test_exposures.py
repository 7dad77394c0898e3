"""Markets of exposures: what they promise, and that their truth is the truth."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import permutations
from math import exp

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.agreement import Agreement
from features.journeys import Journeys, find_journeys
from features.ledger import Ledger
from features.relations import build
from features.synthetic.exposures import DAYS, MARKETS, ExposureMarket, Exposures, simulate_exposures, tables
from features.synthetic.exposures.simulation import base_logit
from smarketing import app

SHAPES = ("logistic", "hazard", "saturation", "synergy", "order")
LIVES = 4_000


def busy(name: str, accounts: int = 60) -> ExposureMarket:
    """A small market in which much happens, so that little data tells much."""
    market = MARKETS[name]
    levers = tuple(replace(lever, touches=4 * lever.touches) for lever in market.levers)
    return replace(market, accounts=accounts, levers=levers, logit=-6.0)


@pytest.fixture(scope="module", params=list(MARKETS))
def small(request: pytest.FixtureRequest) -> Exposures:
    return simulate_exposures(replace(MARKETS[request.param], accounts=3_000), 101)


@pytest.fixture(scope="module", params=SHAPES)
def tiny(request: pytest.FixtureRequest) -> Exposures:
    return simulate_exposures(busy(request.param), 101)


def chances(exposures: Exposures, account: int, allowed: Collection[str]) -> list[float]:
    """The daily chances of converting of one account with the touches of some levers only, said slowly."""
    market, touched = exposures.market, exposures.levers
    names = [lever.name for lever in market.levers]
    rows = np.flatnonzero(touched.account == account)
    touches = [(float(touched.at[row]), names[touched.lever[row]]) for row in rows]
    found = []
    for day in range(DAYS):
        before = [(at, name) for at, name in touches if at < day and name in allowed]
        logit = float(base_logit(market, exposures.fit, exposures.intent)[account])
        for lever in market.levers:
            ages = [day - at for at, name in before if name == lever.name]
            logit += lever.effect * STRENGTH[market.shape](ages, lever.half_life_days)
        for pair in market.pairs:
            first = [at for at, name in before if name == pair.first]
            second = [at for at, name in before if name == pair.second]
            if first and second and (market.shape == "synergy" or max(second) > min(first)):
                logit += pair.effect
        found.append(1 / (1 + exp(-logit)))
    return found


def stock(ages: list[float], half_life: float) -> float:
    return sum(2 ** (-age / half_life) for age in ages)


STRENGTH: dict[str, Callable[[list[float], float], float]] = {
    "logistic": lambda ages, _: float(bool(ages)),
    "synergy": lambda ages, _: float(bool(ages)),
    "order": lambda ages, _: float(bool(ages)),
    "hazard": stock,
    "saturation": lambda ages, half_life: 1 - exp(-stock(ages, half_life)),
}


def converts(daily: list[float]) -> float:
    return 1 - float(np.prod([1 - chance for chance in daily]))


def levers_of(exposures: Exposures, account: int) -> list[str]:
    there = np.unique(exposures.levers.lever[exposures.levers.account == account])
    return [exposures.market.levers[lever].name for lever in there]


def test_worth_is_what_permutations_say(tiny: Exposures) -> None:
    account = next(one for one in range(60) if len(levers_of(tiny, one)) == 5)
    present = levers_of(tiny, account)
    worth = dict.fromkeys(present, 0.0)
    for order in permutations(present):
        for place, name in enumerate(order):
            gained = converts(chances(tiny, account, order[: place + 1])) - converts(
                chances(tiny, account, order[:place])
            )
            worth[name] += gained / 120
    told = dict(zip(tiny.truth.channels, tiny.truth.by_account[account], strict=True))
    assert {name: told[name] for name in present} == pytest.approx(worth, abs=1e-12)


def test_worth_and_baseline_add_up_to_the_chance_of_converting(tiny: Exposures) -> None:
    whole = tiny.truth.by_account.sum(axis=1) + tiny.truth.baseline_by_account
    slow = [converts(chances(tiny, account, levers_of(tiny, account))) for account in range(60)]
    assert whole == pytest.approx(slow, abs=1e-12)
    assert tiny.truth.baseline_by_account[7] == pytest.approx(converts(chances(tiny, 7, ())), abs=1e-12)


@pytest.mark.parametrize("without", [(), ("Event", "Partner", "Email")])
def test_lives_lived_with_and_without_levers_agree_with_the_chances(tiny: Exposures, without: tuple[str, ...]) -> None:
    rng = np.random.default_rng(5)
    allowed = [name for name in levers_of(tiny, 3) if name not in without]
    daily = chances(tiny, 3, allowed)
    lived = (rng.random((LIVES, DAYS)) < daily).any(axis=1).mean()
    expected = converts(daily)
    assert lived == pytest.approx(expected, abs=4 * (expected * (1 - expected) / LIVES) ** 0.5)


def test_as_many_convert_as_the_truth_expects(small: Exposures) -> None:
    expected = small.truth.by_account.sum(axis=1) + small.truth.baseline_by_account
    error = float(np.sqrt((expected * (1 - expected)).sum()))
    assert small.journeys.converted.sum() == pytest.approx(expected.sum(), abs=4 * error)


def test_levers_without_effect_and_responses_are_worth_exactly_nothing(small: Exposures) -> None:
    worth = dict(zip(small.truth.channels, small.truth.by_account.T, strict=True))
    for name in ("Display", "Content Syndication", "Direct", "Organic Search", "Referral"):
        assert not worth[name].any()
    assert small.truth.shares.sum() == pytest.approx(1)


def test_nothing_is_recorded_after_the_conversion_or_before_the_start(small: Exposures) -> None:
    journeys = small.journeys
    opened, ended = (journeys.journeys[name].to_numpy()[journeys.of_touch] for name in ("opened_at", "ended_at"))
    assert (journeys.occurred_at >= opened).all()
    assert (journeys.occurred_at <= ended).all()
    assert not (journeys.converted & journeys.censored).any()


def test_an_unrecorded_lever_has_worth_and_no_touch() -> None:
    hidden = simulate_exposures(replace(MARKETS["unobserved"], accounts=2_000), 101)
    assert "Analyst Briefing" not in hidden.journeys.players()[0]
    assert hidden.truth.incremental[hidden.truth.channels.index("Analyst Briefing")] > 0
    assert hidden.truth.shares[hidden.truth.channels.index("Analyst Briefing")] == 0


@pytest.mark.parametrize("name", ["hazard", "confounded_strong"])
def test_same_seed_gives_the_same(name: str) -> None:
    market = replace(MARKETS[name], accounts=500)
    one, two = simulate_exposures(market, 3), simulate_exposures(market, 3)
    assert one.journeys.touches.equals(two.journeys.touches)
    assert one.confounders.equals(two.confounders)
    assert (one.truth.by_account == two.truth.by_account).all()
    assert not one.journeys.touches.equals(simulate_exposures(market, 4).journeys.touches)


def test_exposure_follows_intent_in_confounded_markets_only() -> None:
    def followed(name: str) -> float:
        market = simulate_exposures(replace(MARKETS[name], accounts=8_000), 101)
        return float(np.corrcoef(market.intent, np.bincount(market.levers.account, minlength=8_000))[0, 1])

    assert abs(followed("logistic")) < 0.04
    assert 0.1 < followed("confounded_weak") < followed("confounded_strong")


def test_the_proxy_goes_with_intent_as_declared() -> None:
    market = simulate_exposures(replace(MARKETS["confounded_strong"], accounts=20_000), 101)
    assert np.corrcoef(market.intent, market.confounders["intent_proxy"].to_numpy())[0, 1] == pytest.approx(
        0.8, abs=0.02
    )
    assert (
        "intent_proxy" not in simulate_exposures(replace(MARKETS["logistic"], accounts=10), 1).confounders.column_names
    )


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Exposures, Journeys]:
    """A market, and the journeys that are found once its tables went through a ledger."""
    exposures = simulate_exposures(replace(MARKETS["logistic"], accounts=300), 101)
    folder, agreement = tmp_path_factory.mktemp("market"), Agreement.load()
    for name, table in tables(exposures).items():
        pq.write_table(table, folder / f"{name}.parquet")
    store = folder.parent / f"{folder.name}.db"
    assert CliRunner().invoke(app, ["--store", str(store), "ingest", str(folder)]).exit_code == 0
    with Ledger.open(store) as ledger:
        held = ledger.tables()
    return exposures, find_journeys(held, build(held, agreement), agreement, as_of=exposures.until)


def test_the_pipeline_finds_the_same_conversions_and_revenue(taken_in: tuple[Exposures, Journeys]) -> None:
    exposures, found = taken_in
    ours, theirs = (one.journeys.filter(one.converted).sort_by("account_id") for one in (exposures.journeys, found))
    assert theirs.select(["account_id", "revenue", "ended_at"]).equals(
        ours.select(["account_id", "revenue", "ended_at"])
    )


def test_the_pipeline_leaves_out_what_customers_do(taken_in: tuple[Exposures, Journeys]) -> None:
    exposures, found = taken_in
    assert "product_use" in tables(exposures)["touchpoints"]["touch_type"].to_pylist()
    assert "product_use" not in found.touches["touch_type"].to_pylist()
