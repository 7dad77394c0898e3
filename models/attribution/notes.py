"""What a reader of an analysis must know, in words: what was left out, what could not be computed, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NOTES: Mapping[str, str] = MappingProxyType(
    {
        "nothing_converted": "Nothing reached this step in this time, so there is nothing to credit.",
        "one_player": "All touches have the same value, %(name)s: there is nothing to compare it with.",
        "many_players": (
            "There are %(count)s different values; the %(shown)s with the most credit are shown one by one, the "
            "others together."
        ),
        "no_levers": (
            "No touch of these journeys is a lever, so nothing can be said about what our acting added. The "
            "agreement names the levers."
        ),
        "few_conversions": (
            "The incremental model needs at least %(needed)s conversions. There are %(count)s, so it says nothing."
        ),
        "by_stage": (
            "Levers may follow the stages that accounts reach. So the incremental model takes each passage by itself: "
            "to %(stages)s."
        ),
        "no_nulls": (
            "Every journey that has ended converted: models that compare with those that did not can not tell "
            "one channel from another."
        ),
        "model_failed": "The model %(model)s could not be fitted: %(reason)s",
        "no_confounders": (
            "Nothing is known about the accounts from before we acted, so the incremental model adjusts for "
            "nothing: a channel that goes where buyers are looks better than it is."
        ),
        "censored": (
            "%(count)s journeys were still open when last seen. The incremental model uses the time they were "
            "seen; the other models leave them out."
        ),
        "assumed_times": (
            "%(share)s of the touches carry the time they happened as the time they became known: what was "
            "entered later is not told apart."
        ),
        "currencies": "Amounts are in %(currencies)s, and there is no rate between them: revenue stays apart.",
        "no_revenue": (
            "No amount is known for %(count)s of the %(total)s that converted: revenue is at least what is shown."
        ),
        "few_draws": "Intervals rest on %(accounts)s accounts that converted. They are wide, and rough.",
        "narrow_rates": (
            "Intervals of the Shapley value of the conversion rate are too narrow below about a thousand conversions: "
            "with 60 to 80, those that should hold nine times out of ten held seven to eight times. Here there are "
            "%(count)s."
        ),
        "unknown_channel": (
            "The agreement names the channel %(channel)s in attribution.%(key)s, but no touch and no cost is of it."
        ),
        "misspelt_channel": (
            "The agreement names the channel %(channel)s in attribution.%(key)s, but no touch and no cost is of it. "
            "Is %(meant)s meant?"
        ),
        "unused_tests": "The lift tests are not used: only the incremental model can be brought in line with them.",
        "not_falsified": "The check %(kind)s of %(channel)s could not be made: %(reason)s",
        "part": (
            "Models learn from all journeys and by channel. Of a part of the time, or by another column, their "
            "intervals tell how much the credit depends on single accounts, not how uncertain the models are."
        ),
    }
)
"""A text per code; ``%(name)s`` stands for a value."""


@dataclass(frozen=True)
class Note:
    """One of `NOTES`, with its values."""

    code: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The note in English."""
        return NOTES[self.code] % self.values
