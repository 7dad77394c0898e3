"""The reference market: how far the pipeline is from the truth, and from what ten times the data would teach it.

Run ``python -m benchmarks.reference``. One market of 20,000 accounts is simulated, with the true probability of a win
at midnights of its test time. The same pipeline then learns twice: from that market, and from snapshots of 200,000
other accounts, ten markets with the same dials and other seeds. Both are judged on the same later snapshots of the
first market. All is computed from the tables a ledger would hold (`simulated_ledger`); nothing is ingested.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks import measure
from benchmarks.simulated_ledger import ledger_tables
from features.agreement import Agreement
from features.schema import DAY
from features.synthetic import PRESETS, Rollouts, Simulation, simulate, squared_distances
from models.bootstrap import Bootstrap, Estimate
from models.metrics import sigmoid
from training.config import TrainingConfig, load_config
from training.dataset import Dataset, build_dataset
from training.run import train_on
from training.splits import Split

UNTIL = 20_778 * DAY  # 2026-11-21
AGREEMENT = Path(__file__).resolve().parent.parent / "examples" / "reference.toml"
GOAL = "won_90d"
ECE_BAR, BRIER_BAR = 0.01, 1.03
BASE_RATE = (0.06, 0.10)
TRUTH_DAYS = 240
"""How far back from the end true probabilities are wanted: as far as the test reaches."""

_COLUMNS = ("label", "account_id", "as_of", "weight", "is_event", "amount", "origin")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """What one arm says of the test snapshots: log-odds, and which rung it chose."""

    logit: Floats
    rung: str
    rows: int
    seconds: float


def main() -> None:
    options = _options()
    agreement, config = load_config(AGREEMENT, settings=options.set, goal=GOAL, seed=options.seed)
    market = replace(PRESETS["reference"], accounts=options.accounts)
    rollouts = Rollouts((config.goal,), options.truth_every, options.truth_draws, TRUTH_DAYS)

    started = time.process_time()
    simulation = simulate(market, 1, UNTIL, rollouts=rollouts)
    _say(f"first market simulated in {time.process_time() - started:.0f} CPU seconds")
    truth = _truth(simulation)
    data = build_dataset(ledger_tables(simulation), agreement, config, say=_say)
    del simulation
    own = _learn(data, data.table, agreement, config)

    few = replace(config.data, max_train=-(-options.rows // options.markets), max_test=100, min_positives=2)
    each = replace(config, data=few)
    others = []
    for seed in range(2, 2 + options.markets):
        other = build_dataset(ledger_tables(simulate(market, seed, UNTIL)), agreement, each)
        others.append(_only(other, other.split.train, f"{seed}/"))
        gc.collect()
        _say(f"market {seed} gave {len(others[-1].label):,} snapshots, {time.process_time() - started:.0f} CPU seconds")
    many = _joined([*others, _only(data, data.split.test, "")])
    del others
    wide = _learn(many, many.table, agreement, config)
    found = _compared(data, own, wide, truth, options.truth_draws)
    found |= {"cpu_seconds": round(time.process_time() - started), "accounts": options.accounts}
    rows = [_line("own market", found["own"]), _line("ten times the accounts", found["many"])]
    wrong = _below_bars(found)
    measure.report("reference", rows, found | {"wrong": wrong}, options.json)
    for line in wrong:
        print(f"MISSED: {line}")
    raise SystemExit(1 if wrong else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=20_000, help="of every market")
    parser.add_argument("--markets", type=int, default=10, help="other markets")
    parser.add_argument("--rows", type=int, default=200_000, help="snapshots of the other markets to learn from")
    parser.add_argument("--truth-every", type=int, default=14)
    parser.add_argument("--truth-draws", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], help="as of `smarketing train`, for both arms")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="markets of 3,000 accounts, three others, 15,000 snapshots"
    )
    parser.add_argument("--json", type=Path, help="file for the result")
    options = parser.parse_args()
    if options.quick:
        options.accounts, options.markets, options.rows, options.truth_every = 3_000, 3, 15_000, 28
    return options


def _learn(data: Dataset, table: pa.Table, agreement: Agreement, config: TrainingConfig) -> Judged:
    started = time.process_time()
    trained = train_on(data, agreement, config, say=_say)
    champion = trained.ladder.champion
    logit = champion.calibration.logit(champion.scorer.margin(trained.X[data.split.test]))
    return Judged(logit, trained.ladder.best, int(trained.fitted.sum()), time.process_time() - started)


def _only(data: Dataset, rows: npt.NDArray[np.bool_], prefix: str) -> Dataset:
    """Return some rows of a data set, their accounts renamed, so that markets do not share any."""
    kept = np.flatnonzero(rows)
    account = np.char.add(prefix, data.account_id)
    split, columns = data.split.only(account, kept), {name: getattr(data, name)[kept] for name in _COLUMNS}
    return _with(data, columns | {"account_id": account[kept]}, data.table.take(kept), split)


def _joined(parts: list[Dataset]) -> Dataset:
    """Return the rows of several data sets as one, all else as in the last; no account is in two."""
    train, test, unseen = (np.concatenate([getattr(p.split, f) for p in parts]) for f in ("train", "test", "unseen"))
    split = replace(parts[-1].split, train=train, test=test, unseen=unseen | test)
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    table = pa.concat_tables([part.table for part in parts], promote_options="permissive")
    return _with(parts[-1], columns, table, split)


def _with(data: Dataset, columns: Mapping[str, Any], table: pa.Table, split: Split) -> Dataset:
    counts = replace(data.counts, train=int(split.train.sum()), test=int(split.test.sum()))
    return replace(data, table=table, split=split, counts=counts, **columns)


def _truth(simulation: Simulation) -> dict[tuple[str, int], float]:
    table = simulation.truth["probabilities"]
    keys = zip(table["account_id"].to_pylist(), table["as_of"].to_pylist(), strict=True)
    return dict(zip(keys, table["probability"].to_pylist(), strict=True))


def _compared(
    data: Dataset, own: Judged, many: Judged, truth: dict[tuple[str, int], float], draws: int
) -> dict[str, Any]:
    test = data.split.test
    y, account, as_of, grid = data.label[test], data.account_id[test], data.as_of[test], ~data.is_event[test]
    all_rows = Bootstrap.of(y, account, data.weight[test])
    # Of the rest the future was not lived; an account with no open cycle left has no row and no chance.
    known = np.isin(as_of, np.unique([at for _, at in truth])) & grid
    share = np.array([truth.get(key, 0.0) for key in zip(account[known], as_of[known].tolist(), strict=True)])
    on_truth = Bootstrap.of(y[known], account[known])
    found: dict[str, Any] = {
        "grid_base_rate": float(y[grid].mean()),
        "test_rows": len(y),
        "rows_with_truth": len(share),
    }
    measured = {"own": all_rows.measure(own.logit), "many": all_rows.measure(many.logit)}
    for name, judged in (("own", own), ("many", many)):
        distances = squared_distances(sigmoid(judged.logit[known]), share, draws)
        found[name] = {
            "rung": judged.rung,
            "train_rows": judged.rows,
            "cpu_seconds": round(judged.seconds),
            **{figure: _triple(value) for figure, value in measured[name].estimates().items()},
            "squared_distance_to_truth": _triple(on_truth.mean(distances)),
        }
    ratio = measured["own"].draws["brier"] / measured["many"].draws["brier"]
    value = measured["own"].values["brier"] / measured["many"].values["brier"]
    found["brier_ratio"] = _triple(Estimate.of(value, float(np.std(ratio))))
    # What nobody can go below: the variance of an outcome of known probability, free of the noise of the draws.
    found["irreducible_brier"] = _triple(on_truth.mean(share * (1 - share) * draws / (draws - 1)))
    found["truth_minus_outcome"] = _triple(on_truth.mean(share - y[known]))
    return found


def _triple(estimate: Estimate) -> list[float | None]:
    return [estimate.value, estimate.low, estimate.high]


def _line(arm: str, found: dict[str, Any]) -> dict[str, Any]:
    figures = ("auc", "brier", "ece", "ece_floor_95")
    distance = found["squared_distance_to_truth"]
    return {
        "arm": arm, "rung": found["rung"], "train_rows": found["train_rows"],
        **{figure: round(found[figure][0], 4) for figure in figures},
        "rms_to_truth": round(max(distance[0], 0.0) ** 0.5, 4), "cpu_seconds": found["cpu_seconds"],
    }  # fmt: skip


def _below_bars(found: dict[str, Any]) -> list[str]:
    own, wrong = found["own"], []
    bar = max(ECE_BAR, own["ece_floor_95"][0])
    if own["ece"][0] > bar:
        wrong.append(f"ECE {own['ece'][0]:.4f} > {bar:.4f}")
    if found["brier_ratio"][0] > BRIER_BAR:
        wrong.append(f"Brier is {found['brier_ratio'][0]:.3f} times that of the many accounts > {BRIER_BAR}")
    if not BASE_RATE[0] <= found["grid_base_rate"] <= BASE_RATE[1]:
        wrong.append(f"base rate on the grid {found['grid_base_rate']:.3f} is not in {BASE_RATE}")
    return wrong


def _say(message: str) -> None:
    print(message, flush=True)


if __name__ == "__main__":
    main()
