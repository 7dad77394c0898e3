"""The main job on a real log of 262,200 events: intake, equality of features, and the ladder by the written protocol.

Run ``python -m benchmarks.bpic2012``, or one part with ``--parts ingest``, ``equality`` or ``ladder``. The first part
takes the log in through the command line and counts outcomes. The second takes it in twice more, its rows shuffled:
as a file, and over HTTP through the routes with backfill (the sampled cases); features of the three stores, in batch
and in real time, are compared with the naive recomputation that the tests keep. The third trains with five seeds,
untuned (what the bars are for) and with the parameters that were chosen inside the training time: it shows medians of
all, and of the first seed the intervals, the calibration by week, and the price of a stale score.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import bpic2012_log, measure, service
from benchmarks.staleness import print_staleness, staleness
from features.agreement import Agreement
from features.algebra import Count, Distinct, Latest
from features.catalogue import catalogue
from features.ledger import Ledger
from features.schema import DAY
from tests.features import oracle
from training.ladder_report import Report

PARTS = ("ingest", "equality", "ladder")
MAP = "examples/bpic2012.toml"
EXPECTED = {"won": 2246, "declined": 7635, "cancelled": 2807, "open": 399}
IGNORED, EVENTS = 4492, 262_200
ROWS = {"train": 14_093, "test": 38_046}
MOMENTS = 4_000
BARS = {
    "untuned": {"auc": 0.775, "pr_auc": 0.600, "brier": 0.1745},
    "tuned": {"auc": 0.785, "pr_auc": 0.620, "brier": 0.173},
}
SLOPES = (0.9, 1.1)
"""Where the calibration slope of the tuned model is to lie; its calibration error is to be at its floor."""

ARMS = {"untuned": "bpic2012.training.toml", "tuned": "bpic2012.tuned.toml"}

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def main() -> None:
    options = _options()
    if not bpic2012_log.FILE.exists():
        print(f"Skipped: {bpic2012_log.FILE} is not there (4TU.ResearchData, doi 10.4121, BPI Challenge 2012).")
        return
    if options.train_store:
        print(json.dumps(_ladder(options.train_store, options.seeds)))
        return
    parts = options.parts.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cost, counts = _ingest(bpic2012_log.FILE, folder / "batch.db")
        found: dict[str, Any] = {"ingest": counts}
        rows = [measure.row("ingest", cost, result=f"{counts['rows']:,} events, {counts['ignored']:,} ignored")]
        wrong = _wrong_counts(folder / "batch.db", counts)
        if "equality" in parts:
            found["equality"] = _equality(folder, options.cases, options.moments)
            wrong += [f"{arm}: {count} values differ" for arm, count in found["equality"]["differing"].items() if count]
        if "ladder" in parts:
            arguments = ["-m", "benchmarks.bpic2012", "--train-store", str(folder / "batch.db")]
            cost, found["ladder"] = measure.python([*arguments, "--seeds", str(options.seeds)])
            rows.append(measure.row("ladder", cost, result=f"{options.seeds} seeds"))
            wrong += _below_bars(found["ladder"])
    measure.report("bpic2012", rows, found | {"wrong": wrong}, options.json)
    _print_ladder(found.get("ladder"))
    for line in wrong:
        print(f"MISSED: {line}")
    raise SystemExit(1 if wrong else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts to run; ingest always runs")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--moments", type=int, default=20, help="moments for each case")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--train-store", help=argparse.SUPPRESS)
    return parser.parse_args()


def _ingest(file: Path, store: Path) -> tuple[measure.Cost, dict[str, Any]]:
    return measure.python(["smarketing.py", "--store", str(store), "--json", "ingest", str(file), "--map", MAP])


def _wrong_counts(store: Path, counts: Mapping[str, Any]) -> list[str]:
    with Ledger.open(store) as ledger:
        deals, accounts = ledger.export("deals").to_pylist(), ledger.export("accounts").num_rows
    last = {row["deal_id"]: row for row in sorted(deals, key=lambda row: row["occurred_at"])}
    outcomes = Counter(row["loss_reason"] or row["outcome"] for row in last.values())
    outcomes["open"] = accounts - sum(outcomes[name] for name in EXPECTED if name != "open")
    told = {"rows": EVENTS, "ignored": IGNORED, "rejected": 0, "duplicates": 0, "corrected": 0}
    wrong = [f"{name}: {counts[name]:,} instead of {value:,}" for name, value in told.items() if counts[name] != value]
    return wrong + [
        f"{name}: {outcomes[name]:,} instead of {value:,}"
        for name, value in EXPECTED.items()
        if outcomes[name] != value
    ]


def _equality(folder: Path, cases: int, moments: int) -> dict[str, Any]:
    rng = random.Random(0)
    log = list(bpic2012_log.events())
    chosen = set(rng.sample(sorted({event["case_id"] for event in log}), cases))
    raw: dict[str, bpic2012_log.Raw] = {case: [] for case in sorted(chosen)}
    for event in log:
        if event["case_id"] in chosen:
            raw[event["case_id"]] += bpic2012_log.raw_rows(event)
    pairs = [(case, moment) for case, rows in raw.items() for moment in _moments(rng, rows, moments)]
    stores = {"batch": folder / "batch.db", "shuffled": folder / "shuffled.db", "http": folder / "http.db"}
    _ingest(_shuffled(log, rng, folder / "shuffled.csv.gz"), stores["shuffled"])
    posted = service.post_shuffled(raw, stores["http"], rng)
    declared = catalogue(Agreement.load(None))
    expressions = {feature.name: feature.expression for feature in declared.features}
    expected = [oracle.values(raw[case], case, moment, expressions) for case, moment in pairs]
    differing, largest = {}, 0.0
    for name, store in stores.items():
        for way, values in _both_ways(store, pairs).items():
            count, difference = _compared(expected, values, expressions)
            differing[f"{name}, {way}"], largest = count, max(largest, difference)
    return {
        "cases": cases,
        "pairs": len(pairs),
        "features": len(expressions),
        "requests": posted,
        "differing": differing,
        "largest_difference": largest,
    }


def _moments(rng: random.Random, raw: bpic2012_log.Raw, count: int) -> list[int]:
    """Return moments of a case: half of them at its own events, to the microsecond, half anywhere around them."""
    times = sorted({row["occurred_at"] for _, row in raw if "occurred_at" in row})
    exact = [rng.choice(times) for _ in range(count // 2)]
    return exact + [rng.randrange(times[0] - 5 * DAY, times[-1] + 400 * DAY) for _ in range(count - len(exact))]


def _shuffled(log: Sequence[dict[str, str]], rng: random.Random, path: Path) -> Path:
    order = rng.sample(range(len(log)), len(log))
    with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1) as file:
        writer = csv.DictWriter(file, list(log[0]))
        writer.writeheader()
        writer.writerows(log[place] for place in order)
    return path


def _both_ways(store: Path, pairs: Sequence[tuple[str, int]]) -> dict[str, list[dict[str, Any]]]:
    from features import offline, online, relations

    agreement = Agreement.load(None)
    declared = catalogue(agreement)
    as_of = np.array([moment for _, moment in pairs], dtype=np.int64)
    evaluator = online.Evaluator(declared)
    with Ledger.open(store) as ledger:
        built = relations.build(ledger.tables(), agreement)
        batch = offline.evaluate(built, [case for case, _ in pairs], as_of, declared).to_pylist()
        prepared = {
            case: evaluator.prepare(relations.build(ledger.account_tables(case), agreement), case)
            for case in {case for case, _ in pairs}
        }
    live = [
        dict(zip(declared.names, evaluator.evaluate(prepared[case], moment), strict=True)) for case, moment in pairs
    ]
    return {"offline": batch, "online": live}


def _compared(
    expected: Sequence[Mapping[str, Any]], actual: Sequence[Mapping[str, Any]], expressions: Mapping[str, Any]
) -> tuple[int, float]:
    """Return how many values differ by more than the tolerance, and the largest relative difference of all."""
    count, largest = 0, 0.0
    for wanted, given in zip(expected, actual, strict=True):
        for name, expression in expressions.items():
            a, b = wanted[name], given[name]
            count += oracle.disagreement(a, b, exact=isinstance(expression, Count | Distinct | Latest))
            if isinstance(a, float) and isinstance(b, float) and a == a and b == b:
                largest = max(largest, abs(a - b) / max(1.0, abs(a)))
    return count, largest


def _ladder(store: str, seeds: int) -> dict[str, Any]:
    from training.config import load_config
    from training.dataset import build_dataset
    from training.run import train_on

    told = {
        arm: load_config(EXAMPLES / "bpic2012.agreement.toml", training=EXAMPLES / file) for arm, file in ARMS.items()
    }
    agreement, config = told["untuned"]
    with Ledger.open(store) as ledger:
        tables = ledger.tables()
    started = time.process_time()
    data = build_dataset(tables, agreement, config)
    made = time.process_time() - started
    found: dict[str, Any] = {}
    for arm, (_, settings) in told.items():
        trained = []
        for seed in range(seeds):
            print(f"{arm}, seed {seed}", file=sys.stderr)
            trained.append(train_on(data, agreement, settings, seed=seed))
        found[arm] = _arm([one.report for one in trained])
        if arm == "untuned":
            found["staleness"] = staleness(tables, agreement, settings, trained[0], moments=MOMENTS)
    test = data.split.test
    return found | {
        "rows": {"train": data.counts.train, "test": data.counts.test},
        "cases": {
            "train": len(set(data.account_id[data.split.train])),
            "test": len(set(data.account_id[test])),
        },
        "positive": {
            "train": float(data.label[data.split.train].mean()),
            "test": float(data.label[test].mean()),
        },
        "dataset_cpu_seconds": made,
    }


def _arm(reports: Sequence[Report]) -> dict[str, Any]:
    """Return medians over the seeds, and the first seed whole."""
    rungs = {
        rung.name: {
            measured: statistics.median(report.rungs[place].test[measured] for report in reports)
            for measured in rung.test
        }
        for place, rung in enumerate(reports[0].rungs)
    }
    return {
        "best": [report.best for report in reports],
        "rungs": rungs,
        "weekly": reports[0].document()["weekly"],
        "text": reports[0].text(),
    }


def _below_bars(ladder: Mapping[str, Any]) -> list[str]:
    wrong = [
        f"{name} rows: {ladder['rows'][name]:,} instead of {value:,}"
        for name, value in ROWS.items()
        if ladder["rows"][name] != value
    ]
    for arm, bars in BARS.items():
        reached = ladder[arm]["rungs"][statistics.mode(ladder[arm]["best"])]
        for name, bar in bars.items():
            if reached[name] > bar if name == "brier" else reached[name] < bar:
                wrong.append(f"{arm}: {name} {reached[name]:.4f}, the bar is {bar}")
    if reached["ece"] > reached["ece_floor_95"]:
        wrong.append(f"tuned: ece {reached['ece']:.4f}, its floor is {reached['ece_floor_95']:.4f}")
    if not SLOPES[0] <= reached["calibration_slope"] <= SLOPES[1]:
        wrong.append(f"tuned: slope {reached['calibration_slope']:.3f}, to lie in {SLOPES[0]} to {SLOPES[1]}")
    return wrong


def _print_ladder(ladder: Mapping[str, Any] | None) -> None:
    if ladder is None:
        return
    for arm in ARMS:
        _print_arm(arm, ladder[arm])
    print_staleness(ladder["staleness"])


def _print_arm(name: str, arm: Mapping[str, Any]) -> None:
    shown = ("auc", "pr_auc", "brier", "ece", "ece_floor_95", "log_loss", "calibration_slope")
    print(f"\n{f'{name}, median':>22}  " + "  ".join(measured.rjust(17) for measured in shown))
    for rung, values in arm["rungs"].items():
        print(f"{rung:>22}  " + "  ".join(f"{values.get(key, float('nan')):17.4f}" for key in shown))
    print(f"\nbest by seed: {', '.join(arm['best'])}\n\nThe first seed:\n\n{arm['text']}\n")
    for week in arm["weekly"]:
        slope = week["slope"]
        said = (
            "too few outcomes" if slope is None else f"{slope['value']:.2f} [{slope['low']:.2f}, {slope['high']:.2f}]"
        )
        print(f"week of {_day(week['start'])}: {week['rows']:,} rows, slope {said}")


def _day(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).date().isoformat()


if __name__ == "__main__":
    main()
