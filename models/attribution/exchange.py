"""Money in another currency, at the rates known at a moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import pyarrow as pa

from features.money import minor_per_unit


@dataclass(frozen=True)
class Exchange:
    """Rates to the reporting currency.

    Parameters
    ----------
    reporting : str
        ISO 4217 code.
    rates : mapping of str to tuple of (int, Fraction)
        By currency: from which day on, in microseconds, and the reporting units for one unit; ascending.
    """

    reporting: str
    rates: Mapping[str, tuple[tuple[int, Fraction], ...]]

    @classmethod
    def of(cls, fx_rates: pa.Table, reporting: str, as_of: int) -> Exchange:
        """Return the rates that were known at a moment.

        Parameters
        ----------
        fx_rates : pyarrow.Table
            The table of the ledger.
        reporting : str
        as_of : int
            Microseconds.
        """
        found: dict[str, dict[int, Fraction]] = {}
        for row in fx_rates.to_pylist():
            if not row["deleted"] and row["date"] <= as_of and row["known_at"] <= as_of < row["known_until"]:
                # The shortest decimal that is this number is what was written in the rate table.
                found.setdefault(row["currency"], {})[row["date"]] = Fraction(str(row["rate"]))
        return cls(reporting, {currency: tuple(sorted(rates.items())) for currency, rates in found.items()})

    def converted(self, minor: int, currency: str, day: int) -> int | None:
        """Return minor units of the reporting currency at the rate of a day; None when there is no rate.

        Rounded to the nearest unit, halves to the even one.

        Examples
        --------
        >>> exchange = Exchange("EUR", {"JPY": ((0, Fraction("0.0061")),)})
        >>> exchange.converted(1_000, "JPY", 5), exchange.converted(1_000, "USD", 5)
        (610, None)
        """
        if currency == self.reporting:
            return minor
        rates = self.rates.get(currency, ())
        place = bisect_right(rates, day, key=lambda rate: rate[0]) - 1
        if place < 0:
            return None
        return round(minor * rates[place][1] * minor_per_unit(self.reporting) / minor_per_unit(currency))
