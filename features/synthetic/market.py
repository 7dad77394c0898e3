"""What a simulated market is made of: its processes, its effects, its dials, and the presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

STATES = ("lead", "mql", "bql", "sql", "deal", "customer", "gone")
"""Where an account stands for its touches: the stage of its open cycle, a customer without one, or neither."""

OFFERS = ("Platform", "Analytics", "Connectors", "Academy")
"""What the simulated vendor sells."""


@dataclass(frozen=True)
class Kind:
    """One touch type of a process.

    Parameters
    ----------
    touch_type : str
    weight : float
        Relative frequency at intent 0.
    pull : float, default=0.0
        Change of the log weight per unit of intent.
    """

    touch_type: str
    weight: float
    pull: float = 0.0


@dataclass(frozen=True)
class Process:
    """A stream of touches that arises by itself, is excited by others, and fades.

    Parameters
    ----------
    name : str
        Unique in the market.
    channel : str
        Channel group of its touches.
    role : {"lever", "response", "service"}
        Only a lever may have an effect; a response follows intent; service belongs to customers.
    source : str
        System that reports its touches.
    yearly : float
        Touches a year of an average account, before excitation.
    kinds : tuple of Kind
    by_state : tuple of float
        Factor on the rate in each of `STATES`.
    effect : float, default=0.0
        Change of the log-odds of every forward step per unit of adstock.
    half_life_days : float, default=10.0
        Time in which adstock, and the excitement it causes, halves.
    excites : mapping of str to float, default={}
        Further touches that one touch brings about, by process.
    waves : float, default=0.0
        Standard deviation of the log rate from month to month, shared by all accounts: campaigns.
    lag_hours : float, default=0.05
        Median time until a touch is known.
    unit_cost : int, default=0
        Cost of a touch in minor units of the reporting currency.
    """

    name: str
    channel: str
    role: Literal["lever", "response", "service"]
    source: str
    yearly: float
    kinds: tuple[Kind, ...]
    by_state: tuple[float, ...]
    effect: float = 0.0
    half_life_days: float = 10.0
    excites: Mapping[str, float] = field(default_factory=dict)
    waves: float = 0.0
    lag_hours: float = 0.05
    unit_cost: int = 0


@dataclass(frozen=True)
class FollowUp:
    """A touch that one touch type may bring about after a while.

    Parameters
    ----------
    after : str
        Touch type that triggers it.
    process, touch_type : str
        What follows.
    chance : float
        Probability at intent 0.
    hours : float
        Median delay; delays are log-normal.
    pull : float, default=0.0
        Change of the log-odds of `chance` per unit of intent.
    replies : bool, default=True
        Whether it answers the first one (`reply_to`).
    """

    after: str
    process: str
    touch_type: str
    chance: float
    hours: float
    pull: float = 0.0
    replies: bool = True


@dataclass(frozen=True)
class Step:
    """What may happen on a day to a cycle that stands at a stage.

    Parameters
    ----------
    forward : str
        Stage it may reach next; `won` ends it.
    logit : float
        Log-odds of that on one day when everything else is 0.
    slope : float
        Weight of the account's index (fit, intent, levers) in these log-odds.
    fail : float, default=-30.0
        Log-odds on one day of ending without success; the index counts against it with half the slope.
    back : float, default=0.0
        Chance on one day of falling back to `mql`.
    """

    forward: str
    logit: float
    slope: float
    fail: float = -30.0
    back: float = 0.0


@dataclass(frozen=True)
class Market:
    """Everything that decides how a simulated market behaves.

    Parameters
    ----------
    accounts : int
    months : int
        Length of the history that ends at `until`.
    processes : tuple of Process
    follow_ups : tuple of FollowUp
    steps : mapping of (str, str) to Step
        By kind of cycle and stage.
    shape : str, default="logistic"
        Response shape: a key of `features.synthetic.response.SHAPES`.
    touches : float, default=1.0
        Factor on the rates of all processes.
    confounding : float, default=0.4
        How much the exposure to levers follows hidden intent: slope of the log rate.
    targeting : float, default=0.3
        How much exposure follows fit, which anybody can see.
    response_pull : float, default=0.6
        How much responses, which have no effect of their own, follow hidden intent.
    intent_spread : float, default=0.6
        Standard deviation of an account's lasting intent.
    intent_drift : float, default=0.8
        Standard deviation of the part that comes and goes.
    intent_half_life_days : float, default=45.0
        Time in which the part that comes and goes halves.
    fit_spread : float, default=0.7
        Standard deviation of fit, in log-odds.
    exposure_spread : float, default=0.6
        Standard deviation of the part of an account's log exposure that is unrelated to anything else.
    proxy : float, default=0.0
        Correlation of what a vendor tells us every month about intent with the intent of the moment; 0 for no vendor.
    late, duplicated, corrected, retracted : float
        Shares of touches that are known late, sent twice, corrected afterwards, taken back.
    """

    accounts: int
    months: int
    processes: tuple[Process, ...]
    follow_ups: tuple[FollowUp, ...]
    steps: Mapping[tuple[str, str], Step]
    shape: str = "logistic"
    touches: float = 1.0
    confounding: float = 0.4
    targeting: float = 0.3
    response_pull: float = 0.6
    intent_spread: float = 0.6
    intent_drift: float = 0.8
    intent_half_life_days: float = 45.0
    fit_spread: float = 0.7
    exposure_spread: float = 0.6
    proxy: float = 0.0
    late: float = 0.03
    duplicated: float = 0.005
    corrected: float = 0.007
    retracted: float = 0.001
