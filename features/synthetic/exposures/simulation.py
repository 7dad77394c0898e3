"""A market of exposures comes to pass: who was touched when, who converted, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from features.journeys import Journeys
from features.schema import DAY
from features.synthetic.columns import account_ids, label, pick
from features.synthetic.exposures.market import DAYS, EARLIER_DAYS, ExposureMarket
from features.synthetic.exposures.shapes import SHAPES, Floats, Ints, Touched
from features.synthetic.exposures.shapley import Worth, softplus, worth

_BLOCK = 4_000
_ECHO_DAYS = 4.0
_STARTS = 180
_MEDIAN_AMOUNT, _AMOUNT_SPREAD = 1_500_000, 0.7
UNTIL = 20_500 * DAY


@dataclass(frozen=True)
class Exposures:
    """What came to pass in a market of n accounts, and what is behind it.

    Parameters
    ----------
    market : ExposureMarket
    seed : int
    until : int
        End of the history in microseconds: all observations, and the welcome of the customers won, lie before it.
    start : int array of shape (n,)
        Start of the observation of each account, in microseconds.
    fit, intent, proxy : float array of shape (n,)
        Standardised; `proxy` is the attribute that goes with intent, all zeros without one.
    earlier : Touched
        The responses of the `EARLIER_DAYS` before the start: `lever` is the position of the response among the
        channels, `at` the days since the start, below 0.
    levers : Touched
        The lever touches of the whole observation, as if nobody had converted before.
    echoes : Touched
        The responses of the whole observation, as `earlier`.
    converted_at : float array of shape (n,)
        Days from the start to the conversion; infinite where there was none within `DAYS`.
    amount : int array of shape (n,)
        What a conversion is worth, in cents.
    """

    market: ExposureMarket
    seed: int
    until: int
    start: Ints
    fit: Floats
    intent: Floats
    proxy: Floats
    earlier: Touched
    levers: Touched
    echoes: Touched
    converted_at: Floats
    amount: Ints

    @cached_property
    def truth(self) -> Worth:
        """What each channel is worth; seconds of work for many accounts, done when first asked for."""
        return worth(self.market, base_logit(self.market, self.fit, self.intent), self.levers)

    @cached_property
    def confounders(self) -> pa.Table:
        """What was known of each account at its start: fit, the proxy of intent if any, earlier responses."""
        levers, responses = len(self.market.levers), len(self.market.responses)
        cell = self.earlier.account * responses + self.earlier.lever - levers
        counts = np.bincount(cell, minlength=len(self.fit) * responses).reshape(-1, responses)
        columns = {"account_id": account_ids(np.arange(len(self.fit))), "fit": self.fit}
        if self.market.proxy:
            columns["intent_proxy"] = self.proxy
        for response, count in zip(self.market.responses, counts.T, strict=True):
            columns[f"earlier_{response.name.lower().replace(' ', '_')}"] = count.astype(np.float64)
        return pa.table(columns)

    @cached_property
    def journeys(self) -> Journeys:
        """The touches of each account from its start to its conversion or, without one, to the end of `DAYS`."""
        market, touched = self.market, recorded(self)
        converted = np.isfinite(self.converted_at)
        ended = self.start + microseconds(np.where(converted, self.converted_at, float(DAYS)))
        n, m = len(self.start), len(touched.at)
        ids = account_ids(np.arange(n))
        none = pa.nulls(m, pa.string())
        channels, sources, types = processes(market)
        journeys = {
            "account_id": ids,
            "cycle_id": pa.array([f"{one}:new:1" for one in ids.to_pylist()]),
            "deal_id": label("D-", np.where(converted, np.arange(n), -1), 6),
            "opened_at": self.start,
            "ended_at": ended,
            "converted": converted,
            "censored": np.zeros(n, dtype=bool),
            "revenue": np.where(converted, self.amount, 0),
            "currency": pa.array(["EUR"] * n),
            "count": np.ones(n, dtype=np.int64),
        }
        touches = {
            "source": pick(sources, touched.lever),
            "event_id": label("e", np.arange(m), 9),
            "occurred_at": self.start[touched.account] + microseconds(touched.at),
            "contact_id": none,
            "channel": pick(channels, touched.lever),
            "campaign": none,
            "content": none,
            "product": none,
            "actor_id": none,
            "touch_type": pick(types, touched.lever),
            "direction": none,
            "is_lever": touched.lever < len(market.levers),
        }
        offset = np.searchsorted(touched.account, np.arange(n + 1)).astype(np.int64)
        return Journeys("won", pa.table(journeys), pa.table(touches), offset)


def simulate_exposures(market: ExposureMarket, seed: int, until: int = UNTIL) -> Exposures:
    """Let a market of exposures come to pass.

    Parameters
    ----------
    market : ExposureMarket
    seed : int
        The same market, seed and `until` give the same, to the bit.
    until : int, default=20,500 days after the epoch
        Everything observed lies before it, in microseconds.

    Returns
    -------
    Exposures
    """
    people, exposing, responding, converting = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(4))
    n = market.accounts
    fit, intent, noise = people.standard_normal((3, n))
    proxy = market.proxy * intent + np.sqrt(1 - market.proxy**2) * noise if market.proxy else np.zeros(n)
    # Observations end, and touches of customers after them go on, before `until`.
    start = until // DAY * DAY - (2 * DAYS + people.integers(0, _STARTS, n)) * DAY
    amount = np.round(_MEDIAN_AMOUNT * people.lognormal(0, _AMOUNT_SPREAD, n), -2).astype(np.int64)
    levers = _expose(market, fit, intent, exposing)
    return Exposures(
        market, seed, until, start, fit, intent, proxy,
        _respond(market, intent, -EARLIER_DAYS, 0, responding),
        levers,
        _echo(market, levers, _respond(market, intent, 0, DAYS, responding), responding),
        _convert(market, base_logit(market, fit, intent), levers, converting),
        amount,
    )  # fmt: skip


def recorded(exposures: Exposures) -> Touched:
    """Return the touches of levers and responses, from the start to the conversion, that somebody wrote down."""
    levers, echoes = exposures.levers, exposures.echoes
    written = np.array([lever.recorded for lever in exposures.market.levers])[levers.lever]
    account = np.concatenate([levers.account[written], echoes.account])
    at = np.concatenate([levers.at[written], echoes.at])
    channel = np.concatenate([levers.lever[written], echoes.lever])
    seen = at < exposures.converted_at[account]
    return _ordered(levers.size, account[seen], channel[seen], at[seen])


def processes(market: ExposureMarket) -> tuple[list[str], list[str], list[str]]:
    """Return the name, the source and the touch type of each channel."""
    told = [(one.name, one.source, one.touch_type) for one in market.levers]
    told += [(one.name, "web", "page_view") for one in market.responses]
    return [one[0] for one in told], [one[1] for one in told], [one[2] for one in told]


def microseconds(days: Floats) -> Ints:
    """Return days as whole microseconds."""
    return np.floor(days * DAY).astype(np.int64)


def base_logit(market: ExposureMarket, fit: Floats, intent: Floats) -> Floats:
    """Return the daily log-odds of conversion of each account without touches."""
    return market.logit + market.fit_slope * fit + market.intent_slope * intent


def _expose(market: ExposureMarket, fit: Floats, intent: Floats, rng: np.random.Generator) -> Touched:
    n, levers = len(fit), len(market.levers)
    own = rng.standard_normal((n, levers))
    if market.company:
        first, second = map(market.lever, market.company)
        own[:, second] = own[:, first]
    chase = market.confounding * np.array([lever.chase for lever in market.levers])
    follows = (
        np.outer(intent, chase)
        + (market.shared_spread * rng.standard_normal(n) + market.targeting * fit)[:, np.newaxis]
    )
    # A log-normal factor of mean 1: the dials move touches from account to account and leave their number alone.
    variance = chase**2 + market.shared_spread**2 + market.targeting**2 + market.own_spread**2
    usual = np.array([lever.touches for lever in market.levers])
    count = rng.poisson(usual * np.exp(follows + market.own_spread * own - variance / 2))
    account = np.repeat(np.arange(n), count.sum(axis=1))
    lever = np.repeat(np.tile(np.arange(levers), n), count.ravel())
    return _ordered(n, account, lever, DAYS * rng.random(len(account)))


def _respond(market: ExposureMarket, intent: Floats, since: int, until: int, rng: np.random.Generator) -> Touched:
    n, responses = len(intent), len(market.responses)
    weekly = np.array([response.weekly for response in market.responses])
    count = rng.poisson((until - since) / 7 * weekly * np.exp(market.response_pull * intent)[:, np.newaxis])
    account = np.repeat(np.arange(n), count.sum(axis=1))
    channel = len(market.levers) + np.repeat(np.tile(np.arange(responses), n), count.ravel())
    return _ordered(n, account, channel, since + (until - since) * rng.random(len(account)))


def _echo(market: ExposureMarket, levers: Touched, responses: Touched, rng: np.random.Generator) -> Touched:
    """Return the responses, and those that lever touches stirred."""
    account, channel, at = [responses.account], [responses.lever], [responses.at]
    for position, response in enumerate(market.responses, len(market.levers)):
        cause = np.repeat(np.arange(len(levers.at)), rng.poisson(response.stirred, len(levers.at)))
        moment = levers.at[cause] + rng.exponential(_ECHO_DAYS, len(cause))
        inside = moment < DAYS
        account.append(levers.account[cause][inside])
        channel.append(np.full(inside.sum(), position))
        at.append(moment[inside])
    return _ordered(levers.size, np.concatenate(account), np.concatenate(channel), np.concatenate(at))


def _convert(market: ExposureMarket, base: Floats, levers: Touched, rng: np.random.Generator) -> Floats:
    moment = np.full(len(base), np.inf)
    threshold, clock = rng.exponential(size=len(base)), rng.random(len(base))
    for first in range(0, len(base), _BLOCK):
        some = np.arange(first, min(first + _BLOCK, len(base)))
        terms = SHAPES[market.shape](market, levers.of(some))
        logit = base[some, np.newaxis] + terms.mains.sum(axis=1) + terms.pairs.sum(axis=1)
        reached = np.cumsum(softplus(logit), axis=1) >= threshold[some, np.newaxis]
        won = reached.any(axis=1)
        moment[some[won]] = reached.argmax(axis=1)[won] + clock[some[won]]
    return moment


def _ordered(size: int, account: Ints, channel: Ints, at: Floats) -> Touched:
    row = np.lexsort((at, account))
    return Touched(size, account[row], channel[row], at[row])
