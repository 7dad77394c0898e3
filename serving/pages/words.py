"""What pages say, in the language of the reader: sentences by gettext, numbers, money and dates by locale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from types import MappingProxyType

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_compact_currency, format_currency, format_decimal, format_percent

from features.agreement import Goal
from features.stage_names import stage_name
from features.touch_types import TouchType
from serving.language import Language

DOMAIN = "pages"
FOLDER = Path(__file__).parent / "locale"


def N_(message: str) -> str:
    """Mark a message for the catalogues; it is translated where it is shown."""
    return message


KINDS = MappingProxyType({"new": N_("new business"), "expansion": N_("expansion"), "renewal": N_("renewal")})
ROLES = MappingProxyType(
    {
        "decision_maker": N_("Decision maker"), "champion": N_("Champion"), "influencer": N_("Influencer"),
        "user": N_("User"), "procurement": N_("Procurement"), "finance": N_("Finance"), "unknown": N_("Role unknown"),
    }
)  # fmt: skip
DIRECTIONS = MappingProxyType(
    {
        "inbound": N_("the account acted"), "outbound": N_("we acted"),
        "internal": N_("internal"), "signal": N_("heard elsewhere"),
    }
)  # fmt: skip
CHANNELS = (
    N_("Direct"), N_("Cross-network"), N_("Paid Shopping"), N_("Paid Search"), N_("Paid Social"), N_("Paid Video"),
    N_("Display"), N_("Paid Other"), N_("Organic Shopping"), N_("Organic Social"), N_("Organic Video"),
    N_("Organic Search"), N_("Email"), N_("Affiliates"), N_("Referral"), N_("Audio"), N_("SMS"),
    N_("Mobile Push"), N_("Unassigned"), N_("Event"), N_("Webinar"), N_("Content Syndication"), N_("Partner"),
    N_("Review Site"), N_("Outbound Sales"), N_("AI Assistant"), N_("Offline"), N_("Back Office"), N_("Product"),
)  # fmt: skip
"""Channel groups that have a translation; any other is shown by its own name."""

DEGRADED = MappingProxyType(
    {
        "no_model": N_("There is no model for this goal yet."),
        "bundle_refused": N_("A newer model could not be used; the one before it answers."),
        "catalogue_changed": N_("A newer model was trained on other definitions; the one before it answers."),
        "goal_changed": N_("A newer model was trained for another definition of the goal; the one before it answers."),
        "not_recorded": N_("This answer could not be recorded."),
    }
)

_CERTAIN = 0.995
_COMPACT_FROM = MappingProxyType({"en": 1_000, "zh": 10_000})
"""Amounts from which the language has a short form."""

_GOALS = MappingProxyType(
    {
        "deal": N_("Deal within %(days)d days"),
        "won": N_("Won within %(days)d days"),
        "expansion": N_("Expanded within %(days)d days"),
        "renewal": N_("Renewed within %(days)d days"),
    }
)
_STEPS = MappingProxyType(
    {
        "deal": N_("reach Deal"),
        "won": N_("reach Won"),
        "expansion": N_("expand"),
        "renewal": N_("renew"),
    }
)


class Words:
    """One language: its sentences and its way to write numbers and dates.

    Parameters
    ----------
    language : {"en", "zh"}
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self.locale = Locale.parse({"en": "en", "zh": "zh_Hans_CN"}[language])
        self.translations = _translations(language)
        self.gettext = self.translations.gettext
        self.ngettext = self.translations.ngettext

    @property
    def tag(self) -> str:
        """Language tag of the document."""
        return {"en": "en", "zh": "zh-CN"}[self.language]

    def number(self, value: float, digits: int = 0) -> str:
        """Write a number with so many decimals."""
        return str(format_decimal(value, format=f"#,##0.{'0' * digits}" if digits else "#,##0", locale=self.locale))

    def percent(self, share: float, digits: int = 1) -> str:
        """Write a share in [0, 1] as per cent."""
        return str(format_percent(share, format=f"#,##0.{'0' * digits}%" if digits else "#,##0%", locale=self.locale))

    def points(self, points: float, digits: int = 1) -> str:
        """Write percentage points with their sign."""
        sign = "+" if points >= 0 else "\N{MINUS SIGN}"
        return f"{sign}{self.number(abs(points), digits)}"

    def money(self, amount: float, currency: str) -> str:
        """Write an amount in units of its currency, without the decimals nobody reads."""
        return str(format_currency(amount, currency, "¤#,##0", locale=self.locale, currency_digits=False))

    def short_money(self, amount: float, currency: str) -> str:
        """Write an amount in units of its currency in few characters: €12.3K."""
        if abs(amount) < _COMPACT_FROM[self.language]:
            return self.money(amount, currency)  # in a locale without a short form babel would write every decimal
        return str(format_compact_currency(amount, currency, locale=self.locale, fraction_digits=1))

    def touch(self, touch_type: TouchType | None, name: str) -> str:
        """Name a touch type; one that is no longer declared, by its own name."""
        return touch_type.zh if touch_type is not None and self.language == "zh" else name.replace("_", " ")

    def day(self, micros: int) -> str:
        """Write the day of a moment, UTC."""
        return str(format_date(_utc(micros), "medium", locale=self.locale))

    def moment(self, micros: int) -> str:
        """Write a moment to the minute, UTC."""
        pattern = {"en": "d MMM y, HH:mm 'UTC'", "zh": "y年M月d日 HH:mm 'UTC'"}[self.language]
        return str(format_datetime(_utc(micros), pattern, locale=self.locale))

    def goal(self, goal: Goal) -> str:
        """Name a goal: Won within 90 days."""
        message = _GOALS.get(_step(goal), N_("%(stage)s within %(days)d days"))
        named = self.gettext(message) % {"stage": self.stage(goal.reach), "days": goal.within_days}
        return named if goal.kind in {"new", _step(goal)} else f"{named} ({self.kind(goal.kind)})"

    def odds(self, probability: float, goal: Goal) -> str:
        """Say what a probability means, as a count of like accounts: about 8 of 10 reach Won within 90 days."""
        of = 10 if 0.095 <= probability <= 0.905 else 100
        message = N_("About %(count)d of %(of)d such accounts %(step)s within %(days)d days.")
        if probability < 1 - _CERTAIN:
            message = N_("Fewer than 1 of 100 such accounts %(step)s within %(days)d days.")
        elif probability > _CERTAIN:
            message = N_("More than 99 of 100 such accounts %(step)s within %(days)d days.")
        return self.gettext(message) % {
            "count": math.floor(of * probability + 0.5),
            "of": of,
            "step": self.step(goal),
            "days": goal.within_days,
        }

    def step(self, goal: Goal) -> str:
        """Say what an account does that reaches a goal: reach Won, renew."""
        message = _STEPS.get(_step(goal), N_("reach %(stage)s"))
        return self.gettext(message) % {"stage": self.stage(goal.reach)}

    def stage(self, stage: str | None) -> str:
        """Name a stage."""
        return stage_name(stage, self.language) if stage else ""

    def kind(self, kind: str) -> str:
        """Name a kind of business."""
        return self.named(KINDS, kind)

    def role(self, role: str | None) -> str:
        """Name a role in the buying group."""
        return self.named(ROLES, role or "unknown")

    def direction(self, direction: str | None) -> str:
        """Say who acted."""
        return self.named(DIRECTIONS, direction)

    def term(self, name: str | None) -> str:
        """Name what has a translation under its own name: a channel, a behaviour; else the name itself."""
        return self.gettext(name) if name else ""

    def named(self, names: Mapping[str, str], name: str | None) -> str:
        """Translate what `names` has under a name; one of the user's own is shown as it is."""
        if not name:
            return ""
        return self.gettext(names[name]) if name in names else name.replace("_", " ")


@cache
def words(language: Language) -> Words:
    """Return the words of a language; its catalogue is read once."""
    return Words(language)


def _step(goal: Goal) -> str:
    """Return what stands for a goal in the tables of its names: to win again is to renew or to expand."""
    return goal.kind if goal.reach == "won" and goal.kind in _STEPS else goal.reach


def _translations(language: Language) -> NullTranslations:
    if language == "en":
        return NullTranslations()
    with (FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
        return GNUTranslations(file)


def _utc(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)
