"""The way of journeys, cut at the stages that they passed.

Levers follow the stage: sales calls whom marketing has warmed up. Over a whole journey the stage is then a confounder
of every later touch, and an answer to every earlier one. Within a stage it is constant, and can not confound; what a
lever did for an earlier stage is part of that stage's own passage.

References
----------
J. M. Robins, A new approach to causal inference in mortality studies with a sustained exposure period, Mathematical
Modelling 7, 1986 (the g-formula).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.journeys import Journeys
from features.schema import FOREVER
from models.arrays import Integers

REACHED = "reached_"


@dataclass(frozen=True)
class Passage:
    """From one stage to the next.

    Parameters
    ----------
    rows : array of int, shape (r,)
        The journeys that were in the first stage for some time.
    journeys : Journeys
        These r journeys: opened when they entered the stage, ended when they left it, by the next stage (converted) or
        otherwise, with all touches until then, those of earlier stages too.
    opened : array of int64, shape (r,)
        When the whole journeys opened, in microseconds.
    """

    rows: Integers
    journeys: Journeys
    opened: Integers


def whole(journeys: Journeys) -> Passage:
    """Return the whole way as one passage."""
    return Passage(np.arange(journeys.size), journeys, journeys.journeys["opened_at"].to_numpy())


def cut_at(journeys: Journeys, stages: tuple[str, ...]) -> list[Passage]:
    """Return the passages to each of some stages, in their order, and from the last of them to the transition.

    A journey that reaches several stages at one moment makes one passage of them; one that skips a stage passes it when
    it reaches a later one.
    """
    if not stages:
        return [whole(journeys)]
    table = journeys.journeys
    opened, ended = (table[name].to_numpy() for name in ("opened_at", "ended_at"))
    reached = [table[REACHED + stage].fill_null(FOREVER).to_numpy() for stage in stages]
    reached.append(np.where(journeys.converted, ended, FOREVER))
    here = opened
    passages = []
    for after in np.minimum.accumulate(np.array(reached)[::-1])[::-1]:
        passed = after <= ended
        end = np.where(passed, np.maximum(after, opened), ended)
        rows = np.flatnonzero((here <= ended) & (end > here))
        passages.append(Passage(rows, _between(journeys, rows, here, end, passed), opened[rows]))
        here = np.where(passed, end, FOREVER)
    return passages


def stages_passed(journeys: Journeys, needed: int) -> tuple[str, ...]:
    """Return the stages at which to cut: with each of them, every passage is made at least `needed` times.

    A passage that is made less often is made one with the next; the last of all, with the one before.
    """
    names = journeys.journeys.column_names
    stages = [name.removeprefix(REACHED) for name in names if name.startswith(REACHED)]
    stages = stages[: stages.index(journeys.transition)] if journeys.transition in stages else stages
    while stages:
        made = [int(each.journeys.count[each.journeys.converted].sum()) for each in cut_at(journeys, tuple(stages))]
        rare = [place for place, number in enumerate(made) if number < needed]
        if not rare:
            break
        del stages[min(rare[0], len(stages) - 1)]
    return tuple(stages)


def lost_for_good(journeys: Journeys, horizon: int) -> npt.NDArray[np.bool_]:
    """Return whether each journey ended without converting, and its account opened no other one, of shape (n,).

    Who is merely seen no longer, at the horizon or at the end of all, is not lost; and an account that comes back can
    still convert, so that its losses are not the end.

    Parameters
    ----------
    journeys : Journeys
    horizon : int
        Microseconds from the opening.
    """
    opened, ended = (journeys.journeys[name].to_numpy() for name in ("opened_at", "ended_at"))
    last = np.full(int(journeys.account.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, journeys.account, opened)
    over = ended < np.minimum(opened + horizon, ended.max(initial=0))
    lost: npt.NDArray[np.bool_] = ~journeys.converted & ~journeys.censored & over & (opened == last[journeys.account])
    return lost


def _between(
    journeys: Journeys, rows: Integers, start: Integers, end: Integers, passed: npt.NDArray[np.bool_]
) -> Journeys:
    some = journeys.take(rows)
    table = some.journeys
    for name, column in (
        ("opened_at", start[rows]),
        ("ended_at", end[rows]),
        ("converted", passed[rows]),
        ("censored", some.censored & ~passed[rows]),
    ):
        table = table.set_column(table.column_names.index(name), name, pa.array(column))
    seen = some.occurred_at < end[rows][some.of_touch]
    offset = np.concatenate([[0], np.cumsum(seen)])[some.offset]
    return Journeys(some.transition, table, some.touches.filter(pa.array(seen)), offset)
