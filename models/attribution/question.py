"""What is asked of an analysis of attribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from features.agreement import BOUGHT_AGAIN, Agreement, Attribution
from features.errors import RowError, UnknownError, nearest
from features.schema import FOREVER
from models.attribution.rules import rules

if TYPE_CHECKING:
    # The service asks questions and leaves the answers, and scipy's sparse matrices, to a child.
    from models.attribution.incremental import LiftTest

COLUMNS = (
    "channel", "campaign", "content", "product", "actor_id", "team", "contact_id", "source", "touch_type", "direction",
)  # fmt: skip
"""What credit can be shown by."""


INCREMENTAL, BY_STAGE = "incremental", "incremental_by_stage"
"""The response model, of the whole way or of each passage by itself."""
LEARNT = (
    *(f"markov_{order}{paths}" for order in (1, 2, 3) for paths in ("", "_paths")),
    "shapley_sets", "shapley_rate", INCREMENTAL, BY_STAGE,
)  # fmt: skip
"""Models that learn from journeys, beside the rules."""


@dataclass(frozen=True)
class Question:
    """Which conversions are credited, to what, by which models.

    Parameters
    ----------
    transition : str, default="won"
        A stage of the agreement, ``renewed`` or ``expanded``.
    by : str, default="channel"
        One of `COLUMNS`: whose share is shown.
    models : tuple of str, default=()
        Names of models; empty for all, of the two incremental ones the one that suits the way.
    from_, to : int or None
        Conversions from the first moment on and before the second, in microseconds; None for no limit.
    lookback_days : int or None
        How long before the conversion touches count; None for what the agreement says.
    seed : int, default=0
        Of everything that is drawn.
    draws : int, default=200
        Draws of the accounts that intervals rest on.
    teams : mapping of str to str
        Team of our people, by actor_id; needed for ``by="team"``.
    lift_tests : tuple of LiftTest
        Experiments that the effects of the levers are brought in line with.
    is_falsified : bool, default=False
        Whether attempts are made to prove the incremental model wrong, on each lever: a placebo and a time shift.
    """

    transition: str = "won"
    by: str = "channel"
    models: tuple[str, ...] = ()
    from_: int | None = None
    to: int | None = None
    lookback_days: int | None = None
    seed: int = 0
    draws: int = 200
    teams: Mapping[str, str] = field(default_factory=dict)
    lift_tests: tuple[LiftTest, ...] = ()
    is_falsified: bool = False

    @property
    def kind(self) -> str:
        """Kind of the cycles that are meant."""
        return BOUGHT_AGAIN.get(self.transition, "new")

    @property
    def is_about_deals(self) -> bool:
        """Whether to convert is to win a deal."""
        return self.transition == "won" or self.transition in BOUGHT_AGAIN

    @property
    def is_whole(self) -> bool:
        """Whether all conversions are meant."""
        return self.from_ is None and self.to is None

    @property
    def window(self) -> tuple[int, int]:
        """Conversions from the first moment on and before the second."""
        return -FOREVER if self.from_ is None else self.from_, FOREVER if self.to is None else self.to

    def check(self, agreement: Agreement) -> None:
        """Refuse what the agreement does not know.

        Raises
        ------
        UnknownError
            With the nearest name.
        RowError
            When the time of the conversions does not end after it starts.
        """
        if self.window[0] >= self.window[1]:
            raise RowError("to", "time", "`to` must be later than `from`: conversions at `to` itself are not meant.")
        _one_of("transition", self.transition, (*agreement.stages.order, *BOUGHT_AGAIN))
        _one_of("column", self.by, COLUMNS)
        for name in self.models:
            _one_of("model", name, model_names(agreement.attribution))


def model_names(told: Attribution) -> tuple[str, ...]:
    """Return the models there are: the rules, the agreement's own among them, and those that learn."""
    return (*rules(told), *LEARNT)


def _one_of(what: str, name: str, allowed: tuple[str, ...]) -> None:
    if name not in allowed:
        raise UnknownError(f"There is no {what} {name!r}.{nearest(name, allowed)} Allowed: {', '.join(allowed)}.")
