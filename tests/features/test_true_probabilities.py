"""Markets whose future is lived many times over: true probabilities, true effects of levers, and a vendor's hearsay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.agreement import Agreement, Goal
from features.errors import AgreementError
from features.schema import DAY
from features.synthetic import PRESETS, Rollouts, Simulation, simulate, squared_distances
from smarketing import app

UNTIL = 20_778 * DAY  # 2026-11-21
MARKET = replace(PRESETS["reference"], accounts=1_200, months=14)
WON, SQL = (Agreement.load(None).goal(name) for name in ("won_90d", "sql_30d"))


@pytest.fixture(scope="module")
def seen() -> Simulation:
    """Two goals at the midnights every 56 days of the last year, three futures each."""
    return simulate(MARKET, 3, UNTIL, rollouts=Rollouts((WON, SQL), 56, 3))


def test_what_is_asked_of_the_future_changes_nothing_in_the_books(seen: Simulation) -> None:
    blind = simulate(MARKET, 3, UNTIL)
    assert all(table.equals(seen.tables[name]) for name, table in blind.tables.items())
    assert blind.truth["traces"].equals(seen.truth["traces"])


def test_the_same_seed_sees_the_same_future_and_another_does_not() -> None:
    market = replace(MARKET, accounts=200, months=4)
    one, two, other = (
        simulate(market, seed, UNTIL, rollouts=Rollouts((WON,), 56, 2)).truth["probabilities"] for seed in (1, 1, 2)
    )
    assert one.equals(two)
    assert not one.equals(other)


@pytest.mark.parametrize("goal", [WON, SQL], ids=lambda goal: goal.name)
def test_the_mean_of_the_true_probabilities_is_the_realised_rate(seen: Simulation, goal: Goal) -> None:
    account, probability, happened = _complete(seen, goal)
    # Draws and what happened are noise of about the same kind; an account's rows belong together.
    sums = np.bincount(np.unique(account, return_inverse=True)[1], happened - probability)
    assert probability.sum() > 50
    assert abs(sums.sum()) < 3.5 * np.sqrt(np.sum(sums**2))


def test_the_true_probability_tells_who_wins(seen: Simulation) -> None:
    _, probability, happened = _complete(seen, WON)
    assert happened[probability > 0.5].mean() > 4 * happened.mean()


def test_moments_are_mondays_of_the_last_year_on_the_grid_of_snapshots(seen: Simulation) -> None:
    days = np.unique(seen.truth["probabilities"]["as_of"].to_numpy()) // DAY
    assert len(days) in (6, 7)
    assert set((days - 4) % 56) == {0}
    assert days.min() >= UNTIL // DAY - 365


def test_distances_to_the_truth_are_free_of_the_noise_of_the_draws() -> None:
    random = np.random.default_rng(0)
    true, given = random.beta(0.5, 4, 200_000), 0.1
    share = random.binomial(5, true) / 5
    found = squared_distances(np.full(len(true), given), share, 5)
    assert found.mean() == pytest.approx(np.mean((given - true) ** 2), abs=4 * found.std() / np.sqrt(len(true)))
    assert np.mean((given - share) ** 2) > 1.3 * found.mean()


def test_a_single_draw_or_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="Got 1 instead"):
        Rollouts((WON,), 28, 1)
    with pytest.raises(AgreementError, match="'pilot'"):
        Rollouts((replace(WON, reach="pilot"),), 28, 2)


def test_strong_levers_bring_wins_and_revenue_and_idle_ones_nothing() -> None:
    market = replace(MARKET, accounts=1_500, months=6)
    effects = simulate(market, 1, UNTIL, lever_draws=1).truth["lever_effects"].to_pylist()
    idle = [row for row in effects if row["effect"] == 0]
    assert {row["process"] for row in idle} == {"Display", "Content Syndication"}
    assert all(row["wins"] == row["revenue"] == 0 and row["touches"] > 100 for row in idle)
    strong = {row["process"]: row for row in effects if row["process"] in ("Outbound Sales", "Email")}
    assert all(row["wins"] > 2 * row["wins_error"] > 0 and row["revenue"] > 0 for row in strong.values())


def test_what_the_vendor_hears_is_correlated_with_intent_as_declared(seen: Simulation) -> None:
    attributes, traces = seen.tables["attributes"], seen.truth["traces"].to_pylist()
    heard = attributes.filter(pc.equal(attributes["field"], "third_party_intent"))
    assert heard["set_by"].unique().to_pylist() == ["vendor"]
    assert pc.all(pc.greater(heard["known_at"], heard["occurred_at"])).as_py()
    assert heard.num_rows > 10 * MARKET.accounts
    # Intent is written down every 28 days: reports within three days of it are of almost the same intent.
    intent = {(row["account_id"], row["at"]): row["intent"] for row in traces}
    pairs = [(float(row["value"]), *_near(intent, row["id"], row["occurred_at"])) for row in heard.to_pylist()]
    value, hidden = np.array([pair for pair in pairs if len(pair) == 2]).T
    assert len(value) > 1_000
    assert np.corrcoef(value, hidden)[0, 1] == pytest.approx(0.8 * 2 ** (-1.5 / 45), abs=0.04)


def test_the_demo_market_has_no_vendor() -> None:
    demo = simulate(replace(PRESETS["demo"], accounts=50, months=3), 1, UNTIL)
    assert "third_party_intent" not in demo.tables["attributes"]["field"].unique().to_pylist()


def test_the_command_writes_probabilities_and_effects(tmp_path: Path) -> None:
    words = ["simulate", "--preset", "reference", "--accounts", "60", "--months", "3", "--until", "2026-11-21"]
    more = ["--truth-every", "84", "--truth-draws", "2", "--lever-draws", "1", "--confounding", "1.5"]
    result = CliRunner().invoke(app, [*words, *more, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    found = pq.read_table(tmp_path / "truth" / "probabilities.parquet")
    assert set(found["goal"].unique().to_pylist()) >= {"won_90d", "sql_30d"}
    assert set(found["draws"].to_pylist()) == {2}
    assert pq.read_table(tmp_path / "truth" / "lever_effects.parquet").num_rows == 9
    assert '"confounding": 1.5' in (tmp_path / "truth" / "market.json").read_text(encoding="utf-8")


def _complete(simulation: Simulation, goal: Goal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Account, true probability and what happened, for the moments whose horizon is over at the end of the history."""
    table = simulation.truth["probabilities"]
    end = pa.scalar(UNTIL - goal.within_days * DAY - 10 * DAY)
    rows = table.filter(pc.and_(pc.equal(table["goal"], goal.name), pc.less_equal(table["as_of"], end)))
    order = Agreement.load(None).stages.order
    reached = order[order.index(goal.reach) :]
    when: dict[str, list[int]] = {}
    for name, column in (("deals", "outcome"), ("stage_changes", "stage")):
        for row in simulation.tables[name].filter(pc.equal(simulation.tables[name]["kind"], goal.kind)).to_pylist():
            if {"open": "deal"}.get(row[column], row[column]) in reached:
                when.setdefault(row["account_id"], []).append(row["occurred_at"])
    account, as_of = rows["account_id"].to_pylist(), rows["as_of"].to_pylist()
    happened = [
        any(0 < at - moment <= goal.within_days * DAY for at in when.get(name, ()))
        for name, moment in zip(account, as_of, strict=True)
    ]
    return np.array(account), rows["probability"].to_numpy(), np.array(happened, dtype=float)


def _near(intent: dict[tuple[str, int], float], account: str, at: int) -> tuple[float, ...]:
    found = [intent.get((account, at + days * DAY)) for days in (-3, -2, -1, 0, 1, 2, 3)]
    return tuple(value for value in found if value is not None)[:1]
