"""What each lever brought, signed and with intervals, beside what would have happened anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from models.attribution.credit import BASELINE, Evidence
from models.attribution.intervals import Replicates
from models.bootstrap import Estimate


@dataclass(frozen=True)
class Effect:
    """One row of the effect table.

    Parameters
    ----------
    channel : str
        A lever, or ``(baseline)``.
    conversions : Estimate
        What it brought; below 0 when it cost conversions.
    share : Estimate
        Of the incremental total, signed; for the baseline of all conversions.
    revenue : mapping of str to Estimate
        The same in minor units, by currency.
    evidence : Evidence
    clipped : float
        Conversions that it cost according to the model, and that the allocation, which knows no negative credit, sets
        to 0.
    tipping : float or None
        How strongly a hidden confounder would have to be tied to both being touched and converting, in log-odds, to
        bring the effect to 0; None for the baseline.
    """

    channel: str
    conversions: Estimate
    share: Estimate
    revenue: Mapping[str, Estimate]
    evidence: Evidence
    clipped: float
    tipping: float | None


@dataclass(frozen=True)
class Effects:
    """The effect table.

    Parameters
    ----------
    rows : tuple of Effect
        The levers by what they brought, then the baseline.
    incremental : Estimate
        What all levers brought together: the conversions without the baseline.
    signed : Replicates
        The conversions of the levers and the baseline, on each draw too.
    """

    rows: tuple[Effect, ...]
    incremental: Estimate
    signed: Replicates

    def __getitem__(self, channel: str) -> Effect:
        return next(row for row in self.rows if row.channel == channel)

    @property
    def baseline(self) -> Effect:
        """What would have happened anyway."""
        return self[BASELINE]

    def table(self) -> pa.Table:
        """Return one row per channel; revenue as ``revenue_EUR``, ``revenue_EUR_low``, ``revenue_EUR_high``."""
        columns: dict[str, list[object]] = {"channel": [row.channel for row in self.rows]}
        columns |= _spread("conversions", [row.conversions for row in self.rows])
        columns |= _spread("share", [row.share for row in self.rows])
        for currency in self.baseline.revenue:
            columns |= _spread(f"revenue_{currency}", [row.revenue[currency] for row in self.rows])
        columns["evidence"] = [row.evidence.value for row in self.rows]
        columns["clipped"] = [row.clipped for row in self.rows]
        columns["tipping"] = [row.tipping for row in self.rows]
        return pa.table(columns)


def _spread(name: str, estimates: list[Estimate]) -> dict[str, list[object]]:
    return {
        name: [estimate.value for estimate in estimates],
        f"{name}_low": [estimate.low for estimate in estimates],
        f"{name}_high": [estimate.high for estimate in estimates],
    }
