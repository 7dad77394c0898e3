"""The commonest ways through the channels, counted: what a Sankey diagram draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.journeys import Journeys

STEPS = 4
"""Steps that a way shows; of a longer one the last."""
MOST_NAMES = 10
"""Values told apart; the rarer ones are taken together."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """One way, and who went it.

    Parameters
    ----------
    steps : tuple of (str or None)
        Values from the earliest to the last, the same one twice in a row counted once; None for the rarer ones taken
        together, "" for a touch without a value.
    is_cut : bool
        Whether earlier steps are not shown.
    journeys : int
        How many went this way and have ended.
    converted : int
        How many of them reached the transition.
    """

    steps: tuple[str | None, ...]
    is_cut: bool
    journeys: int
    converted: int


def commonest_ways(journeys: Journeys, column: str = "channel", *, most: int = 30) -> tuple[Way, ...]:
    """Return the ways that most converted journeys went, the commonest first; journeys without a touch went none.

    Parameters
    ----------
    journeys : Journeys
        Censored ones are left out: they have not ended.
    column : str, default="channel"
        Column of the touches.
    most : int, default=30
        How many ways.

    Notes
    -----
    Ways equally common stand in the order of the names of their steps, so that nothing depends on the order of rows.
    """
    values, code = journeys.players(column)
    name = [value or "" for value in values]
    count = np.bincount(code, weights=journeys.count[journeys.of_touch].astype(np.float64), minlength=len(name))
    kept = sorted(range(len(name)), key=lambda at: (-count[at], name[at]))[:MOST_NAMES]
    slot = np.full(len(name), len(kept), dtype=np.int64)
    slot[kept] = np.arange(len(kept))
    names: list[str | None] = [*(name[at] for at in kept), None]
    keys, ended = _keys(journeys, slot[code], len(names))
    key, group = np.unique(keys, return_inverse=True)
    weight = journeys.count[ended].astype(np.float64)
    total = np.bincount(group, weights=weight, minlength=len(key))
    won = np.bincount(group, weights=weight * journeys.converted[ended], minlength=len(key))
    ways = [
        Way(*_steps(int(key[at]), names), int(total[at]), int(won[at]))
        for at in np.argsort(-won, kind="stable")[: 4 * most + 40].tolist()
        if key[at] and won[at] > 0
    ]
    ways.sort(key=lambda way: (-way.converted, -way.journeys, tuple(step or "" for step in way.steps)))
    return tuple(ways[:most])


def _keys(journeys: Journeys, slot: Ints, size: int) -> tuple[Ints, Ints]:
    """Return a number per journey that has ended, its way written in base `size` + 1, and the journeys."""
    of = journeys.of_touch
    # Once for several in a row: kept is the first of a run.
    is_first = np.ones(len(slot), dtype=bool)
    is_first[1:] = (slot[1:] != slot[:-1]) | (of[1:] != of[:-1])
    slot, of = slot[is_first], of[is_first]
    steps = np.bincount(of, minlength=journeys.size)
    last = np.cumsum(steps)
    from_end = last[of] - 1 - np.arange(len(of))
    key = np.zeros(journeys.size, dtype=np.int64)
    shown = from_end < STEPS
    np.add.at(key, of[shown], (slot[shown] + 1) * (size + 1) ** from_end[shown])
    key += (steps > STEPS) * (size + 1) ** STEPS
    ended = np.flatnonzero(~journeys.censored)
    return key[ended], ended


def _steps(key: int, names: list[str | None]) -> tuple[tuple[str | None, ...], bool]:
    base = len(names) + 1
    rest, is_cut = key % base**STEPS, key >= base**STEPS
    found = []
    while rest:
        rest, digit = divmod(rest, base)
        found.append(names[digit - 1])
    return tuple(reversed(found)), is_cut
