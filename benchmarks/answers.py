"""Thousands of answers over HTTP: sums, equality with the offline engine, a touch in the next answer, and replays.

Run ``python -m benchmarks.answers``. A simulated market is ingested and trained by the commands themselves; then a
service answers, in batches. Every answer is asked for with all contributions, so that each value can be compared with
what the offline engine gives for the same account and moment. Then touches are sent, late ones among them, and a sample
of the scores on record is given again, bit for bit.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks import measure, service
from features import offline, relations
from features.agreement import Agreement
from features.catalogue import catalogue
from features.ledger import Ledger, now_micros

TOLERANCE = 1e-9
BATCH = 20
LATE = 2_000


@dataclass(frozen=True)
class _Checked:
    """What is kept of an answer with hundreds of contributions; its values are in the order of the features' names."""

    account_id: str
    as_of: int
    logit_gap: float
    probability_gap: float
    values: tuple[float | str | None, ...]


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
            answers: list[_Checked] = []
            began = time.perf_counter()
            while len(answers) < options.answers:
                answers += _answers(connection, [(rng.choice(accounts), _moment(rng)) for _ in range(BATCH)])
            answers = answers[: options.answers]
            taken = time.perf_counter() - began
            # Before more is known: half of the answers are about moments that have yet to come.
            different = _different(store, answers)
            # The service has hung up in the meantime; the next request opens a connection again.
            connection.close()
            missed, seconds = _read_your_writes(connection, rng, accounts, options.touches)
            _send_late(connection, rng, accounts)
            connection.close()
        replayed = _replayed(store, options.replays, options.seed)
    found = {
        "answers": len(answers),
        "milliseconds_per_answer_and_check": 1000 * taken / len(answers),
        "largest_gap_of_log_odds": max(answer.logit_gap for answer in answers),
        "largest_gap_of_probability": max(answer.probability_gap for answer in answers),
        "values_that_differ_from_offline": different,
        "touches": options.touches,
        "touches_missing_in_the_next_answer": missed,
        "milliseconds_per_touch_and_answer": 1000 * seconds / max(options.touches, 1),
        "replayed": replayed["replayed"],
        "replays_that_differ": replayed["different"],
    }
    measure.report("answers", [{"figure": name, "value": value} for name, value in found.items()], found, options.json)
    gap = max(found["largest_gap_of_log_odds"], found["largest_gap_of_probability"])
    few = replayed["replayed"] < options.replays
    raise SystemExit(1 if different or missed or replayed["different"] or few or gap > TOLERANCE else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=10_000, help="answers with a probability")
    parser.add_argument("--touches", type=int, default=2_000)
    parser.add_argument("--replays", type=int, default=2_000, help="scores on record given again")
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
        _smarketing(folder, *arguments)
    return folder / "smarketing.db"


def _smarketing(folder: Path, *arguments: str) -> str:
    command = [sys.executable, str(measure.ROOT / "smarketing.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(measure.ROOT)}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if ended.returncode and "--replay" not in arguments:
        raise SystemExit(f"{' '.join(arguments)} ended with {ended.returncode}.\n{ended.stderr}")
    return ended.stdout


def _replayed(store: Path, replays: int, seed: int) -> dict[str, Any]:
    """Give a sample of the scores on record again and return what the command says of it."""
    with Ledger.open(store) as ledger:
        recorded = ledger.export("scores")
    rows = np.random.default_rng(seed).choice(recorded.num_rows, min(replays, recorded.num_rows), replace=False)
    sample = store.with_name("sample.parquet")
    pq.write_table(recorded.take(rows), sample)
    said: dict[str, Any] = json.loads(_smarketing(store.parent, "score", "--replay", str(sample), "--json"))
    return said


def _moment(rng: random.Random) -> int | None:
    """Half of the questions are asked now, the others at any moment from two years ago to a year ahead."""
    return None if rng.random() < 0.5 else now_micros() + rng.randrange(-730 * DAY, 365 * DAY)


def _answers(connection: http.client.HTTPConnection, asked: Sequence[tuple[str, int | None]]) -> list[_Checked]:
    """Return what is to be checked of the answers of one batch that have a probability."""
    requests = [
        {"accountId": account, "goal": "won_90d"} | ({} if moment is None else {"asOf": service.rfc3339(moment)})
        for account, moment in asked
    ]
    said = service.ask(connection, "/v1/scores/batch?contributions=all", {"requests": requests})
    return [_checked(one["answer"]) for one in said["results"] if one["answer"]["applicable"]]


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


def _send_late(connection: http.client.HTTPConnection, rng: random.Random, accounts: Sequence[str]) -> None:
    """Send touches of the last year, as known when they happened: replays must not see them."""
    rows = [
        {"source": "late", "eventId": f"{number:05d}", "accountId": rng.choice(accounts), "touchType": "meeting"}
        | {"occurredAt": service.rfc3339(now_micros() - rng.randrange(365 * DAY))}
        for number in range(LATE)
    ]
    service.ask(connection, "/v1/touchpoints", {"touchpoints": rows, "backfill": True})


def _different(store: Path, answers: Sequence[_Checked]) -> int:
    """Return how many values in the answers are not those of the offline engine."""
    agreement = Agreement.load(None)
    declared = catalogue(agreement)
    moments = np.array([answer.as_of for answer in answers], dtype=np.int64)
    with Ledger.open(store) as ledger:
        built = relations.build(ledger.tables(), agreement)
    found = offline.evaluate(built, [answer.account_id for answer in answers], moments, declared)
    # A bundle's features are all of the catalogue; sorted by name both sides are in one order.
    columns = [found[name].to_pylist() for name in sorted(declared.names)]
    return sum(
        not _same(value, given)
        for row, answer in zip(zip(*columns, strict=True), answers, strict=True)
        for value, given in zip(row, answer.values, strict=True)
    )


def _same(left: float | str | None, right: float | str | None) -> bool:
    missing = [value is None or value != value for value in (left, right)]
    if any(missing) or isinstance(left, str) or isinstance(right, str):
        return all(missing) or left == right
    return math.isclose(left or 0.0, right or 0.0, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _checked(answer: Mapping[str, Any]) -> _Checked:
    parts = sorted(answer["contributions"], key=lambda part: str(part["feature"]))
    values = tuple(part["value"] for part in parts)
    return _Checked(answer["accountId"], _micros(answer["asOf"]), _logit_gap(answer), _probability_gap(answer), values)


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
