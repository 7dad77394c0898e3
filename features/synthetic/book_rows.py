"""What campaigns cost, what was promised, and rates of exchange."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.schema import DAY
from features.synthetic.columns import Column, fact_table, pick
from features.synthetic.market import Market
from features.synthetic.population import Ints, Population
from features.synthetic.sales_rows import USD_RATE


def book_rows(
    market: Market, people: Population, touches: dict[str, Ints], rng: np.random.Generator
) -> dict[str, pa.Table]:
    """Return the tables `spend`, `targets` and `fx_rates`, a row per month.

    Parameters
    ----------
    market : Market
    people : Population
    touches : dict of str to array
        As in `features.synthetic.history.COLUMNS`.
    rng : numpy.random.Generator
    """
    first, last = _month(people.start), _month(people.until)
    months = np.arange(first, last + 1)
    begins = months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    ends = (months + 1).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    until = people.until
    return {
        "spend": fact_table("spend", _spend(market, touches, months, begins, ends, rng), until),
        "targets": fact_table("targets", [_targets(market, begins, ends)], until),
        "fx_rates": fact_table("fx_rates", [_rates(begins, rng)], until),
    }


def _spend(
    market: Market, touches: dict[str, Ints], months: Ints, begins: Ints, ends: Ints, rng: np.random.Generator
) -> list[dict[str, Column]]:
    month = touches["at"].astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) - months[0]
    pieces: list[dict[str, Column]] = []
    for code, process in enumerate(market.processes):
        if process.role != "lever" or process.source == "crm":
            continue
        count = np.bincount(month[touches["process"] == code], minlength=len(months))
        # Money is also spent on those who did not come.
        amount = np.round((count + 3) * process.unit_cost * rng.lognormal(0.3, 0.15, len(months))).astype(np.int64)
        slug = process.name.lower().replace(" ", "-")
        pieces.append(
            {
                "channel": process.channel,
                "campaign": pa.array([f"{slug}-{np.datetime64(int(value), 'M')}" for value in months]),
                "period_start": begins,
                "period_end": ends,
                "amount": amount,
                "currency": "EUR",
                "revision": 1,
                "known_at": ends + 3 * DAY,
            }
        )
    return pieces


def _targets(market: Market, begins: Ints, ends: Ints) -> dict[str, Column]:
    promised = np.full(len(begins), float(max(1, round(market.accounts * 0.03))))
    return {
        "metric": "mql_per_month",
        "segment": "all",
        "period_start": begins,
        "period_end": ends,
        "value": promised,
        "revision": 1,
        "known_at": begins - 10 * DAY,
    }


def _rates(begins: Ints, rng: np.random.Generator) -> dict[str, Column]:
    # In the agreed reporting currency, euros.
    moved = np.clip(USD_RATE + np.cumsum(rng.normal(0, 0.008, len(begins))), 0.8, 1.05)
    return {
        "currency": pick(("USD",), np.zeros(len(begins), dtype=np.int64)),
        "date": begins,
        "rate": np.round(moved, 4),
        "revision": 1,
        "known_at": begins.copy(),
    }


def _month(moment: int) -> int:
    return int(np.datetime64(moment, "us").astype("datetime64[M]").astype(np.int64))
