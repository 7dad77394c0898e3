"""From one effect per channel to the touches: the two ways in which effects become credit, for all and for each draw.

*By total*, the totals of channels are in proportion to their effects, whichever journeys they were in. *Within*, every
converted journey shares its own conversions among its touches, in proportion to the effects of their channels. Neither
knows the name of a channel. Only conversions can be shared: a channel that no converted journey had is given nothing,
even if a chain sees a way from it to conversion.
"""

from __future__ import annotations

import numpy as np

from features.journeys import Journeys
from features.journeys.journeys import Bools
from models.arrays import Floats, Integers
from models.attribution.credit import UNASSIGNED
from models.attribution.draws import Draws, totals


def players(journeys: Journeys, column: str = "channel") -> tuple[tuple[str, ...], Integers]:
    """Return the k different values of a column of the touches and the code of each touch; a missing one has a name."""
    found, code = journeys.players(column)
    names = [UNASSIGNED if name is None else name for name in found]
    distinct = list(dict.fromkeys(names))
    if len(distinct) < len(names):
        code = np.array([distinct.index(name) for name in names], dtype=np.int64)[code]
    return tuple(distinct), code


def by_total(journeys: Journeys, code: Integers, effect: Floats) -> Floats:
    """Return the credit of each touch such that every channel's total is in proportion to its effect.

    The touches of a channel in converted journeys share its total equally, each as often as its journey counts.

    Parameters
    ----------
    journeys : Journeys
        With m touches.
    code : array of int, shape (m,)
        Channel of each touch.
    effect : array of shape (k,)
        At least 0; where none is above, every touch is worth the same.

    Returns
    -------
    array of shape (m,)
        Sums to the number of conversions after a touch.
    """
    won, count = _converted(journeys)
    of_channel = totals(count, code[won], len(effect))
    share = _shares(np.where(of_channel > 0, effect, 0.0)[None], of_channel)[0]
    total = float(journeys.count[_touched(journeys)].sum())
    each = np.divide(total * share, of_channel, out=np.zeros_like(share), where=of_channel > 0)
    touch = np.zeros(len(code))
    touch[won] = count * each[code[won]]
    return touch


def within(journeys: Journeys, code: Integers, effect: Floats) -> Floats:
    """Return the credit of each touch: its channel's effect among those of the touches of its converted journey.

    Parameters
    ----------
    journeys : Journeys
        With m touches.
    code : array of int, shape (m,)
        Channel of each touch.
    effect : array of shape (k,)
        At least 0; a journey whose channels have none shares equally.

    Returns
    -------
    array of shape (m,)
        Sums to `count` in each converted journey with a touch.
    """
    won, count = _converted(journeys)
    touch = np.zeros(len(code))
    touch[won] = count * _parts(journeys.of_touch[won], effect[code[won]])
    return touch


def draws_by_total(journeys: Journeys, code: Integers, effects: Floats, amount: Floats, draws: Draws) -> Floats:
    """Return what each channel is given in each draw by the effects of the draw, of shape (n_draws, k).

    Parameters
    ----------
    journeys : Journeys
        Those that were drawn, n of them.
    code : array of int, shape (m,)
    effects : array of shape (n_draws, k)
    amount : array of shape (n,)
        What the conversions of each journey are worth.
    draws : Draws
    """
    won, count = _converted(journeys)
    of_channel = totals(count, code[won], effects.shape[1])
    total: Floats = draws.sums(draws.by_cluster(np.where(_touched(journeys), amount, 0.0)[:, None]))
    return np.asarray(total * _shares(np.where(of_channel > 0, effects, 0.0), of_channel))


def draws_within(journeys: Journeys, code: Integers, effects: Floats, amount: Floats, draws: Draws) -> Floats:
    """Return the same for credit within journeys; the parameters are those of `draws_by_total`."""
    won, _ = _converted(journeys)
    of, channel = journeys.of_touch[won], code[won]
    cluster, worth = draws.cluster[of], (amount / draws.size[draws.cluster])[of]
    return np.stack(
        [
            totals(_parts(of, effect[channel]) * worth * drawn[cluster], channel, effects.shape[1])
            for effect, drawn in zip(effects, draws.drawn, strict=True)
        ]
    )


def without_touch(journeys: Journeys) -> Floats:
    """Return the conversions of each journey that has no touch, of shape (n,)."""
    return np.where(journeys.converted & (np.diff(journeys.offset) == 0), journeys.count, 0).astype(np.float64)


def _touched(journeys: Journeys) -> Bools:
    return np.asarray(journeys.converted & (np.diff(journeys.offset) > 0))


def _converted(journeys: Journeys) -> tuple[Integers, Floats]:
    """Return the touches of converted journeys, and how often each counts."""
    won = journeys.of_converted
    return won, journeys.count[journeys.of_touch[won]].astype(np.float64)


def _parts(journey: Integers, weight: Floats) -> Floats:
    """Return each touch's part of the weight of its journey; the journeys ascend."""
    first = np.flatnonzero(np.diff(journey, prepend=-1))
    if not len(first):
        return weight
    steps = np.diff(np.append(first, len(journey)))
    total = np.add.reduceat(weight, first)
    part = weight / np.repeat(np.where(total > 0, total, 1.0), steps)
    return np.where(np.repeat(total > 0, steps), part, np.repeat(1.0 / steps, steps))


def _shares(effects: Floats, otherwise: Floats) -> Floats:
    """Return effects of draws over their sums, or the shares of something else where a sum is 0."""
    total, instead = effects.sum(axis=1, keepdims=True), otherwise / (otherwise.sum() or 1.0)
    return np.where(total > 0, effects / np.where(total > 0, total, 1.0), instead)
