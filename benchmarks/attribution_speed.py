"""All rules, the Markov chain of order 1 and Shapley over sets from a table of ten million touches, beside the peers.

Run ``python -m benchmarks.attribution_speed``. Each arm is a process of its own that reads the same Parquet files of
touches, in no order, and conversions; its CPU seconds and its peak resident size include the interpreter, the imports
and the reading. ``ours`` shares every conversion among single touches by each model. ``draws`` is the bootstrap of the
chain: 200 draws of accounts on 100,000 journeys. A peer reads paths, which are made for it from our journeys; the time
of both is in its row, and its own beside it. The command fails when a limit is broken, when a model does not share
exactly what there is, or when a peer that is exact says something else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import measure

CHANNELS = 16
LIMITS = {"cpu_seconds": 10.0, "peak_mb": 2_000.0}
DRAWS_SECONDS = 2.0
PEER = "ChannelAttribution"
PEER_MODELS = ("first", "last", "linear", "markov_1")
EXACT = ("first", "last", "linear")
"""Models of the peer that are not simulated, and must agree with ours."""


def main() -> None:
    options = _options()
    if options.arm:
        print(json.dumps({"ours": _ours, "draws": _draws, "peer": _peer}[options.arm](Path(options.data))))
        return
    with tempfile.TemporaryDirectory() as folder:
        _write(options.touches, Path(folder))
        rows, found = [], {}
        for arm in options.arms.split(","):
            try:
                cost, found[arm] = measure.python(
                    ["-m", "benchmarks.attribution_speed", "--arm", arm, "--data", folder],
                    env={"OPENBLAS_NUM_THREADS": "1"},
                )
            except SystemExit as error:
                if arm != "peer":
                    raise
                print(f"The peers are left out, their environment can not be made: {error}")
                continue
            rows.append(measure.row(arm if arm != "peer" else PEER, cost, own_seconds=found[arm]["seconds"]))
    ours = found.get("ours", {})
    title = f"{options.touches:,} touches, {ours.get('journeys', 0):,} journeys, {CHANNELS} channels"
    wrong = _wrong(rows, found, options.touches)
    measure.report(title, rows, {"arms": found, "wrong": wrong}, options.json)
    if wrong:
        raise SystemExit("\n".join(wrong))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--touches", type=int, default=10_000_000)
    parser.add_argument("--arms", default="ours,draws,peer", help="which arms to run, in order")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--arm", choices=("ours", "draws", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    return parser.parse_args()


def _write(touches: int, folder: Path) -> None:
    """Write a market without a truth: accounts of uneven activity, a conversion for every thirtieth touch."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    accounts = touches * 145 // 1_000
    activity = np.cumsum(random.lognormal(0.0, 0.5, accounts))
    owner = np.searchsorted(activity, random.random(touches) * activity[-1])
    minutes = 60_000_000
    popular = 1 / np.arange(1, CHANNELS + 1)
    channel = random.choice(CHANNELS, touches, p=popular / popular.sum()).astype(np.int8)
    names = pa.array([f"Channel {number:02d}" for number in range(CHANNELS)])
    pq.write_table(
        pa.table(
            {
                "account": owner.astype(np.int32),
                "occurred_at": random.integers(0, 365 * 24 * 60, touches) * minutes,
                "channel": pa.DictionaryArray.from_arrays(pa.array(channel), names),
            }
        ),
        folder / "touches.parquet",
    )
    won = random.choice(accounts, touches // 30, replace=False)
    pq.write_table(
        pa.table(
            {
                "account": won.astype(np.int32),
                "at": random.integers(0, 365 * 24 * 60, len(won)) * minutes,
                "revenue": random.integers(10_000, 1_000_000, len(won)),
            }
        ),
        folder / "conversions.parquet",
    )


def _journeys(folder: Path) -> Any:
    import pyarrow.parquet as pq

    from features.journeys import journeys_of

    read = (pq.read_table(folder / f"{name}.parquet") for name in ("touches", "conversions"))
    return journeys_of(*read)


def _ours(folder: Path) -> dict[str, Any]:
    from features.agreement import Agreement
    from models.attribution.credit import AttributionModel
    from models.attribution.markov import Markov
    from models.attribution.rules import rules
    from models.attribution.shapley import ShapleySets

    own = rules(Agreement.load(None).attribution).values()
    models: list[AttributionModel] = [*own, Markov(), ShapleySets()]
    marks = [("", time.process_time())]
    journeys = _journeys(folder)
    marks.append(("journeys", time.process_time()))
    credit = {}
    for model in models:
        credit[model.name] = _totals(model.fit(journeys).credit(journeys))
        marks.append((model.name, time.process_time()))
    steps = {name: round(now - before, 2) for (_, before), (name, now) in pairwise(marks)}
    return {
        "journeys": journeys.size,
        "conversions": int(journeys.converted.sum()),
        "credit": credit,
        "seconds": round(marks[-1][1] - marks[0][1], 2),
        "steps": steps,
    }


def _draws(folder: Path) -> dict[str, Any]:
    import numpy as np

    from models.attribution.draws import Draws
    from models.attribution.intervals import replicates
    from models.attribution.markov import Markov

    journeys = _journeys(folder)
    some = journeys.take(np.arange(min(100_000, journeys.size)))
    began = time.process_time()
    model = Markov().fit(some)
    found = replicates(model, model.credit(some), Draws.of(some, draws=200))
    shares = {label: [share.value, *share.bounds] for label, share in found.shares().items()}
    return {"journeys": some.size, "shares": shares, "seconds": round(time.process_time() - began, 2)}


def _peer(folder: Path) -> dict[str, Any]:
    from benchmarks.peers.environment import Running

    try:
        answers = Running(_journeys(folder), [f"{PEER} {name}" for name in PEER_MODELS], 600, folder).answers()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(str(error)) from error
    return {"answers": answers, "seconds": round(sum(answer.get("seconds", 0.0) for answer in answers.values()), 2)}


def _totals(credit: Any) -> dict[str, float]:
    import numpy as np

    from models.attribution.allocation import players

    names, code = players(credit.journeys)
    _, touch, given = credit.rows
    is_touch = touch >= 0
    totals = np.bincount(code[touch[is_touch]], weights=given[is_touch], minlength=len(names)).tolist()
    return dict(zip(names, totals, strict=True)) | {"(no touch)": float(given[~is_touch].sum())}


def _wrong(rows: list[dict[str, Any]], found: dict[str, Any], touches: int) -> list[str]:
    wrong = []
    ours = found.get("ours", {"credit": {}})
    if touches <= 10_000_000:
        for row in rows:
            wrong += [
                f"{key} of ours is {row[key]}, above {limit}"
                for key, limit in LIMITS.items()
                if row["arm"] == "ours" and row[key] > limit
            ]
    if "draws" in found and found["draws"]["seconds"] > DRAWS_SECONDS:
        wrong.append(f"200 draws take {found['draws']['seconds']} CPU seconds, above {DRAWS_SECONDS}")
    for name, credit in ours["credit"].items():
        if abs(sum(credit.values()) - ours["conversions"]) > 1e-6 * ours["conversions"]:
            wrong.append(f"{name} shares {sum(credit.values())} of {ours['conversions']} conversions")
    for name in EXACT if ours["credit"] else ():
        answer = found.get("peer", {"answers": {}})["answers"].get(f"{PEER} {name}", {})
        for channel, credit in answer.get("credit", {}).items():
            if abs(credit - ours["credit"][name][channel]) > 1e-6 * max(credit, 1.0):
                wrong.append(f"{name}, {channel}: {ours['credit'][name][channel]} and {credit} of {PEER}")
    return wrong


if __name__ == "__main__":
    main()
