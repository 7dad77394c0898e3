"""The whole catalogue for one prepared account: median CPU time of an evaluation.

Run ``python -m benchmarks.online_speed``. The account has all its touches within the look-back. *Settled* moments lie
after everything was known, as in a live request; at *replayed* ones some rows are not known yet.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import market_tables, measure
from features import online, relations
from features.agreement import Agreement
from features.catalogue import catalogue
from features.schema import DAY

BARS_US = {500: 200, 5_000: 1_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--json", type=Path, help="file for the result")
    options = parser.parse_args()
    agreement = Agreement.load(None)
    declared = catalogue(agreement)
    evaluator = online.Evaluator(declared)
    rows: list[dict[str, Any]] = []
    for touches in BARS_US:
        built = relations.build(_one_account(touches), agreement)
        started = time.process_time_ns()
        arrays = evaluator.prepare(built, "a-000000")
        preparing = (time.process_time_ns() - started) / 1000
        end = market_tables.START + market_tables.SPAN_DAYS * DAY
        for moments, first in {"settled": end + DAY, "replayed": end - 30 * DAY}.items():
            spent = [_spent(evaluator, arrays, first + place * 1_000_000) for place in range(options.repeats + 20)][20:]
            line = {"touches": touches, "moments": moments, "prepare_us": round(preparing)}
            line |= {"median_us": round(statistics.median(spent), 1)}
            line |= {"p95_us": round(statistics.quantiles(spent, n=20)[-1], 1), "bar_us": BARS_US[touches]}
            rows.append(line)
    title = f"online: {len(declared.features)} features of one account, CPU microseconds"
    measure.report(title, rows, {"features": len(declared.features)}, options.json)


def _spent(evaluator: online.Evaluator, arrays: Any, as_of: int) -> float:
    started = time.process_time_ns()
    evaluator.evaluate(arrays, as_of)
    return (time.process_time_ns() - started) / 1000


def _one_account(touches: int) -> dict[str, pa.Table]:
    """Return the tables of a market of one account whose touches all fall into its last 360 days."""
    tables = market_tables.market_tables(touches, 1)
    held = tables["account_touches"]
    shift = (market_tables.SPAN_DAYS - 360) * DAY
    for name in ("occurred_at", "known_from"):
        squeezed = [
            market_tables.START + shift + (at - market_tables.START) * 359 // market_tables.SPAN_DAYS
            for at in held[name].to_pylist()
        ]
        held = held.set_column(held.column_names.index(name), name, pa.array(squeezed, pa.int64()))
    return tables | {"account_touches": held}


if __name__ == "__main__":
    main()
