"""Which snapshots there are: every account on a grid of moments, and some soon after something happened.

A CRM asks for a score when somebody opens an account, and that is often just after a touch or a change of stage. A
model that is taught and judged on a calendar alone is never seen at those moments. So part of the snapshots are a
random sample of them; how large a part is what the agreement declares, and weights make it exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.errors import NotEnoughDataError
from features.labels import Cases, Pairs
from features.relations import Relations, Tables, account_codes
from features.schema import DAY
from training.config import TrainingConfig
from training.plan import Plan
from training.splits import Flags, Moments, Split

DELAYS = (1.0, 60.0)
"""Minutes from a touch or a change of stage to the question, between which the logarithm is uniform.

Nobody asks at the very microsecond: what the same hand enters in the next seconds, such as the win that a last call
has brought, is known by then and must not be what is foretold.
"""

_MINUTE = DAY // (24 * 60)


@dataclass(frozen=True)
class Counts:
    """What became of the snapshots.

    Parameters
    ----------
    eligible : int
        Account and moment pairs in a stage of the goal: those of the grid, and the event-triggered ones drawn.
    censored : int
        Eligible, but the horizon and the reporting lag are not complete: left out.
    purged : int
        Complete, but too close to the test: left out.
    sampled_out : int
        Left out by `DataSettings.max_train` and `max_test`.
    train, test : int
        What is left.
    """

    eligible: int
    censored: int
    purged: int
    sampled_out: int
    train: int
    test: int


@dataclass(frozen=True)
class Asked:
    """The n snapshots that teach and judge, sorted by account and moment.

    Parameters
    ----------
    pairs : Pairs
    is_event : ndarray of bool, shape (n,)
        Whether the moment is event-triggered; else it is of the grid.
    weight : ndarray of float64, shape (n,)
        Mean 1 in training and in the test; there, grid and events stand as the agreement declares.
    split : Split
    counts : Counts
    test_weeks : float
        Weeks that the test moments stand for.
    """

    pairs: Pairs
    is_event: Flags
    weight: npt.NDArray[np.float64]
    split: Split
    counts: Counts
    test_weeks: float


def ask(cases: Cases, tables: Tables, relations: Relations, config: TrainingConfig, data_from: int) -> Asked:
    """Choose the snapshots of a goal.

    Parameters
    ----------
    cases : Cases
    tables : mapping of str to pyarrow.Table
        Ledger tables.
    relations : Relations
        Built from the same tables.
    config : TrainingConfig
    data_from : int
        First event of the ledger, in microseconds.

    Raises
    ------
    NotEnoughDataError
        When no eligible pair has a complete outcome, or none is left to test on.

    Notes
    -----
    Event-triggered moments are drawn only where they can teach or judge, by the rules that hold for the grid: the goal
    applies, the outcome is complete, and the horizon and the lag of those that teach end before the first test moment.
    Every such moment of every account is equally likely, so a busy account is asked about more often. The question
    comes a random delay after it (`DELAYS`), and stage, goal and label are those of that later moment.
    """
    random = np.random.default_rng(config.seed)
    ids = np.array(relations.account_ids, dtype=np.str_)
    plan = Plan.of(config, data_from, cases.data_until)
    eligible = cases.at(plan.grid)
    grid = eligible.take(cases.complete(eligible))
    _require(len(grid.account), len(eligible.account), config)
    divided = plan.divide(config, cases, grid, ids[grid.account])
    teaching, judging = config.snapshots.event_share, config.split.test_event_share
    events = grid.take(np.empty(0, dtype=np.int64))
    if teaching or judging:
        found = delayed(event_moments(tables, relations), random)
        events = found.take(cases.applies(found) & cases.complete(found) & ~np.isin(found.as_of, plan.grid))
    train_events, test_events = plan.divide_events(events, grid, divided)
    candidates = _Candidates(
        Pairs(np.concatenate((grid.account, events.account)), np.concatenate((grid.as_of, events.as_of))),
        np.arange(len(grid.account) + len(events.account)) >= len(grid.account),
    )
    train = candidates.draw(np.concatenate((divided.train, train_events)), teaching, config.data.max_train, random)
    test = candidates.draw(np.concatenate((divided.test, test_events)), judging, config.data.max_test, random)
    rows = np.concatenate((train.rows, test.rows))
    order = np.lexsort((candidates.pairs.as_of[rows], candidates.pairs.account[rows]))
    rows, is_test = rows[order], order >= len(train.rows)
    pairs = candidates.pairs.take(rows)
    censored, sampled_out = len(eligible.account) - len(grid.account), train.left_out + test.left_out
    return Asked(
        pairs=pairs,
        is_event=candidates.is_event[rows],
        weight=np.concatenate((train.weight, test.weight))[order],
        split=divided.of(ids[pairs.account], ~is_test, is_test),
        counts=Counts(
            eligible=len(rows) + sampled_out + divided.purged + censored,
            censored=censored,
            purged=divided.purged,
            sampled_out=sampled_out,
            train=len(train.rows),
            test=len(test.rows),
        ),
        test_weeks=_test_weeks(grid.as_of[divided.test], int((~candidates.is_event[test.rows]).sum())),
    )


def event_moments(tables: Tables, relations: Relations) -> Pairs:
    """Return every moment at which a touch, or a change of stage or deal, of an account became visible.

    Sorted by account and moment, without repetition.
    """
    touches = tables["account_touches"]
    codes = account_codes(tables, relations.account_ids)["account_touches"]
    seen = np.maximum(touches["occurred_at"].to_numpy(), touches["known_from"].to_numpy())
    touched = (codes >= 0) & (seen < touches["known_until"].to_numpy())
    stages = relations.tables["stages"]
    account = np.concatenate((codes[touched].astype(np.int64), stages["account"].to_numpy().astype(np.int64)))
    return _distinct(account, np.concatenate((seen[touched], stages["valid_from"].to_numpy())))


def delayed(found: Pairs, random: np.random.Generator) -> Pairs:
    """Return the moments at which somebody asks after some others: later by a random delay of `DELAYS` minutes each.

    Sorted by account and moment, without repetition.
    """
    shortest, longest = np.log(DELAYS).tolist()
    minutes = np.exp(random.uniform(shortest, longest, len(found.as_of)))
    return _distinct(found.account, found.as_of + (minutes * _MINUTE).astype(np.int64))


def declared_weights(is_event: Flags, event_share: float) -> npt.NDArray[np.float64]:
    """Return weights with mean 1 under which event rows are `event_share` of all; 1 where a kind is absent.

    Examples
    --------
    >>> declared_weights(np.array([False, False, False, True]), 0.5).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    rows, events = len(is_event), int(is_event.sum())
    if events in (0, rows):
        return np.ones(rows)
    return np.where(is_event, event_share * rows / events, (1 - event_share) * rows / (rows - events))


@dataclass(frozen=True)
class _Drawn:
    """Some of the candidates, their weights, and how many the limit left out."""

    rows: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]
    left_out: int


@dataclass(frozen=True)
class _Candidates:
    """What may be drawn: the grid, then the events."""

    pairs: Pairs
    is_event: Flags

    def draw(self, flags: Flags, event_share: float, limit: int, random: np.random.Generator) -> _Drawn:
        """Draw among `flags` all of the grid and as many events as make the share; beyond the limit, less of both."""
        grid, events = np.flatnonzero(flags & ~self.is_event), np.flatnonzero(flags & self.is_event)
        wanted = min(len(events), round(len(grid) * event_share / (1 - event_share)))
        total = len(grid) + wanted
        if total > limit:
            wanted = round(limit * wanted / total)
            grid = random.choice(grid, limit - wanted, replace=False)
        if wanted < len(events):
            events = random.choice(events, wanted, replace=False)
        rows = np.concatenate((grid, events))
        return _Drawn(rows, declared_weights(self.is_event[rows], event_share), max(total - limit, 0))


def _require(complete: int, eligible: int, config: TrainingConfig) -> None:
    if not complete:
        goal = config.goal
        raise NotEnoughDataError(
            f"No snapshot for the goal {goal.name!r} has a complete outcome: {eligible:,} eligible ones are within"
            f" {goal.within_days} days of the end of the ledger.",
            hint="Import a longer history, or choose a goal with a shorter horizon.",
        )


def _test_weeks(as_of: Moments, drawn: int) -> float:
    days = np.unique(as_of // DAY)
    share = drawn / max(len(as_of), 1)
    if len(days) < 2:
        return share
    # The last test day stands for as long as those before it, on average.
    return float((days[-1] - days[0]) * len(days) / (len(days) - 1) / 7 * share)


def _distinct(account: npt.NDArray[np.int64], as_of: Moments) -> Pairs:
    order = np.lexsort((as_of, account))
    found = Pairs(account[order], as_of[order])
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (np.diff(found.account) != 0) | (np.diff(found.as_of) != 0)
    return found.take(first)
