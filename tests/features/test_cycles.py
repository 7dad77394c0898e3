"""The stage machine."""

from __future__ import annotations

from features.agreement import Agreement
from features.cycles import Change, StageRow, changes, standings
from features.schema import FOREVER

STAGES = Agreement.load().stages


def change(stage: str, at: int, *, cycle: str = "c1", until: int = FOREVER, known: int | None = None) -> StageRow:
    entered = Change(at, STAGES.position(stage), f"x{at:03d}", stage)
    return StageRow(cycle, entered, False, at if known is None else known, until)


def deal(outcome: str, at: int, *, deal_id: str = "d1", cycle: str = "c1", until: int = FOREVER) -> StageRow:
    stage = "deal" if outcome == "open" else outcome
    return StageRow(cycle, Change(at, STAGES.position(stage), deal_id, stage), True, at, until)


def stage_at(rows: list[StageRow], moment: int, inbound: tuple[tuple[int, int, int], ...] = ()) -> str | None:
    for standing in standings(rows, inbound, STAGES, "a:new:1"):
        if standing.valid_from <= moment < standing.valid_until:
            return standing.furthest.stage
    return None


def test_the_latest_change_is_the_stage() -> None:
    rows = [change("mql", 10), change("sql", 20), change("bql", 30)]
    assert [stage_at(rows, moment) for moment in (9, 10, 20, 30)] == [None, "mql", "sql", "bql"]


def test_ties_go_to_the_later_stage() -> None:
    assert stage_at([change("sql", 10), change("mql", 10)], 10) == "sql"


def test_a_won_deal_closes_and_a_later_row_reopens() -> None:
    rows = [deal("open", 10), deal("won", 20), change("sql", 30)]
    final = standings(rows, (), STAGES, "a:new:1")
    assert [(standing.furthest.stage, standing.furthest.is_open) for standing in final] == [
        ("deal", True),
        ("won", False),
        ("sql", True),
    ]


def test_a_cycle_is_lost_when_its_last_open_deal_is() -> None:
    rows = [deal("open", 10), deal("open", 11, deal_id="d2"), deal("lost", 20), deal("lost", 30, deal_id="d2")]
    assert [stage_at(rows, moment) for moment in (20, 29, 30)] == ["deal", "deal", "lost"]


def test_a_lost_deal_does_not_undo_a_won_one() -> None:
    rows = [deal("won", 10), deal("open", 5, deal_id="d2"), deal("lost", 20, deal_id="d2")]
    assert stage_at(rows, 25) == "won"


def test_the_first_inbound_touch_opens_a_lead() -> None:
    assert stage_at([], 10, ((10, 10, FOREVER),)) == "lead"
    (standing,) = standings([], ((10, 12, FOREVER),), STAGES, "a:new:1")
    assert (standing.valid_from, standing.furthest.cycle_id, standing.furthest.opened_at) == (12, "a:new:1", 10)


def test_the_implicit_lead_belongs_to_the_first_cycle() -> None:
    rows = [change("mql", 20, cycle="own")]
    before, after = standings(rows, ((10, 10, FOREVER),), STAGES, "a:new:1")
    assert before.furthest.cycle_id == "a:new:1"
    assert [(cycle.cycle_id, cycle.opened_at) for cycle in after.cycles] == [("own", 10)]


def test_a_touch_after_the_first_change_opens_nothing() -> None:
    (cycle,) = standings([change("mql", 20)], ((30, 30, FOREVER),), STAGES, "a:new:1")[-1].cycles
    assert (cycle.stage, cycle.opened_at) == ("mql", 20)


def test_regressions_are_counted_and_time_in_stage_starts_with_the_run() -> None:
    rows = [change("sql", 10), change("mql", 20), change("mql", 25), change("sql", 30), change("bql", 40)]
    top = standings(rows, (), STAGES, "")[-1].furthest
    assert (top.stage, top.regressions, top.entered_at) == ("bql", 2, 40)
    assert standings(rows[:3], (), STAGES, "")[-1].furthest.entered_at == 20


def test_the_furthest_open_cycle_speaks_for_the_account() -> None:
    rows = [change("sql", 10, cycle="a"), change("mql", 20, cycle="b"), deal("won", 30, cycle="c")]
    assert standings(rows, (), STAGES, "")[-1].furthest.cycle_id == "a"


def test_a_correction_shows_only_once_it_is_known() -> None:
    rows = [change("sql", 10, until=50), change("mql", 10, known=50)]
    assert [stage_at(rows, moment) for moment in (49, 50)] == ["sql", "mql"]


def test_changes_name_the_moment_a_cycle_was_lost() -> None:
    logs = changes([deal("open", 10), deal("lost", 20)], STAGES, None, "")
    assert [(entry.occurred_at, entry.stage) for entry in logs["c1"]] == [(10, "deal"), (20, "lost")]
