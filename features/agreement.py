"""The agreement between marketing and sales: stages, goals, points, actions and promises.

`Agreement.load` reads it from a file such as `smarketing.toml`; what each key means is written in that file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from features.errors import UnknownError, nearest
from features.feature import Feature
from features.touch_types import TouchType

DEFAULTS = Path(__file__).resolve().parent.parent / "smarketing.toml"
"""The file that documents every key and is, at the same time, the built-in defaults: code holds no second list."""

RUNGS = ("best", "base_rate", "stage_table", "points", "shrunk", "logistic", "lightgbm")
"""What a goal's `rung` may say: let the evidence choose, or pin one rung of the ladder."""

BOUGHT_AGAIN: Mapping[str, str] = MappingProxyType({"renewed": "renewal", "expanded": "expansion"})
"""Transitions that are ``won`` in a cycle of another kind than ``new``."""


@dataclass(frozen=True)
class Stages:
    """The steps of a revenue cycle.

    Parameters
    ----------
    order : tuple of str
        From the first to ``won``; ``deal`` is among them.
    implicit_first : str
        Stage that an account's first inbound touch opens; empty for none.
    terminal : tuple of str
        Ends without ``won``; ``lost`` is among them.
    """

    order: tuple[str, ...]
    implicit_first: str
    terminal: tuple[str, ...]

    def position(self, stage: str) -> int:
        """Return the index of a stage among the order followed by the terminal stages."""
        return self._positions[stage]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {stage: index for index, stage in enumerate((*self.order, *self.terminal))}


@dataclass(frozen=True)
class Goal:
    """The question one model answers: accounts `from_` these stages `reach` another `within_days`.

    Parameters
    ----------
    name : str
    kind : str
        Kind of cycle: new, expansion or renewal.
    from_ : tuple of str
        Stages in which an account is asked about.
    reach : str
        The stage to be reached; a later one counts too.
    within_days : int
        The horizon.
    rung : str
        One of `RUNGS`.
    """

    name: str
    kind: str
    from_: tuple[str, ...]
    reach: str
    within_days: int
    rung: str


@dataclass(frozen=True)
class Snapshots:
    """The moments that become training rows.

    Parameters
    ----------
    every : int
        Days from one to the next.
    at : tuple of datetime.time
        Times of day, in `tz`.
    tz : str
        IANA time zone.
    from_, to : datetime.date or None
        First day, and the day after the last; None for what the ledger holds.
    event_share : float
        Share of asks, in [0, 1), that come just after a touch or a stage change; the others are those of the grid.
    """

    every: int
    at: tuple[dt.time, ...]
    tz: str
    from_: dt.date | None
    to: dt.date | None
    event_share: float


@dataclass(frozen=True)
class Split:
    """How rows are divided into training and test.

    Parameters
    ----------
    kind : {"time", "folds"}
        ``folds`` is for data without time.
    test_share : float
        Share of the time span, at its end, that is the test when `test_from` is None.
    test_from, test_to : datetime.date or None
        First day of the test, and the day after the last.
    test_every : int
        Days between test moments; those of the snapshots unless given.
    test_at : tuple of datetime.time
        Times of day of test moments; those of the snapshots unless given.
    test_event_share : float
        The `event_share` of the test; that of the snapshots unless given.
    folds : int
        Groups of accounts, for cross-fitting and for ``folds``.
    fold : int
        Which of them, counted from 0, judges when the kind is ``folds``.
    """

    kind: str
    test_share: float
    test_from: dt.date | None
    test_to: dt.date | None
    test_every: int
    test_at: tuple[dt.time, ...]
    test_event_share: float
    folds: int
    fold: int


@dataclass(frozen=True)
class Grades:
    """Percentiles in (0, 1) from which a score earns the grade; what is below `c` is D."""

    a: float
    b: float
    c: float

    def grade(self, percentile: float) -> str:
        """Return the letter for a percentile in [0, 1].

        Examples
        --------
        >>> Grades(a=0.9, b=0.7, c=0.4).grade(0.7)
        'B'
        """
        return "A" if percentile >= self.a else "B" if percentile >= self.b else "C" if percentile >= self.c else "D"


@dataclass(frozen=True)
class Points:
    """The day-0 score: points per touch of a type, halved with every `half_life_days`."""

    half_life_days: float
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Action:
    """A next step.

    Parameters
    ----------
    name : str
    cost : float
        In the reporting currency, each.
    capacity : int
        How many the team can take in a week.
    """

    name: str
    cost: float
    capacity: int


@dataclass(frozen=True)
class Sla:
    """The two-sided promise.

    Parameters
    ----------
    marketing_promise : mapping of str to float
        Stage -> accounts that marketing delivers to it per month.
    first_response_hours : mapping of str to float
        Touch type -> hours within which sales answers.
    attempts : int
        How often sales tries at least.
    feedback_days : float
        Days within which the outcome of a hand-off is fed back.
    """

    marketing_promise: Mapping[str, float]
    first_response_hours: Mapping[str, float]
    attempts: int
    feedback_days: float


@dataclass(frozen=True)
class CreditRule:
    """A rule of the users' own that shares a conversion among touches.

    Parameters
    ----------
    name : str
    first, last, lead, deal, middle : float
        Weights, together 1, of the first and the last touch, of those that made the lead and the deal, and of all
        others together.
    exclude : tuple of str
        Channels that get nothing.
    """

    name: str
    first: float
    last: float
    lead: float
    deal: float
    middle: float
    exclude: tuple[str, ...]


@dataclass(frozen=True)
class Attribution:
    """How touches earn credit.

    Parameters
    ----------
    transition : str
        What converted means: a stage, or ``renewed`` or ``expanded``, which are won in a cycle of that kind.
    lookback_days : int
        How long before its end a journey reaches back; 0 for no limit.
    lookback_touches : int
        How many touches, the latest ones, a journey has at most; 0 for no limit.
    half_life_days : float
        Of time decay: a touch so many days before the conversion earns half of one at the conversion.
    step_days : int
        Length of a step of time in the response model.
    horizon_days : int
        Until when "would have happened anyway" is asked; a journey still open is censored while it is younger.
    direct : tuple of str
        Channels that ``last_non_direct`` skips while there is another.
    levers : tuple of str
        Channels that we spend or act on; every other channel is a response.
    response_types : tuple of str
        Touch types that are responses whatever their channel.
    excluded_types : tuple of str
        Touch types that are in no journey.
    outbound : {"count", "exclude"}
        What becomes of touches that we made ourselves.
    models : mapping of str to CreditRule
        The users' own rules.
    """

    transition: str
    lookback_days: int
    lookback_touches: int
    half_life_days: float
    step_days: int
    horizon_days: int
    direct: tuple[str, ...]
    levers: tuple[str, ...]
    response_types: tuple[str, ...]
    excluded_types: tuple[str, ...]
    outbound: str
    models: Mapping[str, CreditRule]


@dataclass(frozen=True)
class Agreement:
    """Everything marketing and sales agreed on; the parts are described at their classes.

    Parameters
    ----------
    default_goal : str
        Name of the goal that is meant when none is given.
    stages : Stages
    goals : mapping of str to Goal
    snapshots : Snapshots
    split : Split
    grades : Grades
    points : Points
    actions : mapping of str to Action
    reporting_currency : str
        ISO 4217 code.
    sla : Sla
    attribution : Attribution
    touch_types : mapping of str to TouchType
        The built-in vocabulary with the users' own types.
    features : tuple of Feature
        The users' own features.
    """

    default_goal: str
    stages: Stages
    goals: Mapping[str, Goal]
    snapshots: Snapshots
    split: Split
    grades: Grades
    points: Points
    actions: Mapping[str, Action]
    reporting_currency: str
    sla: Sla
    attribution: Attribution
    touch_types: Mapping[str, TouchType]
    features: tuple[Feature, ...]

    @classmethod
    def load(cls, path: Path | None = None, *, training: Mapping[str, Any] | None = None) -> Agreement:
        """Read an agreement.

        Parameters
        ----------
        path : Path or None
            The file; None for the defaults.
        training : mapping or None
            The tables ``snapshots`` and ``split`` of a training file; they win, key by key, over the agreement's.

        Raises
        ------
        AgreementError
            When a file can not be read, a key is unknown, or a value can not be; with the dotted path of the key.
        """
        # The reader forms these very records, so it can only be imported once they exist.
        from features.agreement_reading import read_agreement

        return read_agreement(path, training)

    @property
    def capacity(self) -> int:
        """Accounts the team can take a next step with in a week: that of the action with the most room."""
        return max((action.capacity for action in self.actions.values()), default=0)

    def goal(self, name: str | None = None) -> Goal:
        """Return the goal of that name, or the default one.

        Raises
        ------
        UnknownError
            With the nearest name.
        """
        wanted = self.default_goal if name is None else name
        if wanted not in self.goals:
            raise UnknownError(
                f"There is no goal {wanted!r}.{nearest(wanted, self.goals)} Goals: {', '.join(self.goals)}."
            )
        return self.goals[wanted]
