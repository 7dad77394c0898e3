"""The stop list: levers whose incremental return is probably below their cost, the likeliest first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.attribution.intervals import Replicates
from models.attribution.returns import chance_below
from models.attribution.spending import Money
from models.bootstrap import Estimate

STOP, WATCH = 0.9, 0.5
"""Probabilities of a return below cost from which a lever is to be stopped, or watched."""

_NOTHING = Estimate(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Verdict:
    """Whether a lever brings back what it costs.

    Parameters
    ----------
    channel : str
    cost : int or None
        Minor units; None when it is missing, or not in the currency of what a conversion is worth.
    brought : Estimate
        Incremental conversions.
    worth : Estimate
        What they are worth, in minor units.
    losing : float or None
        Probability that they are worth less than they cost; None without a cost.
    words : str
        What to make of it.
    """

    channel: str
    cost: int | None
    brought: Estimate
    worth: Estimate
    losing: float | None
    words: str

    def document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "channel": self.channel,
            "cost": self.cost,
            "costMissing": self.cost is None,
            "incrementalConversions": asdict(self.brought),
            "incrementalWorth": asdict(self.worth),
            "probabilityBelowCost": self.losing,
            "words": self.words,
        }


def stop_list(
    cost: Mapping[str, Money],
    incremental: Replicates,
    levers: Collection[str],
    *,
    worth: int,
    currency: str,
    leads: Replicates | None = None,
) -> tuple[Verdict, ...]:
    """Return a verdict on each lever: the likeliest loser first, and last those whose cost is missing.

    Parameters
    ----------
    cost : mapping of str to mapping
        `Spending.by_channel` of the last months.
    incremental : Replicates
        Conversions of the same months that would not have been without the channel; signed.
    levers : collection of str
        Channels that we choose to spend on. All of them get a verdict, those without any touch too.
    worth : int
        Revenue, or margin, of one conversion, in minor units.
    currency : str
        Of `worth`.
    leads : Replicates, optional
        Leads credited by channel, to tell a lever that brings leads and no customers.

    Raises
    ------
    ValueError
        When a conversion is worth nothing.

    Notes
    -----
    The probability is the share of the draws in which worth * conversions < cost. It holds how unsure the effect is;
    the cost, and what a conversion is worth, it takes as given.
    """
    if worth <= 0:
        raise ValueError(f"`worth` must be above 0, in minor units of {currency}. Got {worth} instead.")
    brought = incremental.estimates()
    led = {} if leads is None else leads.estimates()
    verdicts = []
    for lever in sorted(levers):
        money, effect = cost.get(lever, {}), brought.get(lever, _NOTHING)
        amount = money[currency] if money.keys() == {currency} else None
        losing = None if amount is None else chance_below(incremental, lever, amount / worth)
        words = _words(effect, led.get(lever, _NOTHING), losing)
        if amount is None:
            words = f"{f'Cost not in {currency}' if money else 'Cost missing'}. {words}"
        low, high = effect.bounds
        value = Estimate(worth * effect.value, worth * low, worth * high)
        verdicts.append(Verdict(lever, amount, effect, value, losing, words))
    return tuple(sorted(verdicts, key=_urgency))


def _urgency(verdict: Verdict) -> tuple[float, float, str]:
    likely = -1.0 if verdict.losing is None else verdict.losing
    return -likely, verdict.worth.value - (verdict.cost or 0), verdict.channel


def _words(brought: Estimate, leads: Estimate, losing: float | None) -> str:
    is_idle = brought.bounds[0] <= 0
    if is_idle and leads.bounds[0] > 0:
        said = "Brings leads, but no customers that can be told from none."
    elif is_idle:
        said = "No effect that can be told from none."
    else:
        said = "Brings customers."
    if losing is None:
        return said
    if losing >= STOP:
        return f"{said} Stop: very likely below its cost."
    if losing >= WATCH:
        return f"{said} Watch: more likely below its cost than above."
    return f"{said} Keep: more likely above its cost than below."
