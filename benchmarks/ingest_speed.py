"""Intake of a million touches from Parquet through the command line: touches per second and memory.

Run ``python -m benchmarks.ingest_speed``. The touches name their account and person; nothing is in the ledger before.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import market_tables, measure
from features.schema import TABLES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--touches", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--json", type=Path, help="file for the result")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "market"
        _write(folder, options.touches, options.accounts)
        for name in ("first time", "the same again"):
            store = str(Path(scratch) / "store.db")
            cost, found = measure.python(["smarketing.py", "--store", store, "--json", "ingest", str(folder)])
            counts = {key: found[key] for key in ("accepted", "duplicates", "rejected")}
            per_second = round(options.touches / cost.wall_seconds)
            per_cpu = round(options.touches / cost.cpu_seconds)
            rows.append(measure.row(name, cost, per_second=per_second, per_cpu_second=per_cpu, **counts))
    measure.report(f"ingest of {options.touches:,} touches from Parquet", rows, {}, options.json)


def _write(folder: Path, touches: int, accounts: int) -> None:
    """Write the contract's own table of touches, known when it happened or late, as one Parquet file."""
    folder.mkdir()
    table = market_tables.market_tables(touches, accounts)["account_touches"]
    columns = {name: table[name] for name in TABLES["touchpoints"].names}
    columns |= {"known_at": table["known_from"]}
    for name in ("occurred_at", "known_at"):
        columns[name] = columns[name].cast(pa.timestamp("us", tz="UTC"))
    newest = columns["known_at"].combine_chunks().to_numpy(zero_copy_only=False).max()
    if newest > datetime.now(UTC).replace(tzinfo=None):
        raise SystemExit("The generated market must lie in the past.")
    pq.write_table(pa.table(columns), folder / "touchpoints.parquet")


if __name__ == "__main__":
    main()
