"""The chain of stage goals against the direct goal: two answers to one question, shown side by side as a check.

The direct model says how likely an account is to be won. The chain says it too: the likelihood of the next stage, by
the model of the goal that asks for it, times the plain rates at which the goals after that one are reached:
``p_chain = p(next | features) * product of the base rates of the later goals``. The rates are those of their own
horizons, so that the chain is no second model; but where the two disagree widely, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from features.agreement import Goal, Stages
from features.errors import NotEnoughDataError
from models import metrics
from models.arrays import Floats


@dataclass(frozen=True)
class ChainCheck:
    """How chain and direct model compare on the same rows.

    Parameters
    ----------
    rows : int
        Rows that both have an answer for.
    brier_chain, brier_direct : float
    correlation : float
        Of the two probabilities by rank (Spearman); NaN when one of them is constant.
    mean_chain, mean_direct, observed : float
        Mean probabilities, and share of positives.
    """

    rows: int
    brier_chain: float
    brier_direct: float
    correlation: float
    mean_chain: float
    mean_direct: float
    observed: float


def links(goal: Goal, goals: Sequence[Goal], stages: Stages) -> tuple[Goal, ...]:
    """Return the stage goals that lead to a goal, the first stage first.

    Parameters
    ----------
    goal : Goal
        The direct one.
    goals : sequence of Goal
        All that have a model. Those of the same kind that reach an earlier stage are links; where two reach the same
        stage, the one with the longer horizon.
    stages : Stages
    """
    last = stages.position(goal.reach)
    by_stage: dict[int, Goal] = {}
    for one in sorted(goals, key=lambda other: other.within_days):
        if one.kind == goal.kind and stages.position(one.reach) < last:
            by_stage[stages.position(one.reach)] = one
    return tuple(by_stage[position] for position in sorted(by_stage))


def chained(
    stage: Sequence[str | None],
    probability: Mapping[str, ArrayLike],
    conversion: Mapping[str, float],
    goal: Goal,
    chain: Sequence[Goal],
    stages: Stages,
) -> Floats:
    """Return the probability of a goal by its chain.

    Parameters
    ----------
    stage : sequence of n str or None
        Stage of each row; the model of the nearest link beyond it speaks.
    probability : mapping of str to array of shape (n,)
        By goal of the chain, what its model says of every row.
    conversion : mapping of str to float
        By goal, the direct one among them, the rate at which accounts that stand at the link before it reach it.
    goal : Goal
        The direct one.
    chain : sequence of Goal
        As `links` gives them.
    stages : Stages

    Returns
    -------
    array of shape (n,)
        NaN where no link lies beyond the stage, or its goal does not ask from there.
    """
    found = np.full(len(stage), np.nan)
    positions = np.array([-1 if one is None else stages.position(one) for one in stage], dtype=np.int64)
    free = positions >= 0
    for place, link in enumerate(chain):
        asked = np.array([one in link.from_ for one in stage], dtype=bool)
        here = free & (positions < stages.position(link.reach))
        later = np.prod([conversion[one.name] for one in (*chain[place + 1 :], goal)])
        said = np.asarray(probability[link.name], dtype=np.float64)
        found[here & asked] = said[here & asked] * later
        free &= ~here
    return found


def check_chain(y: ArrayLike, chain: ArrayLike, direct: ArrayLike, weights: ArrayLike | None = None) -> ChainCheck:
    """Compare the chain with the direct model.

    Parameters
    ----------
    y : array of shape (n,)
        Labels of the direct goal in {0, 1}.
    chain, direct : array of shape (n,)
        Probabilities; rows on which the chain has none (NaN) are left out.
    weights : array of shape (n,), optional

    Raises
    ------
    NotEnoughDataError
        When the chain has no answer for any row.
    """
    from scipy.stats import spearmanr

    both = ~np.isnan(np.asarray(chain, dtype=np.float64))
    if not both.any():
        raise NotEnoughDataError("No stage goal leads from any of these rows to the goal: there is no chain to check.")
    labels, p, q = (np.asarray(values, dtype=np.float64)[both] for values in (y, chain, direct))
    w = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)[both]
    alike = float(spearmanr(p, q).statistic) if np.ptp(p) and np.ptp(q) else float("nan")
    return ChainCheck(
        rows=len(labels),
        brier_chain=metrics.brier(labels, p, w),
        brier_direct=metrics.brier(labels, q, w),
        correlation=alike,
        mean_chain=float(np.average(p, weights=w)),
        mean_direct=float(np.average(q, weights=w)),
        observed=float(np.average(labels, weights=w)),
    )
