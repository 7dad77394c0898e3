"""Slow versions of the chains and of Shapley's values, in plain Python and dense algebra, that share nothing with ours.

A journey is a tuple (channels, converted, count, revenue).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise, permutations

import numpy as np

from models.attribution.credit import UNASSIGNED

START, WON, LOST = "start", "won", "lost"


def plain(journeys):
    rows = journeys.journeys.to_pylist()
    names = [name or UNASSIGNED for name in journeys.touches["channel"].to_pylist()]
    bounds = journeys.offset.tolist()
    return [
        (tuple(names[start:end]), row["converted"], row["count"], row["revenue"])
        for row, start, end in zip(rows, bounds[:-1], bounds[1:], strict=True)
        if not row["censored"]
    ]


def removal_effects(journeys, order=1, worth="conversions"):
    """Build the chain, edit its matrix for each channel, and solve for what a journey earns."""
    steps: dict = defaultdict(Counter)
    earned: dict = defaultdict(float)
    for channels, converted, count, revenue in journeys:
        states = [channels[max(0, place + 1 - order) : place + 1] for place in range(len(channels))]
        way = [START, *states, WON if converted else LOST]
        for source, target in pairwise(way):
            steps[source][target] += count
        if converted:
            earned[way[-2]] += count if worth == "conversions" else revenue
    names = sorted({channel for channels, *_ in journeys for channel in channels})
    whole = _earns(steps, earned, None)
    return {name: 1 - _earns(steps, earned, name) / whole if whole else 0.0 for name in names}


def _earns(steps, earned, removed):
    states = list(steps)
    place = {state: at for at, state in enumerate(states)}
    matrix, reward = np.zeros((len(states), len(states))), np.zeros(len(states))
    for source, targets in steps.items():
        total = sum(targets.values())
        reward[place[source]] = earned[source] / total
        for target, count in targets.items():
            leads_away = target in (WON, LOST) or target[-1] == removed
            if not leads_away:
                matrix[place[source], place[target]] = count / total
    return np.linalg.solve(np.eye(len(states)) - matrix, reward)[place[START]] if states else 0.0


def set_credit(journeys):
    credit: dict = defaultdict(float)
    for channels, converted, count, _ in journeys:
        for channel in set(channels):
            credit[channel] += count / len(set(channels)) if converted else 0.0
    return credit


def shapley(names, worth):
    """Average what each name adds over every order of joining."""
    value = dict.fromkeys(names, 0.0)
    for order in permutations(names):
        for place, name in enumerate(order):
            value[name] += worth(frozenset(order[: place + 1])) - worth(frozenset(order[:place]))
    return {name: total / math.factorial(len(names)) for name, total in value.items()}


def conversions_within(journeys):
    return lambda coalition: sum(
        count for channels, converted, count, _ in journeys if channels and converted and coalition >= set(channels)
    )


def rate_within(journeys):
    def rate(coalition):
        inside = [row[1:3] for row in journeys if row[0] and coalition >= set(row[0])]
        total = sum(count for _, count in inside)
        return sum(count for converted, count in inside if converted) / total if total else 0.0

    return rate


def held_out_loss(ways, fold, order):
    """Return the mean loss of journeys, each foretold by those of the other folds; ways are as `plain` gives them."""
    steps = [
        ([START, *channels, WON if converted else LOST], of)
        for (channels, converted, *_), of in zip(ways, fold, strict=True)
    ]
    kinds = len({channel for channels, *_ in ways for channel in channels}) + 2

    def probability(history, step, others):
        long = len(history)
        seen = [way[at] for way in others for at in range(max(long, 1), len(way)) if way[at - long : at] == history]
        before, shorter = probability(history[1:], step, others) if history else (math.inf, 1 / kinds)
        return len(seen), (seen.count(step) + shorter) / (len(seen) + 1) if len(seen) < before else shorter

    lost = 0.0
    for way, of in steps:
        others = [other for other, elsewhere in steps if elsewhere != of]
        lost -= sum(
            math.log(probability(way[max(0, at - order) : at], way[at], others)[1]) for at in range(1, len(way))
        )
    return lost / len(steps)
