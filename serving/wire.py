"""How names and moments are spelled in HTTP bodies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from features.intake.rows import camel_case

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999 in microseconds: what can be written again."""


def rfc3339(micros: int | None) -> str | None:
    """Return a moment in UTC as RFC 3339 text, with a fraction only where there is one.

    Examples
    --------
    >>> rfc3339(1_763_712_000_000_000)
    '2025-11-21T08:00:00Z'
    """
    if micros is None:
        return None
    return (_EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


def moment(value: object) -> int:
    """Read a moment a client sent: RFC 3339 text with an offset, or milliseconds since the epoch.

    Returns
    -------
    int
        Microseconds since the epoch.

    Raises
    ------
    ValueError
        When it is neither.
    """
    allowed = "a time must be RFC 3339 text with an offset, such as 2026-11-21T09:00:00Z, or milliseconds since 1970"
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded(value * 1000, allowed)
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError(allowed)
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(allowed) from None
    if read.tzinfo is None:
        raise ValueError(f"{allowed}; the offset is missing")
    return _bounded((read - _EPOCH) // _MICROSECOND, allowed)


def _bounded(micros: int, allowed: str) -> int:
    if not FIRST <= micros <= LAST:
        raise ValueError(f"{allowed}, within the years 1 to 9999 in UTC")
    return micros


Moment = Annotated[int, BeforeValidator(moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment in a request body; microseconds inside."""


class Wire(BaseModel):
    """A body of our own: lowerCamelCase outside, snake_case inside, nothing unknown."""

    model_config = ConfigDict(alias_generator=camel_case, validate_by_name=False, extra="forbid", frozen=True)
