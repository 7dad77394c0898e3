"""A moment given on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import typer


def parse_moment(text: str, option: str) -> int:
    """Return a date or time as microseconds since the epoch; without an offset it is UTC.

    Parameters
    ----------
    text : str
        Such as ``2026-11-21`` or ``2026-11-21T09:00:00+01:00``.
    option : str
        The option it was given to, for the message.

    Raises
    ------
    typer.BadParameter
        When it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"must be a date or time such as 2026-11-21 or 2026-11-21T09:00:00Z. Got {text!r}.", param_hint=option
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # Whole seconds and microseconds apart: a float of microseconds would round.
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond
