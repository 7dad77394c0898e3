"""Checks that the incremental model can fail: effects that can not be, and should not be found.

A *placebo* is a lever without effect by construction: the touches of another one, given to other accounts at random.

A *time shift* asks what an account is about to be sent. That can not move it yet: if accounts respond by themselves
(visit, fill in a form) more often just before a lever touches them, then the touches follow intent, and what they seem
to bring may be intent's. The test is on responses, not on conversions, because a journey ends with its conversion: what
the account would have been sent next is not on record, and its absence would look like an effect.

Either holds 0 against a 90 % interval: of ten checks of a sound model, one fails by chance.

References
----------
M. Lipsitch, E. Tchetgen Tchetgen and T. Cohen, Negative controls: a tool for detecting confounding and bias in
observational studies, Epidemiology 21, 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.errors import NotEnoughDataError, UnknownError, nearest
from features.journeys import Journeys
from features.schema import DAY
from models.arrays import Integers
from models.attribution.draws import clusters
from models.attribution.incremental import Incremental
from models.attribution.incremental.exposure import Exposures, lever_names, lever_of_touch
from models.attribution.incremental.hazard import fit_hazard
from models.attribution.incremental.influence import Influence
from models.attribution.incremental.moments import Moments
from models.attribution.incremental.response import Risk, penalty
from models.attribution.incremental.shapes import HALF_LIVES, PRESENCE, Form, Shape
from models.attribution.incremental.surroundings import Surroundings
from models.bootstrap import Estimate

PLACEBO = "(placebo)"
"""Channel of the touches that are given to other accounts."""

FEWEST = 20
"""Responses below which there is nothing to tell by."""

_BEFORE = (PRESENCE, Shape(0, "linear"), Shape(2, "log"), Shape(4, "log"))
"""What every lever had done until then, in as many ways: responses echo touches for days, busy accounts for months."""


@dataclass(frozen=True)
class Falsification:
    """What a check found.

    Parameters
    ----------
    kind : str
        ``placebo`` or ``time_shift``.
    channel : str
        The lever that is checked.
    effect : Estimate
        Conversions credited to the placebo; or the log of the ratio by which responses are more frequent just before.
    passed : bool
        Whether 0 lies within the interval.
    verdict : str
        The same in words.
    """

    kind: str
    channel: str
    effect: Estimate
    passed: bool
    verdict: str


def placebo(
    journeys: Journeys,
    channel: str,
    *,
    confounders: pa.Table | None = None,
    step_days: float = 7,
    horizon_days: float = 180,
    seed: int = 0,
    draws: int = 200,
) -> Falsification:
    """Give the touches of a lever to other accounts at random, as one more lever, and measure its effect.

    Raises
    ------
    UnknownError
        When there is no such lever.
    """
    drawn = with_placebo(journeys, channel, seed)
    model = Incremental(step_days=step_days, horizon_days=horizon_days, seed=seed).fit(drawn, confounders)
    effect = model.effects(draws)[PLACEBO].conversions
    passed = not effect.excludes_zero
    found = f"{effect.value:+.1f} conversions ({effect.bounds[0]:+.1f} to {effect.bounds[1]:+.1f})"
    verdict = (
        f"A placebo made of {channel} brings {found}: 0 lies within, as it should."
        if passed
        else f"A placebo made of {channel} brings {found}, though it can not bring any: distrust these intervals. One "
        "placebo in ten gets there by chance; another seed makes another."
    )
    return Falsification("placebo", channel, effect, passed, verdict)


def time_shift(
    journeys: Journeys,
    channel: str,
    *,
    confounders: pa.Table | None = None,
    days: float = 14,
    step_days: float = 7,
) -> Falsification:
    """Measure how much more often accounts respond in the days before a lever touches them.

    Given what is known of the accounts and all that levers had done until then, in a log-linear rate of responses;
    the interval lets the responses of an account depend on one another.

    Raises
    ------
    UnknownError
        When there is no such lever.
    NotEnoughDataError
        When fewer than `FEWEST` responses lie early enough, or the lever never touches so late.
    """
    levers = lever_names(journeys)
    lever = _lever(journeys, channel)
    moments = _moments(journeys, days, step_days)
    own = np.flatnonzero(lever_of_touch(journeys, levers) == lever)
    soon = _soon(journeys, own, moments, days)
    number = int(moments.events.sum())
    if number < FEWEST or not moments.exposure[soon].any() or not moments.exposure[~soon].any():
        raise NotEnoughDataError(
            f"A time shift of {channel} needs {FEWEST} responses at least {days:g} days before a journey's end, "
            f"and touches that lie ahead at some moments. Got {number} responses, {soon.sum()} such moments."
        )
    risk, form = _risk(journeys, levers, moments, soon, confounders)
    beta = fit_hazard(risk.design(form), risk.events, risk.exposure, penalty(risk.around.shape[1], form))
    cluster, units = clusters(journeys)
    influence = Influence.of(risk, form, beta, cluster[moments.journey], len(units))
    place = risk.around.shape[1] - 1
    effect = Estimate.of(float(beta[place]), float(np.sqrt((influence.by_cluster[:, place] ** 2).sum())))
    passed = not effect.excludes_zero
    low, high = np.exp(effect.bounds)
    found = f"{np.exp(effect.value):.2f} times ({low:.2f} to {high:.2f}) as many responses in the {days:g} days before"
    follows = (
        "nothing runs ahead of it"
        if passed
        else "its touches follow intent, or are triggered by responses, and its effect may not be its own"
        if effect.value > 0
        else "its touches go where less happens by itself, and its effect may be larger than it seems"
    )
    verdict = f"{channel} touches accounts that had {found} as usual: {follows}."
    return Falsification("time_shift", channel, effect, passed, verdict)


def with_placebo(journeys: Journeys, channel: str, seed: int) -> Journeys:
    """Return journeys with one more lever: the touches of `channel`, as old as they were, in other journeys."""
    lever = _lever(journeys, channel)
    own = np.flatnonzero(lever_of_touch(journeys, lever_names(journeys)) == lever)
    opened, ended = (journeys.journeys[name].to_numpy() for name in ("opened_at", "ended_at"))
    giver = journeys.of_touch[own]
    taker = np.random.default_rng(seed).permutation(journeys.size)[giver]
    at = journeys.occurred_at[own] - opened[giver] + opened[taker]
    kept = at < ended[taker]
    given = journeys.touches.take(pa.array(own[kept]))
    for name, column in (
        ("occurred_at", pa.array(at[kept])),
        ("channel", pa.array([PLACEBO] * int(kept.sum()), journeys.touches.schema.field("channel").type)),
    ):
        given = given.set_column(given.column_names.index(name), name, column)
    touches = pa.concat_tables([journeys.touches, given], promote_options="permissive").unify_dictionaries()
    journey = np.concatenate([journeys.of_touch, taker[kept]])
    order = np.lexsort((touches["occurred_at"].to_numpy(), journey))
    offset = np.searchsorted(journey[order], np.arange(journeys.size + 1)).astype(np.int64)
    return Journeys(
        journeys.transition, journeys.journeys, touches.take(pa.array(order)), offset, journeys.left_out
    )  # fmt: skip


def _lever(journeys: Journeys, channel: str) -> int:
    levers = lever_names(journeys)
    if channel not in levers:
        known = ", ".join(levers) or "none"
        raise UnknownError(f"There is no lever {channel!r}. Levers: {known}.", hint=nearest(channel, levers).strip())
    return levers.index(channel)


def _moments(journeys: Journeys, days: float, step_days: float) -> Moments:
    """Return responses, and moments without, that lie early enough in a journey to know what came after."""
    opened, ended = (journeys.journeys[name].to_numpy() for name in ("opened_at", "ended_at"))
    last = ended - round(days * DAY)
    base = Moments.of(journeys, step_days)
    quiet = (base.exposure > 0) & (base.at <= last[base.journey])
    journey, at = journeys.of_touch, journeys.occurred_at
    heard = np.flatnonzero(~journeys.is_lever & (at > opened[journey]) & (at <= last[journey]))
    count = journeys.count[journey[heard]].astype(np.float64)
    return Moments(
        np.concatenate([base.journey[quiet], journey[heard]]),
        np.concatenate([base.at[quiet], at[heard]]),
        np.concatenate([np.zeros(int(quiet.sum())), count]),
        np.concatenate([base.exposure[quiet], np.zeros(len(heard))]),
    )


def _soon(journeys: Journeys, own: Integers, moments: Moments, days: float) -> npt.NDArray[np.bool_]:
    """Return whether a lever, whose touches `own` are, touches within some days after each moment."""
    times = np.unique(journeys.occurred_at[own])
    key = journeys.of_touch[own] * (len(times) + 1) + np.searchsorted(times, journeys.occurred_at[own])
    start = moments.journey * (len(times) + 1)
    passed = np.searchsorted(key, start + np.searchsorted(times, moments.at, side="right"))
    until = np.searchsorted(key, start + np.searchsorted(times, moments.at + round(days * DAY), side="right"))
    soon: npt.NDArray[np.bool_] = until > passed
    return soon


def _risk(
    journeys: Journeys, levers: tuple[str, ...], moments: Moments, soon: npt.NDArray[np.bool_],
    confounders: pa.Table | None,
) -> tuple[Risk, Form]:  # fmt: skip
    surroundings = Surroundings.of(journeys, confounders)
    exposures = Exposures(journeys, levers, HALF_LIVES)
    opened = journeys.journeys["opened_at"].to_numpy()[moments.journey]
    own = surroundings.of_journeys(journeys.size, confounders)[moments.journey]
    around = np.concatenate([surroundings.at(opened, moments.at), own, soon[:, None]], axis=1)
    states = [exposures.before(lever, moments.journey, moments.at) for lever in range(len(levers))]
    form = Form(tuple(shape for shape in _BEFORE for _ in levers))
    return Risk(states * len(_BEFORE), around, moments.events, moments.exposure), form
