"""One incoming value of each type: checked, and turned into what the ledger keeps.

Every check takes the field as the sender spells it and the value, and returns the typed value or raises `RowError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson

from features.errors import RowError, nearest

Check = Callable[[str, object], object]
"""A check: field in the sender's spelling and value in, typed value out."""

MAX_TEXT = 1_000
"""Longest text of a column, in characters."""

MAX_JSON = 32_768
"""Longest JSON of a column, in bytes of its canonical form."""

MAX_DEPTH = 10
"""Deepest nesting of a JSON column."""

MAX_INTEGER = 2**53 - 1
"""Largest whole number that every JSON reader keeps exactly."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = -2_208_988_800_000_000  # 1900-01-01
_LATEST = 7_258_118_400_000_000  # 2200-01-01
_SECONDS_LOOK = 100_000_000_000  # as milliseconds still March 1973: nobody's touchpoint, but today's date in seconds
_SHOWN = 60
_EMAIL = re.compile(r"[^\s@<>\"',;:()\[\]{}]+@[^\s@<>\"',;:()\[\]{}]+")


def text(field: str, value: object) -> str | None:
    """Return text without surrounding white space, or None when nothing is left of it."""
    if type(value) is not str:
        raise RowError(field, "type", f"`{field}` must be text. Got {shown(value)} instead.", value=value)
    if len(value) > MAX_TEXT:
        message = f"`{field}` must have at most {MAX_TEXT:,} characters. Got {len(value):,} instead."
        raise RowError(field, "length", message, value=value)
    if not value.isascii():
        _storable(field, value)
    elif "\x00" in value:
        raise RowError(field, "type", f"`{field}` must not contain the character NUL.", value=value)
    return value.strip() or None


def choice(allowed: tuple[str, ...], hints: dict[str, str] | None = None) -> Check:
    """Return a check that a value is one of `allowed`; `hints` explain values that people try instead."""
    known = frozenset(allowed)
    listed = ", ".join(allowed)

    def check(field: str, value: object) -> object:
        if type(value) is str and value in known:
            return value
        hint = (hints or {}).get(value, "") if isinstance(value, str) else ""
        hint = hint or (nearest(value, allowed) if isinstance(value, str) else "")
        message = f"`{field}` must be one of {listed}. Got {shown(value)} instead.{hint}"
        raise RowError(field, "choice", message, value=value)

    return check


def integer(field: str, value: object) -> int:
    """Return a whole number that fits in every reader's integers."""
    if type(value) is not int or abs(value) > MAX_INTEGER:
        message = f"`{field}` must be a whole number of at most {MAX_INTEGER:,}. Got {shown(value)} instead."
        raise RowError(field, "type", message, value=value)
    return value


def revision(field: str, value: object) -> int:
    """Return the number of a version, from 1."""
    if type(value) is not int or not 1 <= value <= MAX_INTEGER:
        message = f"`{field}` must be a whole number from 1. Got {shown(value)} instead."
        raise RowError(field, "type", message, value=value)
    return value


def number(field: str, value: object) -> float:
    """Return a finite number."""
    if (type(value) is int and abs(value) <= MAX_INTEGER) or (type(value) is float and math.isfinite(value)):
        return float(value)
    raise RowError(field, "type", f"`{field}` must be a finite number. Got {shown(value)} instead.", value=value)


def flag(field: str, value: object) -> bool:
    """Return true or false."""
    if type(value) is not bool:
        raise RowError(field, "type", f"`{field}` must be true or false. Got {shown(value)} instead.", value=value)
    return value


def money(field: str, value: object) -> int:
    """Return an amount in minor units of its currency."""
    if type(value) is int and abs(value) <= MAX_INTEGER:
        return value
    message = (
        f"`{field}` must be a whole number of minor units, 1999 for 19.99 EUR, and at most {MAX_INTEGER:,}."
        f" Got {shown(value)} instead."
    )
    raise RowError(field, "money", message, value=value)


def currency(field: str, value: object) -> str:
    """Return an ISO 4217 code."""
    if type(value) is str and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper():
        return value
    message = f"`{field}` must be an ISO 4217 code of three capital letters, as EUR. Got {shown(value)} instead."
    raise RowError(field, "money", message, value=value)


def json_object(field: str, value: object) -> str | None:
    """Return the canonical text (sorted keys, no spaces) of a JSON object, or None for an empty one."""
    if type(value) is str:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise RowError(field, "type", f"`{field}` must be a JSON object. Got other text instead.") from None
    if type(value) is not dict:
        raise RowError(field, "type", f"`{field}` must be a JSON object. Got {shown(value)} instead.", value=value)
    if not value:
        return None
    if _deeper(value, MAX_DEPTH):
        raise RowError(field, "length", f"`{field}` must be nested at most {MAX_DEPTH} deep.")
    try:
        written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError) as error:  # whole numbers beyond 64 bits, lone surrogates, dates from Python
        raise RowError(field, "type", f"`{field}` can not be written as JSON: {error}.") from None
    if len(written) > MAX_JSON:
        message = f"`{field}` must have at most {MAX_JSON:,} bytes as JSON. Got {len(written):,} instead."
        raise RowError(field, "length", message)
    return written.decode()


def time_from_micros(field: str, value: object) -> int:
    """Return UTC microseconds from whole microseconds, an aware datetime, or RFC 3339 text."""
    if type(value) is int:
        return _bounded(field, value, value)
    return _time(field, value, "a time with its offset, as 2026-11-21T09:00:00Z, or whole microseconds since 1970")


def time_from_millis(field: str, value: object) -> int:
    """Return UTC microseconds from whole milliseconds since 1970 or RFC 3339 text: what the HTTP interface takes."""
    if type(value) is int:
        if 0 < value < _SECONDS_LOOK:
            message = f"`{field}` as a number is in milliseconds since 1970. Got {value}, which looks like seconds."
            raise RowError(field, "time", message, value=value)
        return _bounded(field, value * 1_000, value)
    return _time(field, value, "a time with its offset, as 2026-11-21T09:00:00Z, or whole milliseconds since 1970")


def micros(moment: datetime) -> int:
    """Return UTC microseconds of an aware datetime, exactly."""
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def written_time(moment: object) -> str:
    """Return UTC microseconds as people read them.

    Examples
    --------
    >>> written_time(1_795_867_200_000_000)
    '2026-11-28T12:00:00Z'
    """
    return (_EPOCH + timedelta(microseconds=int(str(moment)))).isoformat().replace("+00:00", "Z")


def as_text(value: object) -> str | None:
    """Return a scalar of a file or of JSON as the text of an attribute; None stays None.

    Examples
    --------
    >>> as_text(250.0), as_text(True), as_text("nl")
    ('250', 'true', 'nl')
    """
    if value is None or type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is float and value.is_integer() and abs(value) <= MAX_INTEGER:
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime) else str(value)


def shown(value: object) -> str:
    """Return a value as a message may show it: short, and never an e-mail address."""
    written = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    if "@" in written:
        return "a text with '@' (not shown)"
    return written if len(written) <= _SHOWN else written[: _SHOWN - 3] + "..."


def replace_emails(value: str, replacement: Callable[[str], str]) -> str:
    """Return the text with every e-mail address replaced by what `replacement` makes of it."""
    return _EMAIL.sub(lambda found: replacement(found.group()), value) if "@" in value else value


def _time(field: str, value: object, allowed: str) -> int:
    moment: datetime | None = None
    if type(value) is str:
        if len(value) >= 19 and value[4] == value[7] == "-" and value[13] == value[16] == ":":
            try:
                moment = datetime.fromisoformat(value if value[-1] != "z" else value[:-1] + "Z")
            except ValueError:
                moment = None
    elif isinstance(value, datetime):
        moment = value
    if moment is None:
        raise RowError(field, "time", f"`{field}` must be {allowed}. Got {shown(value)} instead.", value=value)
    if moment.tzinfo is None:
        got = shown(str(value))
        message = f"`{field}` must say its offset from UTC, as in 2026-11-21T09:00:00Z. Got {got} instead."
        raise RowError(field, "time", message, value=value)
    return _bounded(field, micros(moment), value)


def _bounded(field: str, moment: int, value: object) -> int:
    if _EARLIEST <= moment < _LATEST:
        return moment
    message = f"`{field}` must lie between the years 1900 and 2200. Got {shown(value)} instead."
    raise RowError(field, "time", message, value=value)


def _storable(field: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowError(field, "type", f"`{field}` must be valid Unicode. It holds half of a surrogate pair.") from None
    if "\x00" in value:
        raise RowError(field, "type", f"`{field}` must not contain the character NUL.")


def _deeper(value: object, depth: int) -> bool:
    """Tell whether objects and lists are nested more than `depth` deep."""
    if not isinstance(value, dict | list):
        return False
    if depth == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_deeper(item, depth - 1) for item in inner)
