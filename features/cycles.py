"""The stage machine: from stage changes and deals to where each cycle stands at every moment.

A cycle's stage is its latest change. Deals change it too: an open deal makes ``deal``, a won one ``won``, a lost one
``lost`` once every deal of the cycle is lost. The agreement's implicit first stage belongs to the account's first cycle
of kind ``new``: it is entered at the first inbound touch, when that comes before everything else in the cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from features.agreement import Stages


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
    coming: dict[int, list[StageRow]] = {}
    going: dict[int, list[StageRow]] = {}
    for row in rows:
        coming.setdefault(row.valid_from, []).append(row)
        going.setdefault(row.valid_until, []).append(row)
    edges = {edge for _, *span in inbound for edge in span}
    moments = sorted({*coming, *going, *edges})
    logs: dict[str, _Log] = {}
    found: list[Standing] = []
    for moment, until in pairwise(moments):
        for row in going.get(moment, ()):
            logs[row.cycle_id].drop(row)
            if not logs[row.cycle_id].rows:
                del logs[row.cycle_id]
        for row in coming.get(moment, ()):
            logs.setdefault(row.cycle_id, _Log(row.cycle_id, stages)).take(row)
        first = min((occurred for occurred, start, end in inbound if start <= moment < end), default=None)
        if cycles := _cycles(logs, stages, first, first_cycle_id):
            found.append(Standing(moment, until, cycles))
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


def _cycles(
    logs: Mapping[str, _Log], stages: Stages, first_inbound: int | None, first_cycle_id: str
) -> tuple[Cycle, ...]:
    cycles = sorted((log.cycle() for log in logs.values()), key=lambda cycle: (cycle.opened_at, cycle.cycle_id))
    if stages.implicit_first and first_inbound is not None:
        lead = Change(first_inbound, stages.position(stages.implicit_first), "", stages.implicit_first)
        if not cycles:
            return (_Walk(lead).cycle(first_cycle_id, stages),)
        if first_inbound < cycles[0].opened_at:
            cycles[0] = logs[cycles[0].cycle_id].cycle(lead)
    return tuple(cycles)


class _Walk:
    """Where a run of changes leads, one step at a time."""

    def __init__(self, first: Change) -> None:
        self.first = self.last = first
        self.entered_at = first.occurred_at
        self.is_one_stage = True
        self.regressions = 0

    def step(self, change: Change, stages: Stages) -> None:
        if change.stage != self.last.stage:
            self.entered_at, self.is_one_stage = change.occurred_at, False
        self.regressions += _is_regression(self.last, change, stages)
        self.last = change

    def cycle(self, cycle_id: str, stages: Stages, lead: Change | None = None) -> Cycle:
        """Return where the cycle stands, `lead` being a change before all others."""
        last = self.last
        terminal = last.position >= len(stages.order)
        opened_at, entered_at, regressions = self.first.occurred_at, self.entered_at, self.regressions
        if lead is not None:
            opened_at = lead.occurred_at
            regressions += _is_regression(lead, self.first, stages)
            if self.is_one_stage and lead.stage == last.stage:
                entered_at = lead.occurred_at
        rank = -1 if terminal else last.position
        is_open = not terminal and last.stage != "won"
        return Cycle(cycle_id, last.stage, rank, entered_at, opened_at, last.occurred_at, regressions, is_open)


class _Log:
    """The changes of one cycle while rows come into sight and go.

    Nearly always a row that comes is later than all before it, and the walk takes one more step; else it starts again.
    """

    def __init__(self, cycle_id: str, stages: Stages) -> None:
        self.cycle_id, self.stages = cycle_id, stages
        self.rows: list[StageRow] = []
        self._walk: _Walk | None = None

    def take(self, row: StageRow) -> None:
        self.rows.append(row)
        if row.is_deal and row.change.stage == "lost":
            self._walk = None
        elif self._walk is not None:
            if row.change > self._walk.last:
                self._walk.step(row.change, self.stages)
            else:
                self._walk = None

    def drop(self, row: StageRow) -> None:
        self.rows.remove(row)
        self._walk = None

    def cycle(self, lead: Change | None = None) -> Cycle:
        if self._walk is None:
            (log,) = changes(self.rows, self.stages, None, "").values()
            self._walk = _Walk(log[0])
            for change in log[1:]:
                self._walk.step(change, self.stages)
        return self._walk.cycle(self.cycle_id, self.stages, lead)


def _is_regression(before: Change, after: Change, stages: Stages) -> bool:
    return after.position < before.position < len(stages.order)
