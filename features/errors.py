"""Every error the project raises on purpose, in one tree.

::

    SmarketingError
    ├── AgreementError      (ValueError)   smarketing.toml, a training file or a setting is wrong
    ├── FieldMapError       (ValueError)   a field map does not fit the file it is meant for
    ├── RowError            (ValueError)   one incoming row breaks the data contract
    ├── FileError           (ValueError)   a file can not be read as what it claims to be
    ├── StoreError          (RuntimeError) the store can not be opened, read or written now
    ├── UnknownError        (LookupError)  an account, goal, feature or model that is not there
    ├── NotEnoughDataError  (ValueError)   too few outcomes to train or to measure
    └── BundleError         (RuntimeError) a model bundle is damaged, incomplete or of another format

The command line turns them into exit codes and the service into problem documents, each in one place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SmarketingError(Exception):
    """Root of the project's own errors.

    Parameters
    ----------
    message : str
        What was wrong, the value, and what is allowed.
    hint : str, default=""
        What to do next, shown on a line of its own.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class AgreementError(SmarketingError, ValueError):
    """The agreement, a training file or a setting can not be used as written."""


class FieldMapError(SmarketingError, ValueError):
    """A field map does not fit the file it is meant for, or contradicts itself."""


class FileError(SmarketingError, ValueError):
    """A file can not be read as what it claims to be."""


class StoreError(SmarketingError, RuntimeError):
    """The store can not be opened, read or written at this moment."""


class UnknownError(SmarketingError, LookupError):
    """Something was asked for by a name that does not exist."""


class NotEnoughDataError(SmarketingError, ValueError):
    """There are too few outcomes to train or to measure."""


class BundleError(SmarketingError, RuntimeError):
    """A model bundle is damaged, incomplete, or of a format this version does not read."""


class RowError(SmarketingError, ValueError):
    """One incoming row breaks the data contract.

    Parameters
    ----------
    field : str
        The column at fault, in the sender's spelling where it is known.
    code : str
        Stable machine-readable reason: ``required``, ``type``, ``time``, ``choice``, ``unknown_field``, ``future``,
        ``money``, ``length``, ``conflict``, ``forbidden``, ``identity``, ``unmatched`` (no rule of a map selects the
        row) or ``record`` (the row can not be read at all).
    message : str
        What was wrong, the value, and what is allowed.
    value : object, default=None
        The offending value; never logged, hashed before it is stored when it is personal.
    """

    def __init__(self, field: str, code: str, message: str, *, value: object = None) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message
        self.value = value


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest of `allowed`, or an empty string.

    Examples
    --------
    >>> nearest("chanel", ["channel", "campaign"])
    " Did you mean 'channel'?"
    >>> nearest("zzz", ["channel"])
    ''
    """
    found = closest(name, allowed)
    return f" Did you mean {found!r}?" if found else ""


def closest(name: str, allowed: Iterable[str]) -> str | None:
    """Return the closest of `allowed`; None when none is close."""
    lowered = {candidate.lower(): candidate for candidate in allowed}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None
