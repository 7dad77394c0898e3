"""The simulated market: what it promises to its users, and what is hidden in it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

from features.schema import DAY, TABLES
from features.synthetic import PRESETS, Simulation, simulate, write
from features.synthetic.dynamics import unfold
from features.synthetic.history import LEAD, MQL, TYPE_NAMES
from features.synthetic.population import populate
from features.touch_types import TOUCH_TYPES
from smarketing import app

UNTIL = 20_778 * DAY  # 2026-11-21
NOON = UNTIL + DAY // 2
SMALL = replace(PRESETS["demo"], accounts=300, months=9)


@pytest.fixture(scope="module")
def demo() -> Simulation:
    return simulate(PRESETS["demo"], 1, UNTIL)


@pytest.fixture(scope="module")
def touches(demo: Simulation) -> pa.Table:
    """First versions of the touches, each once."""
    table = demo.tables["touchpoints"].filter(pc.equal(demo.tables["touchpoints"]["revision"], 1))
    _, first = np.unique(table["event_id"].to_numpy(zero_copy_only=False), return_index=True)
    return table.take(first)


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_seed_and_until_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(simulate(SMALL, 7, UNTIL), tmp_path / name)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")
    assert len(fingerprint(tmp_path / "one")) == 11 + 5


def test_another_seed_gives_another_market() -> None:
    one, two = (simulate(SMALL, seed, UNTIL).tables["touchpoints"] for seed in (1, 2))
    assert not one.equals(two)


def test_tables_have_the_senders_columns_and_types(demo: Simulation) -> None:
    for name, table in demo.tables.items():
        wanted = {column.name: column.type.arrow for column in TABLES[name].stored}
        extra = set(table.column_names) - set(TABLES[name].names)
        assert extra <= {"revision", "known_at", "deleted"}
        assert set(TABLES[name].names) <= set(table.column_names)
        assert {field.name: field.type for field in table.schema}.items() <= wanted.items()


def test_required_columns_are_filled_and_choices_kept(demo: Simulation) -> None:
    for name, table in demo.tables.items():
        for column in TABLES[name].columns:
            assert not column.required or table[column.name].null_count == 0
            if column.choices:
                assert set(table[column.name].drop_null().unique().to_pylist()) <= set(column.choices)


@pytest.mark.parametrize("until", [UNTIL, NOON])
def test_nothing_happens_or_is_known_at_the_end_or_later(until: int) -> None:
    for name, table in simulate(SMALL, 3, until).tables.items():
        for column in {TABLES[name].clock, "known_at", "created_at"} & set(table.column_names):
            assert pc.max(table[column]).as_py() < until


def test_the_market_is_alive_on_its_last_day(touches: pa.Table) -> None:
    assert pc.max(touches["occurred_at"]).as_py() > UNTIL - DAY


def test_rows_arrive_in_the_order_in_which_they_became_known(demo: Simulation) -> None:
    for name in set(demo.tables) - {"accounts", "contacts"}:
        assert (np.diff(demo.tables[name]["known_at"].to_numpy()) >= 0).all()


def test_most_is_known_soon_some_late_and_a_few_meetings_before_they_take_place(touches: pa.Table) -> None:
    lag = (touches["known_at"].to_numpy() - touches["occurred_at"].to_numpy()) / DAY
    early = touches.filter(pa.array(lag < 0))
    assert 0 < early.num_rows < 0.02 * touches.num_rows
    assert early["touch_type"].unique().to_pylist() == ["meeting"]
    assert np.median(lag) < 0.1
    assert 0.02 < (lag > 1).mean() < 0.15


def test_event_ids_sort_in_time(touches: pa.Table) -> None:
    assert (np.diff(touches["occurred_at"].to_numpy()) >= 0).all()


def test_every_reply_has_its_question_known_before_it_and_of_the_same_account(touches: pa.Table) -> None:
    replies = touches.filter(touches["reply_to"].is_valid())
    asked = touches.take(pc.index_in(replies["reply_to"], touches["event_id"].combine_chunks()))
    assert replies.num_rows > 1_000
    assert asked["event_id"].null_count == 0
    assert pc.all(pc.less_equal(asked["known_at"], replies["occurred_at"])).as_py()
    named = pc.and_(asked["account_id"].is_valid(), replies["account_id"].is_valid())
    assert pc.all(pc.equal(asked["account_id"], replies["account_id"]).filter(named)).as_py()


def test_touch_types_stages_and_directions_are_those_of_the_vocabulary(touches: pa.Table) -> None:
    seen = touches.group_by(["touch_type", "content_stage", "direction"]).aggregate([]).to_pylist()
    assert len(seen) >= 25
    for row in seen:
        kind = TOUCH_TYPES[row["touch_type"]]
        assert (row["content_stage"], row["direction"]) == (kind.content_stage, kind.direction)


def test_some_rows_come_twice_some_are_corrected_some_taken_back(demo: Simulation) -> None:
    table = demo.tables["touchpoints"]
    revision = table["revision"].to_numpy()
    first = table.filter(pa.array(revision == 1))
    assert 0.002 < 1 - len(first["event_id"].unique()) / first.num_rows < 0.01
    deleted = table["deleted"].to_numpy(zero_copy_only=False)
    assert deleted.any()
    assert (revision[deleted] == 2).all()
    mended = table.filter(pa.array((revision == 2) & ~deleted))
    wrong = first.take(pc.index_in(mended["event_id"], first["event_id"].combine_chunks()))
    assert set(wrong["channel"].to_pylist()) == {"Unassigned"}
    assert "Unassigned" not in mended["channel"].to_pylist()


def test_links_settle_touches_that_named_nobody_who_was_known(demo: Simulation, touches: pa.Table) -> None:
    links = demo.tables["touch_links"]
    linked = touches.take(pc.index_in(links["event_id"], touches["event_id"].combine_chunks()))
    assert links.num_rows > 1_000
    assert linked["account_id"].null_count == links.num_rows
    assert pc.all(pc.less_equal(linked["known_at"], links["known_at"])).as_py()


def test_people_change_employers(demo: Simulation) -> None:
    attributes = demo.tables["attributes"]
    jobs = attributes.filter(pc.equal(attributes["field"], "employer"))
    per_person = jobs.group_by("id").aggregate([("value", "count_distinct")])["value_count_distinct"].to_numpy()
    assert 0.005 < (per_person > 1).mean() < 0.05


def test_won_deals_bring_money_in_two_currencies_with_rates(demo: Simulation) -> None:
    deals = demo.tables["deals"]
    won = deals.filter(pc.equal(deals["outcome"], "won"))
    per_deal = won.group_by("deal_id").aggregate([("amount", "min"), ("kind", "max")])
    assert pc.min(per_deal["amount_min"]).as_py() > 0
    assert set(won["kind"].to_pylist()) == {"new", "expansion", "renewal"}
    assert set(won["currency"].to_pylist()) == {"EUR", "USD"}
    assert demo.tables["fx_rates"]["currency"].unique().to_pylist() == ["USD"]
    amount = per_deal["amount_min"].to_numpy()
    assert amount.mean() > 1.25 * np.median(amount)  # a heavy tail


def test_lost_deals_say_why_and_others_do_not(demo: Simulation) -> None:
    deals = demo.tables["deals"]
    lost = pc.equal(deals["outcome"], "lost")
    assert pc.all(pc.equal(lost, deals["loss_reason"].is_valid())).as_py()


def test_deals_open_before_they_close_and_close_once(demo: Simulation) -> None:
    deals = demo.tables["deals"].filter(pc.equal(demo.tables["deals"]["revision"], 1)).to_pylist()
    state: dict[str, str] = {}
    for row in sorted(deals, key=lambda row: row["occurred_at"]):
        known = state.get(row["deal_id"])
        assert known in ((None,) if row["outcome"] == "open" and known is None else ("open", None))
        state[row["deal_id"]] = row["outcome"]
    assert {"open", "won", "lost"} == set(state.values())


def test_the_base_rate_of_won_in_90_days_is_plausible(demo: Simulation) -> None:
    traces, deals = demo.truth["traces"], demo.tables["deals"]
    won = deals.filter(pc.and_(pc.equal(deals["outcome"], "won"), pc.equal(deals["kind"], "new"))).to_pylist()
    when = {(row["account_id"], row["occurred_at"]) for row in won}
    first_win: dict[str, int] = {}
    for account, at in sorted(when, key=lambda pair: pair[1]):
        first_win.setdefault(account, at)
    middle = (UNTIL - 400 * DAY, UNTIL - 100 * DAY)
    rows = [
        (row["account_id"], row["at"])
        for row in traces.filter(pc.equal(traces["kind"], "new")).to_pylist()
        if middle[0] < row["at"] < middle[1]
    ]
    rate = np.mean([0 < first_win.get(account, UNTIL) - at <= 90 * DAY for account, at in rows])
    assert 0.05 < rate < 0.12


def test_two_levers_have_no_effect_and_touch_nothing_else() -> None:
    market = PRESETS["demo"]
    idle = [process for process in market.processes if process.role == "lever" and process.effect == 0]
    types = {kind.touch_type for process in idle for kind in process.kinds}
    assert [process.name for process in idle] == ["Display", "Content Syndication"]
    assert all(not process.excites for process in idle)
    assert not types & {rule.after for rule in market.follow_ups}
    assert all(process.effect == 0 for process in market.processes if process.role != "lever")


def test_without_the_levers_that_have_no_effect_every_cycle_is_the_same() -> None:
    silent = tuple(
        replace(process, yearly=0.0) if process.name in ("Display", "Content Syndication") else process
        for process in SMALL.processes
    )
    one, two = (_lived(market, seed=5)[1] for market in (SMALL, replace(SMALL, processes=silent)))
    assert len(one.touches["at"]) > len(two.touches["at"])
    for name, column in (one.passages | one.traces).items():
        assert np.array_equal(column, (two.passages | two.traces)[name])


def test_traces_hold_the_declared_adstock_and_index(demo: Simulation) -> None:
    people, history = _lived(replace(SMALL, accounts=200), seed=2)
    log, traces = history.touches, history.traces
    chosen = traces["at"] == np.unique(traces["at"])[-2]
    moment = traces["at"][chosen][0]
    expected = np.zeros(people.size)
    for code, process in enumerate(SMALL.processes):
        rows = (log["process"] == code) & (log["at"] < moment)
        decayed = np.exp2(-(moment - log["at"][rows]) / DAY / process.half_life_days)
        expected += process.effect * np.bincount(log["account"][rows], decayed, people.size)
    assert np.allclose(traces["levers"][chosen], expected, atol=1e-4)
    total = people.fit + traces["intent"][chosen] + traces["levers"][chosen]
    assert np.allclose(traces["index"][chosen], total, atol=1e-5)


def test_a_logistic_regression_finds_the_planted_effects() -> None:
    """Weekly risk sets of the step from lead to mql, fit and intent known: each lever has its sign, idle ones none."""
    market = replace(PRESETS["demo"], accounts=5_000, intent_drift=0.0, touches=1.5)
    found, error = _step_effects(market)
    levers = [(code, process) for code, process in enumerate(market.processes) if process.role == "lever"]
    for code, process in levers:
        if process.effect:
            assert found[code] > 2 * error[code], process.name
            assert abs(found[code] - process.effect) < max(4 * error[code], 0.4 * process.effect), process.name
        else:
            assert abs(found[code]) < 3 * error[code], process.name


def test_exposure_follows_intent_as_the_dial_says() -> None:
    levers = [code for code, process in enumerate(SMALL.processes) if process.role == "lever" and process.waves]
    shift = []
    for dial in (0.0, 1.0):
        people, history = _lived(replace(SMALL, accounts=1_500, confounding=dial), seed=4)
        paid = np.isin(history.touches["process"], levers[:4])
        count = np.bincount(history.touches["account"][paid], minlength=people.size)
        shift.append(np.corrcoef(np.log1p(count), people.intent)[0, 1])
    assert shift[1] > shift[0] + 0.15


def test_one_account_for_one_month_is_a_market_too() -> None:
    simulation = simulate(replace(PRESETS["demo"], accounts=1, months=1), 1, UNTIL)
    assert simulation.tables["accounts"].num_rows == 1


def test_the_command_writes_what_it_says(tmp_path: Path) -> None:
    words = ["simulate", "--accounts", "40", "--months", "3", "--seed", "2", "--until", "2026-11-21"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "market"), "--json"])
    assert result.exit_code == 0, result.output
    assert '"until": "2026-11-21T00:00:00Z"' in result.stdout
    write(simulate(replace(PRESETS["demo"], accounts=40, months=3), 2, UNTIL), tmp_path / "again")
    assert fingerprint(tmp_path / "market") == fingerprint(tmp_path / "again")


def test_a_wrong_date_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", "--until", "tomorrow", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "2026-11-21" in result.output


def _lived(market, *, seed: int):
    people = populate(market, UNTIL - 274 * DAY, UNTIL, np.random.default_rng(seed))
    return people, unfold(market, people, np.random.SeedSequence(seed), lambda days: None)


def _step_effects(market) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors of every process's adstock for the step from lead to mql within a week."""
    people = populate(market, UNTIL - 730 * DAY, UNTIL, np.random.default_rng(1))
    history = unfold(market, people, np.random.SeedSequence(1), lambda days: None)
    log, moves = history.touches, history.passages
    noticed = np.full(people.size, UNTIL)
    roles = np.array([process.role == "response" for process in market.processes])
    inbound = np.array([TOUCH_TYPES[name].direction == "inbound" for name in TYPE_NAMES])
    shows = roles[log["process"]] & inbound[log["touch_type"]]
    np.minimum.at(noticed, log["account"][shows], log["at"][shows])
    first = (moves["origin"] == LEAD) & (moves["kind"] == 0) & (moves["number"] == 1)
    ended, reached = np.full(people.size, UNTIL), np.zeros(people.size, dtype=bool)
    ended[moves["account"][first]] = moves["at"][first]
    reached[moves["account"][first]] = moves["to"][first] == MQL

    half_life = np.array([process.half_life_days for process in market.processes])
    adstock = np.zeros((len(half_life), people.size))
    designs, labels, before = [], [], people.start
    for moment in range(people.start + 7 * DAY, UNTIL - 7 * DAY, 7 * DAY):
        adstock *= np.exp2(-7 / half_life)[:, None]
        rows = (log["at"] >= before) & (log["at"] < moment)
        code = log["process"][rows]
        fresh = np.exp2(-(moment - log["at"][rows]) / DAY / half_life[code])
        np.add.at(adstock, (code, log["account"][rows]), fresh)
        at_risk = (noticed < moment) & (ended >= moment)
        base = [people.fit[at_risk], people.intent[at_risk], np.ones(at_risk.sum())]
        designs.append(np.vstack([adstock[:, at_risk], *base]).T)
        labels.append((reached & (ended < moment + 7 * DAY))[at_risk])
        before = moment
    estimate, error = _fit(np.vstack(designs), np.concatenate(labels))
    return estimate, error


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used: np.ndarray = np.abs(x).sum(axis=0) > 0
    x = x[:, used]
    beta = np.zeros(x.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-x @ beta))
        information = (x * (p * (1 - p))[:, None]).T @ x
        beta += np.linalg.solve(information, x.T @ (y - p))
    estimate, error = np.zeros(len(used)), np.full(len(used), np.inf)
    estimate[used], error[used] = beta, np.sqrt(np.diag(np.linalg.inv(information)))
    return estimate, error
