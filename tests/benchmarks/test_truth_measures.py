"""The judges of credit: the truth itself loses nothing, and what is wrong is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.peers.environment import paths
from benchmarks.truth_measures import Judge, _follow
from features.synthetic.exposures import MARKETS, Exposures, simulate_exposures


@pytest.fixture(scope="module")
def market() -> Exposures:
    return simulate_exposures(replace(MARKETS["logistic"], accounts=4_000), 101)


@pytest.fixture(scope="module")
def judge(market: Exposures) -> Judge:
    names, code = market.journeys.players()
    return Judge(market.market, market.truth, dict(zip(map(str, names), np.bincount(code).tolist(), strict=True)))


@pytest.fixture(scope="module")
def truth(market: Exposures) -> dict[str, float]:
    return dict(zip(market.truth.channels, market.truth.incremental.tolist(), strict=True))


def test_the_truth_is_right_in_every_measure(judge: Judge, truth: dict[str, float]) -> None:
    found = judge.measures(truth, sum(truth.values()))
    nothing = dict.fromkeys(("tvd", "tvd_levers", "null", "total", "regret", "lost"), 0)
    assert found == pytest.approx(nothing | {"rank": 1}, abs=1e-9)


def test_the_unit_of_credit_does_not_matter(judge: Judge, truth: dict[str, float]) -> None:
    tenfold = {channel: 10 * worth for channel, worth in truth.items()}
    assert judge.measures(tenfold, 5.0) == pytest.approx(judge.measures(truth, 5.0), abs=1e-9)


def test_credit_of_responses_is_distance(judge: Judge, truth: dict[str, float]) -> None:
    total = sum(truth.values())
    assert judge.measures(truth | {"Direct": total}, total)["tvd"] == pytest.approx(0.5)


def test_credit_of_a_lever_without_effect_is_seen_and_costs(judge: Judge, truth: dict[str, float]) -> None:
    found = judge.measures(truth | {"Content Syndication": sum(truth.values())}, 1.0)
    assert found["null"] == pytest.approx(0.5)
    assert found["regret"] > 0


def test_peers_read_each_journey_with_touches_in_the_order_of_time(market: Exposures) -> None:
    journeys, given = market.journeys, paths(market.journeys)
    there = np.flatnonzero(np.diff(journeys.offset))
    first = journeys.touches.slice(journeys.offset[there[5]], journeys.offset[there[5] + 1] - journeys.offset[there[5]])
    assert given["path"][5].as_py().split(" > ") == first["channel"].to_pylist()
    hours = [float(one) for one in given["hours"][5].as_py().split(" > ")]
    assert hours == sorted(hours, reverse=True)
    assert given.num_rows == len(there)


def test_credit_of_responses_can_be_left_out(judge: Judge, truth: dict[str, float]) -> None:
    found = judge.measures(truth | {"Direct": sum(truth.values())}, 1.0)
    assert found["tvd_levers"] == pytest.approx(0)


@pytest.mark.parametrize("kept", [(), ("Email",), ("Email", "Display")])
def test_the_budget_is_spent_whatever_is_believed(judge: Judge, truth: dict[str, float], kept: tuple[str, ...]) -> None:
    """Whoever believes in a few cheap levers spends on the others what these can not take."""
    given = {"Direct": 1.0} | {channel: truth[channel] + 1 for channel in kept}
    found = judge.measures(given, 1.0)
    today = np.array([lever.unit_cost * judge.touches[lever.name] for lever in judge.market.levers], dtype=np.float64)
    belief = np.array([given.get(lever.name, 0.0) for lever in judge.market.levers])
    assert _follow(belief, today) @ today == pytest.approx(today.sum())
    assert 0 < found["regret"] < sum(truth.values())


def test_a_lever_that_nobody_used_has_no_budget(market: Exposures, truth: dict[str, float]) -> None:
    names, code = market.journeys.players()
    touches = dict(zip(map(str, names), np.bincount(code).tolist(), strict=True)) | {"Display": 0}
    assert np.isfinite(Judge(market.market, market.truth, touches).measures(truth, 1.0)["regret"])
