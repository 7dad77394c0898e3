"""The order of the chain that foretells best: by the likelihood of the steps of accounts that were held out.

The probability of the next step after a state of order k is (n(state, step) + q) / (n(state) + 1), where q is that of
order k - 1, down to the frequency of the step and at last to all steps alike: a state that was never seen says what the
shorter one says, and so does one that was there each time the shorter one was, or the same counts would be used twice.
A higher order is taken only when it lowers the loss by more than one standard error, as its effects rest on fewer
journeys each.

References
----------
D. J. C. MacKay and L. C. Bauman Peto, A hierarchical Dirichlet language model, Natural Language Engineering 1, 1995.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.errors import NotEnoughDataError
from features.journeys import Journeys
from models.arrays import Floats, Integers
from models.attribution.allocation import players
from models.attribution.chain import MOST_WORK, Chain, journey_of, states_of
from models.attribution.draws import clusters, totals
from models.attribution.markov import ORDERS
from models.bootstrap import Estimate

FOLDS = 5
MOST_ACCOUNTS = 100_000
"""Accounts that are asked; of more, so many are drawn by the seed."""


@dataclass(frozen=True)
class OrderChoice:
    """The order taken, and why.

    Parameters
    ----------
    order : int
    loss : dict of int to Estimate
        Negative log-likelihood per journey held out, in nats, by order; without the orders that there are too many
        channels for.
    gain : dict of int to Estimate
        How much lower it is than that of the order before, from the second order on; its interval is that of the pairs.
    """

    order: int
    loss: dict[int, Estimate]
    gain: dict[int, Estimate]


def best_order(journeys: Journeys, *, folds: int = FOLDS, seed: int = 0) -> OrderChoice:
    """Choose the order of the chain among 1, 2 and 3, as far as there are not too many channels for it.

    Parameters
    ----------
    journeys : Journeys
        Censored ones are left out.
    folds : int, default=5
        Accounts are split into so many parts; each part is foretold by the others.
    seed : int, default=0

    Raises
    ------
    NotEnoughDataError
        When fewer accounts than folds have a journey that ended.
    """
    orders = tuple(order for order in ORDERS if order == 1 or Chain.of(journeys, order).work <= MOST_WORK)
    cluster, size = clusters(journeys)
    if len(size) > MOST_ACCOUNTS:
        drawn = np.random.default_rng(seed).permutation(len(size)) < MOST_ACCOUNTS
        journeys = journeys.take(drawn[cluster])
        cluster, size = clusters(journeys)
    ended = np.where(journeys.censored, 0, journeys.count)
    units = size[np.unique(cluster[ended > 0])].sum()
    if units < folds:
        raise NotEnoughDataError(
            f"At least {folds} accounts with a journey that ended are needed to choose the order of the chain. "
            f"There are {units}: choose order 1."
        )
    of_fold = _split(size, folds, seed)
    weight = of_fold[cluster] * (ended / size[cluster])[:, None]
    losses = _losses(journeys, weight, orders)
    number = totals(weight.sum(axis=1), cluster, len(size))
    total = float(number.sum())

    def estimate(of_journey: Floats) -> Estimate:
        of_cluster = totals(of_journey, cluster, len(size))
        mean = float(of_cluster.sum()) / total
        return Estimate.of(mean, float(np.sqrt(np.sum((of_cluster - number * mean) ** 2 / size))) / total)

    loss = {order: estimate(of_journey) for order, of_journey in losses.items()}
    gain = {order: estimate(losses[order - 1] - losses[order]) for order in orders[1:]}
    order = 1
    for higher in orders[1:]:
        ahead = estimate(losses[order] - losses[higher])
        # Half an interval is 1.645 standard errors.
        if ahead.value > ahead.half / 1.6448536269514722:
            order = higher
    return OrderChoice(order, loss, gain)


def _split(size: Integers, folds: int, seed: int) -> Floats:
    """Return how many units of each cluster are in each fold, of shape (n_clusters, folds)."""
    random = np.random.default_rng(seed)
    if (size == 1).all():
        return np.eye(folds)[random.permutation(len(size)) % folds]
    return random.multinomial(size, np.full(folds, 1 / folds)).astype(np.float64)


def _losses(journeys: Journeys, weight: Floats, orders: tuple[int, ...]) -> dict[int, Floats]:
    """Return by order what each journey lost when it was foretold without its fold, of shape (n,).

    Parameters
    ----------
    journeys : Journeys
    weight : array of shape (n, folds)
        How often each journey counts in each fold.
    orders : tuple of int
        From 1 on.
    """
    channels, code = players(journeys)
    k, of = len(channels), journey_of(journeys)
    step = _steps(journeys, code, k)
    everything = np.zeros(len(step), dtype=np.int64)
    probability = np.full((len(step), weight.shape[1]), 1.0 / (k + 2))
    before = np.full_like(probability, np.inf)
    found = {}
    for order in (0, *orders):
        state = everything
        if order:
            states, of_touch = states_of(journeys, code, k, order)
            state = np.concatenate([of_touch, np.full(journeys.size, len(states))])
        made, kind = np.unique(state * (k + 2) + step, return_inverse=True)
        seen = _elsewhere(state, int(state.max(initial=0)) + 1, of, weight)
        longer = (_elsewhere(kind, len(made), of, weight) + probability) / (seen + 1)
        # A longer state that is there each time the shorter one is knows nothing more, as at the beginning of journeys.
        probability, before = np.where(seen < before, longer, probability), seen
        if order:
            found[order] = totals(-(np.log(probability) * weight[of]).sum(axis=1), of, journeys.size)
    return found


def _steps(journeys: Journeys, code: Integers, channels: int) -> Integers:
    """Return what came after each touch, then what came first in each journey: a channel, conversion or null."""
    end = np.where(journeys.converted, channels, channels + 1)
    touched = np.diff(journeys.offset) > 0
    step = np.concatenate([code[1:], code[:1], end])
    step[journeys.offset[1:][touched] - 1] = end[touched]
    step[len(code) :][touched] = code[journeys.offset[:-1][touched]]
    return step


def _elsewhere(group: Integers, groups: int, of: Integers, weight: Floats) -> Floats:
    """Return for each transition how often its group occurs outside each fold, of shape (t, folds)."""
    counts = np.stack([totals(column[of], group, groups) for column in weight.T], axis=1)
    elsewhere: Floats = counts.sum(axis=1, keepdims=True) - counts
    return elsewhere[group]
