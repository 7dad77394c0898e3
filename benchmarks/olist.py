"""A marketplace's seller funnel, from the real files: leads, won deals, win rate and revenue by channel of origin.

Run ``python -m benchmarks.olist``. Both files go in through the command line, and journeys come from the ledger. Each
lead has one touch, so there is nothing that models could share in different ways, and there are no costs. What is shown
is what can be known: win rates with 90 % intervals (Wilson), also within 90 days, since leads had more or less time;
and the declared revenue by channel, with intervals from draws of accounts, beside the totals of the files.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import measure
from features import relations
from features.agreement import Agreement
from features.journeys import Journeys, find_journeys
from features.ledger import Ledger
from features.schema import DAY
from models.attribution.draws import Draws
from models.attribution.intervals import replicates
from models.attribution.rules import rules
from models.bootstrap import Estimate

FOLDER = measure.ROOT.parent / "shared" / "data" / "olist"
LEADS = FOLDER / "olist_marketing_qualified_leads_dataset.csv"
DEALS = FOLDER / "olist_closed_deals_dataset.csv"
AGREEMENT, MAP = "examples/olist.agreement.toml", "examples/olist.toml"
EXPECTED = {"leads": 8_000, "won": 842, "without_revenue": 797}
RIPE_DAYS = 90

_Z = 1.6448536269514722


@dataclass(frozen=True)
class Origin:
    """What became of the leads of one channel; `ripe` is the rate within 90 days, revenue is in units."""

    channel: str
    leads: int
    won: int
    rate: Estimate
    ripe: Estimate
    credited: float
    declared: int
    revenue: Estimate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the result")
    options = parser.parse_args()
    if not LEADS.exists():
        print(f"Skipped: {FOLDER} is not there (Marketing Funnel by Olist, Kaggle).")
        return
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "olist.db"
        arguments = ["--store", str(store), "--agreement", AGREEMENT, "--json", "ingest", str(LEADS), str(DEALS)]
        cost, counts = measure.python(["smarketing.py", *arguments, "--map", MAP])
        with Ledger.open(store) as ledger:
            tables, as_of = ledger.tables(), ledger.head().known_at
    agreement = Agreement.load(measure.ROOT / AGREEMENT)
    journeys = find_journeys(tables, relations.build(tables, agreement), agreement, as_of=as_of)
    origins = by_origin(journeys, tables, agreement, as_of)
    books = compared(journeys, origins)
    wrong = [
        f"{name}: {books[name]:,} instead of {value:,}" for name, value in EXPECTED.items() if books[name] != value
    ]
    wrong += [f"{name} is {books[name]}, to be 0" for name in ("revenue_lost", "rejected") if {**books, **counts}[name]]
    rows = [measure.row("ingest", cost, result=f"{counts['rows']:,} rows, {counts['rejected']:,} rejected")]
    found = {"origins": [_plain(origin) for origin in origins], "books": books, "missed": wrong}
    measure.report("olist", rows, found, options.json)
    _print(origins, books)
    for line in wrong:
        print(f"MISSED: {line}")
    raise SystemExit(1 if wrong else 0)


def by_origin(journeys: Journeys, tables: Mapping[str, pa.Table], agreement: Agreement, as_of: int) -> list[Origin]:
    """Return what became of the leads of each channel, the one with most deals first."""
    touches = tables["account_touches"]
    origin = dict(zip(touches["account_id"].to_pylist(), touches["channel"].to_pylist(), strict=True))
    of_lead = np.array([origin[account] for account in journeys.journeys["account_id"].to_pylist()])
    model = rules(agreement.attribution)["first"]
    credit = model.fit(journeys).credit(journeys)
    draws = Draws.of(journeys)
    credited = replicates(model, credit, draws).estimates()
    revenue = replicates(model, credit, draws, amount=journeys.revenue / 100).estimates()
    opened, ended = (np.asarray(journeys.journeys[name].to_numpy()) for name in ("opened_at", "ended_at"))
    is_ripe = opened <= as_of - RIPE_DAYS * DAY
    in_time = journeys.converted & (ended - opened <= RIPE_DAYS * DAY)
    origins = []
    for channel in sorted(set(origin.values())):
        came = of_lead == channel
        origins.append(
            Origin(
                channel,
                int(came.sum()),
                int((came & journeys.converted).sum()),
                wilson(int((came & journeys.converted).sum()), int(came.sum())),
                wilson(int((came & is_ripe & in_time).sum()), int((came & is_ripe).sum())),
                credited[channel].value,
                int((came & (journeys.revenue > 0)).sum()),
                revenue[channel],
            )
        )
    return sorted(origins, key=lambda found: (-found.won, found.channel))


def wilson(hits: int, size: int) -> Estimate:
    """Return a share with its 90 % interval by Wilson's score, which holds for few hits too."""
    if not size:
        return Estimate(float("nan"))
    p, z2 = hits / size, _Z**2
    middle = (p + z2 / (2 * size)) / (1 + z2 / size)
    half = _Z * np.sqrt(p * (1 - p) / size + z2 / (4 * size**2)) / (1 + z2 / size)
    return Estimate(p, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def compared(journeys: Journeys, origins: Sequence[Origin]) -> dict[str, Any]:
    """Return the totals of the files, read by hand, beside what the journeys hold and what the channels are given."""
    with DEALS.open(encoding="utf-8", newline="") as file:
        declared = [int(row["declared_monthly_revenue"]) for row in csv.DictReader(file)]
    with LEADS.open(encoding="utf-8", newline="") as file:
        leads = sum(1 for _ in csv.DictReader(file))
    owned = sum(origin.revenue.value for origin in origins)
    of_nobody = journeys.revenue[np.diff(journeys.offset) == 0].sum() / 100
    return {
        "leads": leads,
        "won": len(declared),
        "without_revenue": declared.count(0),
        "journeys": journeys.size,
        "journeys_won": int(journeys.converted.sum()),
        "declared": sum(declared),
        "largest": max(declared),
        "of_channels": owned,
        "of_no_touch": float(of_nobody),
        "revenue_lost": round(sum(declared) - owned - of_nobody, 6),
        "left_out": dict(journeys.left_out),
    }


def _print(origins: Sequence[Origin], books: Mapping[str, Any]) -> None:
    print(
        f"\n{'channel':>17} {'leads':>6} {'won':>4} {'credited':>8}  {'win rate [90 %]':25}"
        f" {f'within {RIPE_DAYS} days':26}  declared revenue, BRL [90 %]"
    )
    for origin in origins:
        low, high = origin.revenue.bounds
        print(
            f"{origin.channel:>17} {origin.leads:6,} {origin.won:4} {origin.credited:8.0f}  {_share(origin.rate)}"
            f"  {_share(origin.ripe)} {origin.revenue.value:12,.0f} [{low:,.0f}, {high:,.0f}], {origin.declared} deals"
        )
    print(
        f"\nThe files hold {books['leads']:,} leads and {books['won']:,} deals, {books['without_revenue']:,} of them"
        f" with a revenue of 0, which is missing; journeys: {books['journeys']:,}, won {books['journeys_won']:,}.\n"
        f"Declared BRL {books['declared']:,}: channels {books['of_channels']:,.0f}, no touch"
        f" {books['of_no_touch']:,.0f}, lost {books['revenue_lost']:,.0f}. One deal alone declares"
        f" {books['largest']:,}.\n"
        f"Warning: {books['left_out'].get('conversions_without_touch', 0)} deal was won before the first contact with"
        " its lead. It counts for the rate; no touch is credited."
    )


def _share(estimate: Estimate) -> str:
    low, high = estimate.bounds
    return f"{estimate.value:7.2%} [{low:6.2%}, {high:6.2%}]"


def _plain(origin: Origin) -> dict[str, Any]:
    return {**vars(origin), "rate": vars(origin.rate), "ripe": vars(origin.ripe), "revenue": vars(origin.revenue)}


if __name__ == "__main__":
    main()
