"""How times are written in a sender's file, and what moment they mean."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from features.errors import FieldMapError, RowError, nearest
from features.intake.values import MAX_INTEGER, micros, shown

EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
"""Time formats that are numbers since 1970: microseconds in one unit of each."""


@dataclass(frozen=True)
class TimeReading:
    """How times are written in a file.

    Parameters
    ----------
    zone : tzinfo or None
        Zone of times without an offset; None refuses them.
    format : str or None
        A `strptime` format, one of `EPOCHS`, or None for ISO 8601.
    """

    zone: ZoneInfo | timezone | None = None
    format: str | None = None

    def read(self, field: str, value: object) -> int | None:
        """Return UTC microseconds, or None for a missing value.

        Raises
        ------
        RowError
            When the value is not a time of this format, or has no offset and no zone is declared.
        """
        if value is None or value == "":
            return None
        if self.format in EPOCHS and not isinstance(value, date):
            return self._epoch(field, value, EPOCHS[self.format])
        if type(value) is str:
            try:
                moment = self._parsed(value.strip())
            except ValueError:
                raise self._wrong(field, value) from None
        elif isinstance(value, datetime):
            moment = value
        elif isinstance(value, date):
            moment = datetime.combine(value, time())
        else:
            raise self._wrong(field, value)
        if moment.tzinfo is None:
            if self.zone is None:
                message = (
                    f"`{field}` has no offset from UTC: {shown(str(value))}. Say its zone in the map, [time] zone."
                )
                raise RowError(field, "time", message, value=value)
            moment = moment.replace(tzinfo=self.zone)
        return micros(moment)

    def _parsed(self, value: str) -> datetime:
        if self.format is None:
            return datetime.fromisoformat(value)
        return datetime.strptime(value, self.format)  # noqa: DTZ007  # the zone is added, or asked for, by the caller

    def _epoch(self, field: str, value: object, unit: int) -> int:
        try:
            moment = Decimal(str(value)) * unit
            if not moment.is_finite() or abs(moment) > MAX_INTEGER:
                raise self._wrong(field, value)
            return int(moment)
        except InvalidOperation:
            raise self._wrong(field, value) from None

    def _wrong(self, field: str, value: object) -> RowError:
        wanted = f"a time written as {self.format}" if self.format else "a time as 2026-11-21T09:00:00+01:00"
        return RowError(field, "time", f"`{field}` must be {wanted}. Got {shown(value)} instead.", value=value)


def zone(name: str, where: str) -> ZoneInfo | timezone:
    """Return a time zone by its IANA name, or by a fixed offset as +08:00.

    Raises
    ------
    FieldMapError
        When there is no such zone.
    """
    if name[:1] in ("+", "-") and len(name) == 6 and name[3] == ":" and (name[1:3] + name[4:]).isdigit():
        offset = timedelta(hours=int(name[1:3]), minutes=int(name[4:]))
        if offset < timedelta(days=1):
            return timezone(-offset if name[0] == "-" else offset)
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        guess = nearest(name, available_timezones())
        raise FieldMapError(
            f"{where}: there is no time zone {name!r}.{guess} Name one as Europe/Amsterdam, UTC or +08:00."
        ) from None
