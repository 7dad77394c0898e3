"""Do the intervals of the incremental effects hold the truth as often as they say?

Run ``python -m benchmarks.attribution_coverage``. Small markets whose truth is known exactly, 20 of each shape in which
exposure is as good as random given what is known of the accounts: the nominal 90 % intervals of all levers, those
without effect among them, must hold the true incremental conversions in 85 to 95 % of the cases. Where exposure follows
hidden intent, or a lever is seen by nobody, no interval can promise that: those markets are printed, with the median
over levers and markets of how strongly something hidden would have to act to explain an effect away, and not judged.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure
from features.synthetic.exposures import DAYS, MARKETS, simulate_exposures
from models.attribution.incremental import Effects, Incremental

IDENTIFIED = ("logistic", "hazard", "saturation", "synergy", "order")
LEAST, MOST = 0.85, 0.95
_ALL = "(all levers)"


@dataclass(frozen=True)
class Held:
    """One interval and the truth it was to hold: in conversions; `tipping` as in `Effect`."""

    channel: str
    value: float
    low: float
    high: float
    truth: float
    tipping: float | None

    @property
    def held(self) -> bool:
        return self.low <= self.truth <= self.high


def main() -> None:
    options = _options()
    rows, pooled, answers = [], [], {}
    for shape in options.shapes:
        began = time.process_time()
        markets = [
            _market(shape, options.accounts, options.first + one, options.draws) for one in range(options.markets)
        ]
        held = [one for market in markets for one in market]
        levers = [one for one in held if one.channel != _ALL]
        rows.append(_row(shape, levers, [one for one in held if one.channel == _ALL]))
        pooled += levers if shape in IDENTIFIED else []
        answers[shape] = [[vars(held) for held in market] for market in markets]
        print(f"{shape}: {time.process_time() - began:.0f} CPU s", file=sys.stderr)
    share = float(np.mean([held.held for held in pooled])) if pooled else float("nan")
    wrong = [] if LEAST <= share <= MOST else [f"coverage {share:.3f} of identified shapes, not in {LEAST} to {MOST}"]
    found = {"accounts": options.accounts, "coverage": share, "intervals": len(pooled), "wrong": wrong}
    measure.report("coverage of nominal 90 % intervals", rows, found | {"answers": answers}, options.json)
    print(f"Identified shapes together: {share:.3f} of {len(pooled):,} intervals")
    for line in wrong:
        print(f"MISSED: {line}")
    raise SystemExit(1 if wrong else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=int, default=20, help="of each shape")
    parser.add_argument("--first", type=int, default=1, help="seed of the first market; those below 101 judge only")
    parser.add_argument("--accounts", type=int, default=8_000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--shapes", nargs="+", choices=list(MARKETS), default=list(MARKETS))
    parser.add_argument("--json", type=Path, help="file for the result")
    return parser.parse_args()


def _market(shape: str, accounts: int, seed: int, draws: int) -> list[Held]:
    exposures = simulate_exposures(replace(MARKETS[shape], accounts=accounts), seed)
    effects = Incremental(step_days=7, horizon_days=DAYS).fit(exposures.journeys, exposures.confounders).effects(draws)
    truth = exposures.truth
    true = {
        channel: float(worth)
        for channel, worth, recorded in zip(truth.channels, truth.incremental, truth.recorded, strict=True)
        if recorded
    }
    return _held(effects, true)


def _held(effects: Effects, true: dict[str, float]) -> list[Held]:
    found = [
        Held(row.channel, row.conversions.value, *row.conversions.bounds, true[row.channel], row.tipping)
        for row in effects.rows
        if row.channel in true
    ]
    whole = effects.incremental
    return [*found, Held(_ALL, whole.value, *whole.bounds, sum(true.values()), None)]


def _row(shape: str, levers: Sequence[Held], totals: Sequence[Held]) -> dict[str, Any]:
    acting, idle = ([held for held in levers if (held.truth > 0) == acts] for acts in (True, False))
    tipping = [held.tipping for held in acting if held.tipping is not None]
    return {
        "shape": shape,
        "judged": "yes" if shape in IDENTIFIED else "no",
        "intervals": len(levers),
        "levers": round(_share(levers), 3),
        "with effect": round(_share(acting), 3),
        "without": round(_share(idle), 3),
        "all together": round(_share(totals), 3),
        "half width": round(float(np.mean([(held.high - held.low) / 2 for held in levers])), 1),
        "mean error": round(float(np.mean([held.value - held.truth for held in levers])), 1),
        "tipping": round(float(np.median(tipping)), 2) if tipping else float("nan"),
    }


def _share(intervals: Sequence[Held]) -> float:
    return float(np.mean([held.held for held in intervals])) if intervals else float("nan")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
