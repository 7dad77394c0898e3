"""What a model is worth while outcomes are few: Brier score and log loss against the number of winning accounts.

Run ``python -m benchmarks.few_wins``. In each simulated market a quarter of the accounts judges; the others join in
random order until 10, 40, 200 or 1,000 of them have won. Three arms learn from the same snapshots of those accounts:
the points of the agreement, calibrated (`rule`); LightGBM, calibrated (`model`); and the rung that the ladder would
promote (`ours`). Before the first outcome nobody has a probability to give, and all three say the same constant.
Differences are paired by market; the command fails where ours is worse than either, in one measure or the other, by
more than its 90 % interval.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure
from benchmarks.simulated_ledger import ledger_tables
from features.agreement import Agreement
from features.catalogue import catalogue
from features.catalogue.assemble import points_features
from features.labels import Cases
from features.offline import evaluate
from features.relations import build
from features.schema import DAY
from features.synthetic import PRESETS, simulate
from models.encoding import Encoding
from models.ladder import Ladder, fit_ladder
from models.metrics import brier, log_loss, sigmoid
from models.uncertainty import student

WINS = (0, 10, 40, 200, 1000)
ACCOUNTS, MONTHS, TOUCHES = 6_500, 24, 0.5
UNTIL = 20_500 * DAY
EVERY, WARM_UP = 91, 120
"""Days between snapshots, and before the first of them."""

FOLDS = 3
"""Fewer than the ladder's own five, to save time; all arms share them."""

BLIND = 0.2
"""What everybody says before the first outcome."""

ARMS = ("rule", "model", "ours")
MEASURES = ("brier", "log_loss")

Scores = dict[str, dict[str, float]]
"""By arm, its measures."""


@dataclasses.dataclass(frozen=True)
class Snapshots:
    """Labelled snapshots of one market."""

    X: np.ndarray
    y: np.ndarray
    account: np.ndarray
    encoding: Encoding


def main() -> None:
    options = _options()
    found: dict[int, list[Scores]] = {wins: [] for wins in WINS}
    promoted: dict[int, Counter[str]] = {wins: Counter() for wins in WINS}
    for seed in range(options.first, options.first + options.markets):
        began = time.process_time()
        market = _market(seed)
        for wins in WINS:
            scores, best = _judged(market, wins, seed)
            found[wins].append(scores)
            promoted[wins][best] += 1
            told = "  ".join(f"{arm} {scores[arm]['brier']:.4f} {scores[arm]['log_loss']:.4f}" for arm in ARMS)
            print(f"market {seed}, {wins} wins: {told}  ({best})", file=sys.stderr)
        print(f"market {seed}: {len(market.y):,} snapshots, {time.process_time() - began:.0f} s", file=sys.stderr)
    rows = [_row(wins, measured, found[wins], promoted[wins]) for measured in MEASURES for wins in WINS]
    worse = [
        f"{row['wins']} wins: {row['measure']} worse than that of the {arm} alone"
        for row in rows
        for arm in ARMS[:2]
        if row[f"minus_{arm}"] > row[f"±_{arm}"]
    ]
    measure.report("few wins", rows, {"scores": found, "wrong": worse}, options.json)
    for line in worse:
        print(f"MISSED: {line}")
    raise SystemExit(1 if worse else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=int, default=20)
    parser.add_argument("--first", type=int, default=1001, help="seed of the first market")
    parser.add_argument("--json", type=Path, help="file for the result")
    return parser.parse_args()


def _market(seed: int) -> Snapshots:
    agreement = Agreement.load()
    market = dataclasses.replace(PRESETS["demo"], accounts=ACCOUNTS, months=MONTHS, touches=TOUCHES)
    tables = ledger_tables(simulate(market, seed, UNTIL))
    relations = build(tables, agreement)
    # A step that many accounts take in a quarter, so that a thousand of them do not need a hundred thousand snapshots.
    goal = dataclasses.replace(agreement.goal("sql_30d"), within_days=90)
    cases = Cases.of(tables, relations, agreement, goal)
    first = UNTIL - round(MONTHS * 30.4 - WARM_UP) * DAY
    pairs = cases.at(np.arange(first, UNTIL, EVERY * DAY))
    complete = cases.complete(pairs)
    account, as_of = pairs.account[complete], pairs.as_of[complete]
    declared = catalogue(agreement)
    table = evaluate(relations, [relations.account_ids[one] for one in account], as_of, declared)
    encoding = Encoding.fit(table, declared.features)
    y = cases.label(type(pairs)(account, as_of)).label.astype(np.float64)
    return Snapshots(encoding.matrix(table), y, account, encoding)


def _judged(market: Snapshots, wins: int, seed: int) -> tuple[Scores, str]:
    random = np.random.default_rng(seed)
    order = random.permutation(np.unique(market.account))
    judges = np.isin(market.account, order[: len(order) // 4])
    if not wins:
        blind = _measured(market.y[judges], np.full(judges.sum(), np.log(BLIND / (1 - BLIND))))
        return dict.fromkeys(ARMS, blind), "none"
    teach = order[len(order) // 4 :]
    won = np.isin(teach, market.account[market.y > 0])
    if won.sum() < wins:
        raise SystemExit(f"Market {seed} has {won.sum()} winning accounts to learn from, not {wins}.")
    rows = np.isin(market.account, teach[: int(np.searchsorted(np.cumsum(won), wins)) + 1])
    ladder = _ladder(market, rows, seed)
    X, y = market.X[judges], market.y[judges]
    rungs = {"rule": ladder.rungs["points"], "model": ladder.rungs["lightgbm"], "ours": ladder.champion}
    scores = {arm: _measured(y, rung.calibration.logit(rung.scorer.margin(X))) for arm, rung in rungs.items()}
    return scores, ladder.best


def _measured(y: np.ndarray, logit: np.ndarray) -> dict[str, float]:
    return {"brier": brier(y, sigmoid(logit)), "log_loss": log_loss(y, logit)}


def _ladder(market: Snapshots, rows: np.ndarray, seed: int) -> Ladder:
    points = points_features(Agreement.load())
    known = market.X[rows], market.y[rows], market.account[rows]
    return fit_ladder(*known, market.encoding, stage="new_stage", points=points, seed=seed, folds=FOLDS)


def _row(wins: int, measured: str, scores: list[Scores], promoted: Counter[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"measure": measured, "wins": wins}
    row |= {arm: round(statistics.mean(one[arm][measured] for one in scores), 5) for arm in ARMS}
    for arm in ARMS[:2]:
        apart = [one["ours"][measured] - one[arm][measured] for one in scores]
        error = statistics.stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else float("inf")
        row[f"minus_{arm}"] = round(statistics.mean(apart), 5)
        row[f"±_{arm}"] = round(student(max(len(apart) - 1, 1)) * error, 5)
    return row | {"promoted": " ".join(f"{name}:{times}" for name, times in promoted.most_common())}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
