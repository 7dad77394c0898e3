"""The small algebra in which features are declared.

An expression says what is counted, over which relation, with which filter and window; it says nothing of how. Both
evaluators (`features.offline`, `features.online`) read the same expressions and give the same numbers.

A *relation* is a set of rows of one account, each valid from a moment until another; as of ``t`` an expression sees the
rows with ``valid_from <= t < valid_until``. A *window* of ``w`` days further keeps those with
``t - w < occurred_at <= t``. Touches are never looked back at for longer than `LOOKBACK_DAYS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from features.errors import AgreementError, nearest

LOOKBACK_DAYS = 365
"""How far back touches count, in days: the window of decays, and the widest window allowed on touches."""

RELATIONS = MappingProxyType(
    {
        "touches": {
            "text": (
                "source", "event_id", "contact_id", "channel", "campaign", "content", "product", "touch_type",
                "content_stage", "direction", "actor_id", "role", "reply_to", "currency",
            ),
            "number": ("cost", "satisfaction", "nps"),
            "time": ("occurred_at",),
        },
        "deals": {
            "text": ("deal_id", "cycle_id", "kind", "product", "outcome", "loss_reason", "owner_id"),
            "number": ("amount",),
            "time": ("occurred_at", "opened_at"),
        },
        "stages": {
            "text": ("kind", "cycle_id", "stage"),
            "number": ("rank", "regressions", "cycles", "is_open"),
            "time": ("occurred_at", "opened_at"),
        },
        "attributes": {"text": ("field", "value"), "number": ("number",), "time": ("occurred_at",)},
        "members": {"text": ("contact_id", "role"), "number": (), "time": ("occurred_at",)},
    }
)  # fmt: skip
"""Columns of every relation by type. `amount` is in units of the reporting currency; `stages` has one row per kind of
business at a time, that of the furthest cycle; `attributes` holds the account's own facts, `number` being its value
where that reads as a number; `members` are the people employed by the account."""

RelationName = Literal["touches", "deals", "stages", "attributes", "members"]


@dataclass(frozen=True)
class Where:
    """A filter: every named column has one of its values.

    Parameters
    ----------
    terms : tuple of (str, tuple of str)
        Columns in alphabetical order, each with its allowed values.
    """

    terms: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Names of the columns the filter reads."""
        return tuple(name for name, _ in self.terms)


def where(**columns: str | tuple[str, ...]) -> Where:
    """Return the filter that keeps rows whose columns have the given values.

    Examples
    --------
    >>> where(direction="inbound", channel=("Email", "Direct")).terms
    (('channel', ('Email', 'Direct')), ('direction', ('inbound',)))
    """
    return Where(
        tuple((name, (value,) if isinstance(value, str) else tuple(value)) for name, value in sorted(columns.items()))
    )


EVERYTHING = Where()


@dataclass(frozen=True)
class Count:
    """Number of rows; 0 when there are none."""

    of: RelationName
    where: Where = EVERYTHING
    days: int | None = None


@dataclass(frozen=True)
class Sum:
    """Sum of a number column over rows where it is given; 0 when there are none."""

    of: RelationName
    column: str
    where: Where = EVERYTHING
    days: int | None = None


@dataclass(frozen=True)
class Mean:
    """Mean of a number column over rows where it is given; missing when there are none."""

    of: RelationName
    column: str
    where: Where = EVERYTHING
    days: int | None = None


@dataclass(frozen=True)
class Distinct:
    """Number of different non-missing values of a text column; 0 when there are none."""

    of: RelationName
    column: str
    where: Where = EVERYTHING
    days: int | None = None


@dataclass(frozen=True)
class TopShare:
    """Share of the most frequent non-missing value of a text column, in (0, 1]; missing when there are none."""

    of: RelationName
    column: str
    where: Where = EVERYTHING
    days: int | None = None


@dataclass(frozen=True)
class Decayed:
    """Sum over touches of ``2 ** (-age / half_life)``, ages in days, within `LOOKBACK_DAYS`."""

    half_life_days: float
    where: Where = EVERYTHING
    of: Literal["touches"] = "touches"


@dataclass(frozen=True)
class Recency:
    """Days from the latest `at` among the rows to ``as_of``; missing when there are none."""

    of: RelationName
    where: Where = EVERYTHING
    at: str = "occurred_at"
    days: int | None = None


@dataclass(frozen=True)
class Latest:
    """Value of a column in the latest row, by (occurred_at, the row's own id); missing when there are none."""

    of: RelationName
    column: str
    where: Where = EVERYTHING


@dataclass(frozen=True)
class Gap:
    """Mean hours from a touch to the first visible touch that answers it, over answered touches; else missing.

    A touch answers another of the same account when its `reply_to` is that one's `event_id`. The window and the filter
    apply to the touch that is answered; an answer dated before its question counts as no time at all.
    """

    where: Where = EVERYTHING
    days: int = LOOKBACK_DAYS
    of: Literal["touches"] = "touches"


@dataclass(frozen=True)
class Waiting:
    """Days since the oldest touch that no visible touch answers; missing when none is waiting.

    Answers, window and filter are those of `Gap`.
    """

    where: Where = EVERYTHING
    days: int = LOOKBACK_DAYS
    of: Literal["touches"] = "touches"


@dataclass(frozen=True)
class Cadence:
    """Median days between consecutive `at` of the rows; missing with fewer than two rows."""

    of: RelationName
    where: Where = EVERYTHING
    at: str = "occurred_at"


@dataclass(frozen=True)
class Ratio:
    """One number divided by another, times `scale`; missing when the divisor is 0 or either is missing."""

    numerator: Atom
    denominator: Atom
    scale: float = 1.0


Atom = Count | Sum | Mean | Distinct | TopShare | Decayed | Recency | Latest | Gap | Waiting | Cadence
Expression = Atom | Ratio


def atoms(expression: Expression) -> tuple[Atom, ...]:
    """Return the parts of an expression that read a relation: itself, or the two sides of a ratio."""
    return (expression.numerator, expression.denominator) if isinstance(expression, Ratio) else (expression,)


def window_days(atom: Atom) -> float | None:
    """Return the look-back of an atom in days, or None when it has no limit.

    Atoms over touches always have one: `LOOKBACK_DAYS` when none is declared.
    """
    days = getattr(atom, "days", None)
    return LOOKBACK_DAYS if days is None and atom.of == "touches" else days


def check(expression: Expression, *, name: str) -> None:
    """Refuse an expression that reads a column its relation does not have, a window that can not be, or mixed money.

    Parameters
    ----------
    expression : Expression
    name : str
        Name of the feature, for the message.

    Raises
    ------
    AgreementError
        With the column, window or filter at fault and what is allowed.
    """
    for atom in atoms(expression):
        columns = RELATIONS[atom.of]
        _known(name, atom.of, atom.where.columns(), columns["text"], "text")
        if isinstance(atom, Sum | Mean):
            _known(name, atom.of, (atom.column,), columns["number"], "number")
            _one_currency(name, atom)
        elif isinstance(atom, Distinct | TopShare):
            _known(name, atom.of, (atom.column,), columns["text"], "text")
        elif isinstance(atom, Latest):
            _known(name, atom.of, (atom.column,), columns["text"] + columns["number"], "text or number")
        elif isinstance(atom, Recency | Cadence):
            _known(name, atom.of, (atom.at,), columns["time"], "time")
        days = atom.half_life_days if isinstance(atom, Decayed) else window_days(atom)
        if days is not None and days <= 0:
            raise AgreementError(
                f"Feature {name!r}: a window or half-life must be a positive number of days. Got {days}."
            )
        if atom.of == "touches" and not isinstance(atom, Decayed) and days is not None and days > LOOKBACK_DAYS:
            raise AgreementError(
                f"Feature {name!r}: touches are looked back at for {LOOKBACK_DAYS} days at most. Got {days}."
            )


def _one_currency(name: str, atom: Sum | Mean) -> None:
    """Refuse a sum or mean over several currencies; amounts of deals are converted, costs of touches are not."""
    if (atom.of, atom.column) != ("touches", "cost"):
        return
    currencies = dict(atom.where.terms).get("currency", ())
    if len(currencies) != 1:
        got = ", ".join(currencies) if currencies else "none"
        raise AgreementError(
            f"Feature {name!r}: costs of touches keep their own currency and are never added across currencies."
            f' Its filter must name exactly one, as where = {{ currency = "EUR" }}. Got {got}.'
        )


def _known(name: str, relation: str, used: tuple[str, ...], allowed: tuple[str, ...], kind: str) -> None:
    for column in used:
        if column not in allowed:
            raise AgreementError(
                f"Feature {name!r}: {relation} has no {kind} column {column!r}."
                f"{nearest(column, allowed)} Allowed: {', '.join(allowed)}."
            )
