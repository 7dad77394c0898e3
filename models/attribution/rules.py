"""Rules: which touches of a journey count how much, by their place, their time and the stages that were reached.

A rule is a convention: it learns nothing, and what it says is not what a channel achieved. Each is a function of
journeys that weighs every touch; the weights of a converted journey make 1, or 0 when none of its touches counts.

`w_shaped` and `full_path` give 90 % to the touches that made the milestones, in equal parts, and 10 % to the touches
between them. The touch that made a milestone is the last one before it; a touch that made several has the sum of their
shares; what belongs to a milestone that is missing, or to touches between that there are not, goes to the others in
proportion. W-shaped ends with the deal: touches after it have no part in it.

References
----------
Adobe, Marketo Measure attribution models (U-shaped, W-shaped, full path); HubSpot, Understand attribution reporting
(which touch made a milestone); Google Analytics, Attribution models (last non-direct, position based 40/20/40, and time
decay with a half-life of 7 days).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from features.agreement import Attribution, CreditRule
from features.journeys import Journeys
from features.schema import DAY
from models.arrays import Floats, Integers
from models.attribution.credit import UNASSIGNED, Credit, Evidence, sums

Weigh = Callable[[Journeys], Floats]

_Number = TypeVar("_Number", bound=np.generic)

_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Rule:
    """A rule by name.

    Parameters
    ----------
    name : str
    weigh : callable
        Journeys with m touches to weights of shape (m,), at least 0.
    """

    name: str
    weigh: Weigh
    evidence: ClassVar[Evidence] = Evidence.RULE

    def fit(self, journeys: Journeys) -> Self:
        """Learn nothing."""
        return self

    def credit(self, journeys: Journeys) -> Credit:
        """Share the conversions of these journeys among their touches."""
        touch, of_converted = self.weigh(journeys), journeys.of_converted
        journey = journeys.of_touch[of_converted]
        touch[of_converted] *= journeys.count[journey]
        shared = np.bincount(journey, touch[of_converted], minlength=journeys.size) > 0
        unshared = journeys.converted & ~shared
        return Credit(self.name, self.evidence, journeys, touch, np.where(unshared, journeys.count, 0.0))


def rules(attribution: Attribution) -> dict[str, Rule]:
    """Return the rules by name: those that everybody has, and the agreement's own."""
    weighing: Mapping[str, Weigh] = {
        "first": by_position(_rule("first", first=1)),
        "last": by_position(_rule("last", last=1)),
        "last_non_direct": last_besides(attribution.direct),
        "linear": by_position(_rule("linear", middle=1)),
        "time_decay": time_decay(attribution.half_life_days),
        "position": by_position(_rule("position", first=0.4, middle=0.2, last=0.4)),
        "w_shaped": by_position(_rule("w_shaped", first=0.3, lead=0.3, deal=0.3, middle=0.1)),
        "full_path": by_position(_rule("full_path", first=0.225, lead=0.225, deal=0.225, last=0.225, middle=0.1)),
        **{name: by_position(own) for name, own in attribution.models.items()},
    }
    return {name: Rule(name, weigh) for name, weigh in weighing.items()}


def by_position(rule: CreditRule) -> Weigh:
    """Return the weights by the places that touches hold in their journey.

    Parameters
    ----------
    rule : CreditRule
        Shares of the first and the last touch, of the last one at or before the lead and the deal, and of all other
        touches together, in equal parts. Touches of its excluded channels hold no place.

    Notes
    -----
    With the share s of each place, w = s / (sum of the shares that a touch of the journey holds): of 40/20/40, two
    touches have a half each, and a single one has everything.
    """

    def weigh(journeys: Journeys) -> Floats:
        kept = _Kept.of(journeys, rule.exclude)
        weight = np.zeros(len(kept.touch))
        end = kept.last
        for share, place in ((rule.first, kept.first), (rule.last, kept.last)):
            weight[place[place >= 0]] += share
        for share, stage in ((rule.lead, "lead"), (rule.deal, "deal")):
            if share:
                place = kept.at_or_before(journeys, stage)
                weight[place[place >= 0]] += share
                end = np.where((place >= 0) & (stage == "deal") & (not rule.last), place, end)
        if rule.middle:
            between = (weight == 0) & (np.arange(len(weight)) <= kept.spread(end))
            others = sums(between.astype(np.float64), kept.offset)
            weight[between] = kept.spread(rule.middle / np.maximum(others, 1))[between]
        return kept.shares(weight, journeys)

    return weigh


def last_besides(direct: Collection[str]) -> Weigh:
    """Return everything for the last touch that is not of a direct channel, or else for the last."""
    last = by_position(_rule("last", last=1))
    last_other = by_position(_rule("last_non_direct", last=1, exclude=tuple(direct)))

    def weigh(journeys: Journeys) -> Floats:
        found, touch = last_other(journeys), journeys.of_converted
        decided = np.zeros(journeys.size, dtype=bool)
        decided[journeys.of_touch[touch[found[touch] > 0]]] = True
        undecided = touch[~decided[journeys.of_touch[touch]]]
        found[undecided] = last(journeys)[undecided]
        return found

    return weigh


def time_decay(half_life_days: float) -> Weigh:
    """Return weights that halve with every half-life between a touch and the conversion.

    Notes
    -----
    w is proportional to 2^(-(t_conversion - t) / half-life), in real time to the microsecond. The time since the last
    touch halves all weights of a journey alike, so decay is measured from there: it can not vanish for all of them.
    """

    def weigh(journeys: Journeys) -> Floats:
        kept = _Kept.of(journeys)
        time = journeys.occurred_at[kept.touch]
        latest = time[kept.spread(kept.last)]
        return kept.shares(np.exp2((time - latest) / (half_life_days * DAY)), journeys)

    return weigh


class _Kept(NamedTuple):
    """The k touches that a rule looks at, and their c converted journeys.

    Parameters
    ----------
    touch : array of int64, shape (k,)
        Rows of the touches.
    journey : array of int64, shape (c,)
        Rows of the journeys, those without such a touch among them.
    offset : array of int64, shape (c + 1,)
        The touches of the i-th of these journeys are offset[i] to offset[i + 1].
    """

    touch: Integers
    journey: Integers
    offset: Integers

    @classmethod
    def of(cls, journeys: Journeys, exclude: tuple[str, ...] = ()) -> _Kept:
        touch, journey = journeys.of_converted, np.flatnonzero(journeys.converted)
        size = np.diff(journeys.offset)[journey]
        if exclude:
            names, code = journeys.players()
            excluded = np.array([(UNASSIGNED if name is None else name) in exclude for name in names], dtype=bool)
            touch = touch[~excluded[code[touch]]]
            size = np.bincount(journeys.of_touch[touch], minlength=journeys.size)[journey]
        return cls(touch, journey, np.concatenate([[0], np.cumsum(size)]))

    @property
    def first(self) -> Integers:
        """The first touch of each journey, of shape (c,); -1 where there is none."""
        return np.where(np.diff(self.offset) > 0, self.offset[:-1], -1)

    @property
    def last(self) -> Integers:
        """The last touch of each journey, of shape (c,); -1 where there is none."""
        return np.where(np.diff(self.offset) > 0, self.offset[1:] - 1, -1)

    def at_or_before(self, journeys: Journeys, stage: str) -> Integers:
        """Return the last touch of each journey when it reached a stage, of shape (c,); -1 where there is none."""
        column = "ended_at" if stage == journeys.transition else f"reached_{stage}"
        if column not in journeys.journeys.column_names:
            return np.full(len(self.journey), -1)
        reached = pc.fill_null(journeys.journeys[column], _NEVER).to_numpy()[self.journey]
        until = np.concatenate([[0], np.cumsum(journeys.occurred_at[self.touch] <= self.spread(reached))])
        number = np.diff(until[self.offset])
        return np.where(number > 0, self.offset[:-1] + number - 1, -1)

    def spread(self, of_journey: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """Return for each touch what its journey has, of shape (k,)."""
        return np.repeat(of_journey, np.diff(self.offset))

    def shares(self, weight: Floats, journeys: Journeys) -> Floats:
        """Return weights that make 1 in each journey, or 0, for all touches, of shape (m,)."""
        total = sums(weight, self.offset)
        shared = np.zeros(journeys.touches.num_rows)
        shared[self.touch] = weight / self.spread(np.where(total > 0, total, 1.0))
        return shared


def _rule(
    name: str,
    *,
    first: float = 0.0,
    last: float = 0.0,
    lead: float = 0.0,
    deal: float = 0.0,
    middle: float = 0.0,
    exclude: tuple[str, ...] = (),
) -> CreditRule:
    return CreditRule(name, first, last, lead, deal, middle, exclude)
