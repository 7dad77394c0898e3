"""Read a TOML table key by key: typed, checked, and with the dotted path of whatever is wrong.

A reader takes every key it knows from a `Section` and then calls `Section.close`, which refuses the rest. So a
misspelt key is never silently ignored, and nobody lists the allowed keys twice.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from features.errors import AgreementError, nearest

_MISSING: Any = object()
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Section:
    """One table of a TOML file that is being read.

    Parameters
    ----------
    content : dict
        The table as `tomllib` gives it.
    path : str, default=""
        Dotted path of the table, for messages; empty for the top level.
    """

    def __init__(self, content: dict[str, Any], path: str = "") -> None:
        self.path = path
        self._content = content
        self._asked: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def name(self, key: str) -> str:
        """Return the dotted path of a key of this table."""
        return f"{self.path}.{key}" if self.path else key

    def text(self, key: str, default: str = _MISSING, *, choices: Collection[str] = ()) -> str:
        """Return a text, one of `choices` where these are given."""
        value = self._take(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "must be a text", value)
        if choices and value not in choices:
            raise self.wrong(key, f"must be one of {', '.join(choices)}", value, near=choices)
        return value

    def value(self, key: str, default: Any = _MISSING) -> Any:
        """Return a value of whatever type, for keys whose form depends on other keys."""
        return self._take(key, default)

    def texts(
        self, key: str, default: tuple[str, ...] = _MISSING, *, choices: Collection[str] = (), least: int = 1
    ) -> tuple[str, ...]:
        """Return a list of different texts, at least `least`; a single text counts as a list of one."""
        value = self._take(key, default)
        values = [value] if isinstance(value, str) else value
        is_list = isinstance(values, list | tuple) and all(isinstance(item, str) for item in values)
        if not is_list or len(values) < least:
            raise self.wrong(key, "must be a list of texts", value)
        for at, item in enumerate(values):
            if choices and item not in choices:
                raise self.wrong(key, f"may only name {', '.join(choices)}", item, near=choices)
            if item in values[:at]:
                raise self.wrong(key, "may name each only once", item)
        return tuple(values)

    def whole(self, key: str, default: int = _MISSING, *, least: int = 1) -> int:
        """Return a whole number of at least `least`."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.wrong(key, f"must be a whole number of at least {least}", value)
        return value

    def number(self, key: str, default: float = _MISSING, *, above: float | None = None) -> float:
        """Return a finite number, greater than `above` where that is given."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise self.wrong(key, "must be a number", value)
        if above is not None and not value > above:
            raise self.wrong(key, f"must be greater than {above:g}", value)
        return float(value)

    def day(self, key: str) -> dt.date | None:
        """Return a date, or None when the key is absent."""
        value = self._take(key, None)
        if value is not None and (not isinstance(value, dt.date) or isinstance(value, dt.datetime)):
            raise self.wrong(key, "must be a date such as 2026-01-31, without quotes", value)
        return value

    def section(self, key: str) -> Section:
        """Return the table below this key; an empty one when the key is absent."""
        value = self._take(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table", value)
        return Section(value, self.name(key))

    def named(self) -> list[tuple[str, Section]]:
        """Return the tables below keys that nobody has asked for, which are names of the users' own."""
        pairs = [(name, self.section(name)) for name in self.unread()]
        for name, _ in pairs:
            if not _NAME.fullmatch(name):
                raise AgreementError(
                    f"`{self.name(name)}` is not a usable name: write lower-case letters, digits and underscores,"
                    " a letter first."
                )
        return pairs

    def unread(self) -> tuple[str, ...]:
        """Return the keys that nobody has asked for yet."""
        return tuple(key for key in self._content if key not in self._asked)

    def close(self) -> None:
        """Refuse the keys that nobody asked for.

        Raises
        ------
        AgreementError
            Naming the first one and the nearest key that would have been read.
        """
        for key in self.unread():
            near = nearest(key, self._asked)
            raise AgreementError(f"Unknown key `{self.name(key)}`.{near} Allowed: {', '.join(self._asked)}.")

    def wrong(self, key: str, demand: str, value: object, *, near: Collection[str] = ()) -> AgreementError:
        """Return the error that says what a key must be and what it is."""
        shown = str(value) if isinstance(value, dt.date) else repr(value)
        suggestion = nearest(value, near) if isinstance(value, str) else ""
        return AgreementError(f"`{self.name(key)}` {demand}. Got {shown} instead.{suggestion}")

    def _take(self, key: str, default: Any) -> Any:
        self._asked[key] = None
        if key in self._content:
            return self._content[key]
        if default is _MISSING:
            near = nearest(key, self.unread())
            raise AgreementError(
                f"`{self.name(key)}` is missing." + (f" Is it the misspelt one?{near}" if near else "")
            )
        return default


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    AgreementError
        When the file can not be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AgreementError(f"{str(path)!r} can not be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise AgreementError(f"{str(path)!r} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise AgreementError(f"{str(path)!r} is not TOML: {error}.") from error
