"""The price of a stale score: one model, asked just after an event, with features of now, of 6 and of 24 hours ago.

A system that scores once a night answers with features of hours ago; an account that it has not seen yet gets the base
rate. Moments are a seeded sample of five minutes after an event, in the time of the test.
"""

from __future__ import annotations

from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from features.agreement import Agreement
from features.labels import Cases, Pairs
from features.offline import evaluate
from features.relations import Tables, build
from models.bootstrap import Bootstrap, Estimate
from training.asking import event_moments
from training.config import TrainingConfig
from training.run import Trained
from training.splits import local_micros

HOUR = 3_600_000_000
AGES = (0, 6, 24)
AFTER = 5 * 60_000_000


def staleness(
    tables: Tables, agreement: Agreement, config: TrainingConfig, trained: Trained, *, moments: int, seed: int = 0
) -> dict[str, Any]:
    """Return AUC by the age of the features in hours, on all moments and on those of accounts seen a day before."""
    relations = build(tables, agreement)
    cases = Cases.of(tables, relations, agreement, config.goal)
    asked = _asked(event_moments(tables, relations), cases, config, moments, seed)
    label = cases.label(asked).label
    account = np.array(relations.account_ids, dtype=np.str_)[asked.account]
    champion = trained.ladder.champion
    base = np.log(trained.report.base_rate / (1 - trained.report.base_rate))
    seen, logits = {}, {}
    for age in AGES:
        at = Pairs(asked.account, asked.as_of - age * HOUR)
        seen[age] = cases.applies(at)
        rows = evaluate(relations, account[seen[age]].tolist(), at.as_of[seen[age]], trained.dataset.catalogue)
        logits[age] = np.full(len(account), base)
        logits[age][seen[age]] = champion.calibration.logit(champion.scorer.margin(trained.encoding.matrix(rows)))
    before = seen[AGES[-1]]
    return {
        "moments": len(account),
        "accounts": len(np.unique(account)),
        "all": {age: _plain(_auc(label, logits[age], account)) for age in AGES},
        "seen": {age: int(seen[age].sum()) for age in AGES},
        "seen_a_day_before": {age: _plain(_auc(label[before], logits[age][before], account[before])) for age in AGES},
        "gain": _plain(_gain(label[before], logits[0][before], logits[AGES[-1]][before], account[before])),
    }


def print_staleness(found: dict[str, Any]) -> None:
    """Print the table."""
    print(f"\nStaleness: {found['moments']:,} moments of {found['accounts']:,} accounts, 5 minutes after an event")
    print(f"{'features of':>14}  {'scored':>7}  {'AUC, all':>21}  {'AUC, scored a day before':>24}")
    for age in found["all"]:
        name = "now" if int(age) == 0 else f"{age} h ago"
        every, before = _shown(found["all"][age]), _shown(found["seen_a_day_before"][age])
        print(f"{name:>14}  {found['seen'][age]:>7,}  {every:>21}  {before:>24}")
    print(f"gain of now over 24 h ago, scored a day before: {_shown(found['gain'])}")


def _asked(events: Pairs, cases: Cases, config: TrainingConfig, moments: int, seed: int) -> Pairs:
    zone, split = ZoneInfo(config.snapshots.tz), config.split
    if split.test_from is None or split.test_to is None:
        raise ValueError("Staleness is measured between [split] test_from and test_to; both must be given.")
    start, end = (local_micros(day, time(), zone) for day in (split.test_from, split.test_to))
    asked = Pairs(events.account, events.as_of + AFTER)
    chosen = (start <= asked.as_of) & (asked.as_of < end) & cases.applies(asked) & cases.complete(asked)
    rows = np.flatnonzero(chosen)
    drawn = np.random.default_rng(seed).choice(rows, min(moments, len(rows)), replace=False)
    return asked.take(np.sort(drawn))


def _auc(label: Any, logit: Any, account: Any) -> Estimate:
    return Bootstrap.of(label, account).measure(logit).estimates()["auc"]


def _gain(label: Any, fresh: Any, stale: Any, account: Any) -> Estimate:
    drawn = Bootstrap.of(label, account)
    return drawn.measure(fresh).minus(drawn.measure(stale))["auc"]


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _shown(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
