"""Thousands of answers over HTTP: sums, equality with the offline engine, and a touch that is in the next answer.

Run ``python -m benchmarks.answers``. A simulated market is ingested and trained by the commands themselves; then a
service answers. Every answer is asked for with all contributions, so that each value can be compared with what the
offline engine gives for the same account and moment.
"""

from __future__ import annotations

import argparse
import http.client
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure, service
from features import offline, relations
from features.agreement import Agreement
from features.catalogue import catalogue
from features.ledger import Ledger, now_micros

TOLERANCE = 1e-9
DAY = 86_400_000_000


def main() -> None:
    options = _options()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        store = _trained(Path(folder), options.accounts)
        with Ledger.open(store) as ledger:
            accounts = ledger.export("accounts")["account_id"].to_pylist()
        with service.running(store, Path(folder, "smarketing.bundles")) as port:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            answers: list[dict[str, Any]] = []
            while len(answers) < options.answers:
                answer = _score(connection, rng.choice(accounts), _moment(rng))
                answers += [answer] if answer["applicable"] else []
            # Before more is known: half of the answers are about moments that have yet to come.
            different = _different(store, answers)
            missed, seconds = _read_your_writes(connection, rng, accounts, options.touches)
            connection.close()
    found = {
        "answers": len(answers),
        "largest_gap_of_log_odds": max(map(_logit_gap, answers)),
        "largest_gap_of_probability": max(map(_probability_gap, answers)),
        "values_that_differ_from_offline": different,
        "touches": options.touches,
        "touches_missing_in_the_next_answer": missed,
        "milliseconds_per_touch_and_answer": 1000 * seconds / max(options.touches, 1),
    }
    measure.report("answers", [{"figure": name, "value": value} for name, value in found.items()], found, options.json)
    wrong = (
        different or missed or max(found["largest_gap_of_log_odds"], found["largest_gap_of_probability"]) > TOLERANCE
    )
    raise SystemExit(1 if wrong else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=2_000, help="answers with a probability")
    parser.add_argument("--touches", type=int, default=2_000)
    parser.add_argument("--accounts", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the result")
    return parser.parse_args()


def _trained(folder: Path, accounts: int) -> Path:
    light = ["--set", "snapshots.every=28", "--set", "data.max_train=3000", "--set", "data.max_test=2000"]
    for arguments in (
        ["simulate", "--accounts", str(accounts), "--seed", "7", "--out", "market"],
        ["ingest", "market"],
        ["train", *light],
    ):
        command = [sys.executable, str(measure.ROOT / "smarketing.py"), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(measure.ROOT)}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder / "smarketing.db"


def _moment(rng: random.Random) -> int | None:
    """Half of the questions are asked now, the others at any moment from two years ago to a year ahead."""
    return None if rng.random() < 0.5 else now_micros() + rng.randrange(-730 * DAY, 365 * DAY)


def _score(connection: http.client.HTTPConnection, account: str, moment: int | None) -> dict[str, Any]:
    body = {"accountId": account, "goal": "won_90d"} | ({} if moment is None else {"asOf": service.rfc3339(moment)})
    return service.ask(connection, "/v1/scores?contributions=all", body)


def _read_your_writes(
    connection: http.client.HTTPConnection, rng: random.Random, accounts: Sequence[str], touches: int
) -> tuple[int, float]:
    """Return how many accepted touches were not in the next answer, and the seconds all of it took."""
    missed, started = 0, time.perf_counter()
    for number in range(touches):
        account = rng.choice(accounts)
        before = service.ask(connection, "/v1/scores", {"accountId": account})
        at = service.rfc3339(now_micros())
        touch = {"source": "benchmark", "eventId": f"{number:05d}", "occurredAt": at, "accountId": account}
        said = service.ask(
            connection, "/v1/touchpoints", {"touchpoints": [touch | {"channel": "Direct", "touchType": "demo_request"}]}
        )
        after = service.ask(connection, "/v1/scores", {"accountId": account})
        counted = after["eventsFolded"] >= before["eventsFolded"] and after["newestEvent"] == at
        missed += not (said["accepted"] and counted and after["ledgerSeq"] >= said["ledgerSeq"])
    return missed, time.perf_counter() - started


def _different(store: Path, answers: Sequence[Mapping[str, Any]]) -> int:
    """Return how many values in the answers are not those of the offline engine."""
    agreement = Agreement.load(None)
    declared = catalogue(agreement)
    moments = np.array([_micros(answer["asOf"]) for answer in answers], dtype=np.int64)
    with Ledger.open(store) as ledger:
        built = relations.build(ledger.tables(), agreement)
    rows = offline.evaluate(built, [answer["accountId"] for answer in answers], moments, declared).to_pylist()
    different = 0
    for row, answer in zip(rows, answers, strict=True):
        given = {part["feature"]: part["value"] for part in answer["contributions"]}
        different += sum(not _same(value, given[name]) for name, value in row.items())
    return different


def _same(left: float | str | None, right: float | str | None) -> bool:
    missing = [value is None or value != value for value in (left, right)]
    if any(missing) or isinstance(left, str) or isinstance(right, str):
        return all(missing) or left == right
    return math.isclose(left or 0.0, right or 0.0, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _logit_gap(answer: Mapping[str, Any]) -> float:
    parts = math.fsum(part["logit"] for part in answer["contributions"])
    return abs(float(answer["baseLogit"]) + parts - float(answer["logit"]))


def _probability_gap(answer: Mapping[str, Any]) -> float:
    points = math.fsum(part["percentagePoints"] for part in answer["contributions"])
    return abs(100 * float(answer["baseProbability"]) + points - 100 * float(answer["probability"]))


def _micros(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


if __name__ == "__main__":
    main()
