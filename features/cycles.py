"""The stage machine: from stage changes and deals to where each cycle stands at every moment.

A cycle's stage is its latest change. Deals change it too: an open deal makes ``deal``, a won one ``won``, a lost one
``lost`` once every deal of the cycle is lost. The agreement's implicit first stage belongs to the account's first cycle
of kind ``new``: it is entered at the first inbound touch, when that comes before everything else in the cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from features.agreement import Stages
from features.intervals import segments


class Change(NamedTuple):
    """One change of a cycle; changes sort in the cycle's order.

    `position` is that of the stage among the agreement's order and terminal stages; `row_id` is the change's or deal's.
    """

    occurred_at: int
    position: int
    row_id: str
    stage: str


class StageRow(NamedTuple):
    """A stage change or a state of a deal, with the time over which the ledger shows it.

    For a deal, the stage of `change` is ``deal``, ``won`` or ``lost``.
    """

    cycle_id: str
    change: Change
    is_deal: bool
    valid_from: int
    valid_until: int


class Cycle(NamedTuple):
    """Where a cycle stands.

    Parameters
    ----------
    cycle_id : str
    stage : str
    rank : int
        Index of the stage in the agreement's order; -1 for a terminal stage.
    entered_at, opened_at, changed_at : int
        When it entered its stage, and when its first and its last change were, in microseconds.
    regressions : int
        How often it went back to an earlier stage.
    is_open : bool
        Whether its stage is neither won nor terminal.
    """

    cycle_id: str
    stage: str
    rank: int
    entered_at: int
    opened_at: int
    changed_at: int
    regressions: int
    is_open: bool


class Standing(NamedTuple):
    """All cycles of one kind of an account over a stretch of time in which nothing changes.

    Parameters
    ----------
    valid_from, valid_until : int
        The stretch, end excluded, in microseconds.
    cycles : tuple of Cycle
        In the order in which they opened.
    """

    valid_from: int
    valid_until: int
    cycles: tuple[Cycle, ...]

    @property
    def furthest(self) -> Cycle:
        """The open cycle that is furthest, or the one that changed last when none is open."""
        if len(self.cycles) == 1:
            return self.cycles[0]
        candidates = [cycle for cycle in self.cycles if cycle.is_open]
        if candidates:
            return max(candidates, key=lambda cycle: (cycle.rank, cycle.entered_at, cycle.cycle_id))
        return max(self.cycles, key=lambda cycle: (cycle.changed_at, cycle.cycle_id))


def standings(
    rows: Sequence[StageRow], inbound: Sequence[tuple[int, int, int]], stages: Stages, first_cycle_id: str
) -> list[Standing]:
    """Return where the cycles of one account and kind stand at every moment.

    Parameters
    ----------
    rows : sequence of StageRow
        Stage changes and deals of one account and one kind.
    inbound : sequence of (int, int, int)
        (occurred_at, valid_from, valid_until) of the inbound touches that may be the first; empty when there is no
        implicit first stage or the kind is not ``new``.
    stages : Stages
        The agreement's stages.
    first_cycle_id : str
        Id of the cycle that an inbound touch opens when there is no other.

    Returns
    -------
    list of Standing
        In time order, not overlapping; moments without any cycle are left out.
    """
    spans = [(row.valid_from, row.valid_until) for row in rows] + [(start, end) for _, start, end in inbound]
    found: list[Standing] = []
    for start, end, visible in segments(spans):
        seen = [rows[index] for index in visible if index < len(rows)]
        touches = [inbound[index - len(rows)][0] for index in visible if index >= len(rows)]
        logs = changes(seen, stages, min(touches) if touches else None, first_cycle_id)
        cycles = tuple(_cycle(cycle_id, log, stages) for cycle_id, log in logs.items())
        if cycles:
            found.append(Standing(start, end, cycles))
    return found


def changes(
    rows: Iterable[StageRow], stages: Stages, first_inbound: int | None, first_cycle_id: str
) -> dict[str, list[Change]]:
    """Return the changes of every cycle that follow from rows visible at one moment.

    Parameters
    ----------
    rows : iterable of StageRow
        Of one account and one kind, all visible.
    stages : Stages
    first_inbound : int or None
        When the first inbound touch was, in microseconds.
    first_cycle_id : str

    Returns
    -------
    dict of str to list of Change
        Cycles in the order of their first change, ties by id; changes in order.
    """
    logs: dict[str, list[Change]] = {}
    deals: dict[str, list[Change]] = {}
    for cycle_id, change, is_deal, _, _ in rows:
        if is_deal:
            deals.setdefault(cycle_id, []).append(change)
        if change.stage != "lost" or not is_deal:
            logs.setdefault(cycle_id, []).append(change)
    for cycle_id, states in deals.items():
        if lost := _all_lost(states):
            logs.setdefault(cycle_id, []).extend(lost)
    for log in logs.values():
        log.sort()
    ordered = sorted(logs.items(), key=lambda item: (item[1][0].occurred_at, item[0]))
    if stages.implicit_first and first_inbound is not None:
        lead = Change(first_inbound, stages.position(stages.implicit_first), "", stages.implicit_first)
        if not ordered:
            ordered = [(first_cycle_id, [lead])]
        elif first_inbound < ordered[0][1][0].occurred_at:
            ordered[0][1].insert(0, lead)
    return dict(ordered)


def _all_lost(states: list[Change]) -> list[Change]:
    """Return every lost row at which all deals of the cycle known by then are lost."""
    if all(change.stage != "lost" for change in states):
        return []
    found: list[Change] = []
    current: dict[str, str] = {}
    for _, rows in groupby(sorted(states), key=lambda change: change.occurred_at):
        now = list(rows)
        current |= {change.row_id: change.stage for change in now}
        if all(stage == "lost" for stage in current.values()):
            found += [change for change in now if change.stage == "lost"]
    return found


def _cycle(cycle_id: str, log: list[Change], stages: Stages) -> Cycle:
    entered, previous, regressions, last_rank = log[0].occurred_at, log[0].stage, 0, -1
    for change in log:
        rank = change.position if change.position < len(stages.order) else -1
        if change.stage != previous:
            entered, previous = change.occurred_at, change.stage
        if 0 <= rank < last_rank:
            regressions += 1
        last_rank = rank
    final = log[-1]
    terminal = final.position >= len(stages.order)
    return Cycle(
        cycle_id,
        final.stage,
        -1 if terminal else final.position,
        entered,
        log[0].occurred_at,
        final.occurred_at,
        regressions,
        not terminal and final.stage != "won",
    )
