"""From a ledger to labelled snapshots with features: the rows that teach and the rows that judge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as clock_time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement
from features.catalogue import Catalogue, catalogue
from features.errors import NotEnoughDataError
from features.labels import Labelled, label, newest_known
from features.relations import Relations, Tables, build
from features.schema import DAY
from training.config import DataSettings, TrainingConfig
from training.splits import (
    Accounts,
    Moments,
    Split,
    account_split,
    default_test_from,
    local_micros,
    moments,
    time_split,
)

if TYPE_CHECKING:
    from datetime import date

Say = Callable[[str], None]


@dataclass(frozen=True)
class Counts:
    """What became of the snapshots.

    Parameters
    ----------
    eligible : int
        Account and moment pairs in a stage of the goal.
    censored : int
        Eligible, but the horizon and the reporting lag are not complete: left out.
    purged : int
        Labelled, but too close to the test: left out.
    sampled_out : int
        Left out by `DataSettings.max_train` and `max_test`.
    train, test : int
        What is left.
    """

    eligible: int
    censored: int
    purged: int
    sampled_out: int
    train: int
    test: int


@dataclass(frozen=True)
class Dataset:
    """Snapshots of n (account, moment) pairs, training and test.

    Parameters
    ----------
    table : pyarrow.Table of n rows
        A column per feature of the catalogue.
    catalogue : Catalogue
    label : ndarray of int8, shape (n,)
    account_id : ndarray of str, shape (n,)
    as_of : ndarray of int64, shape (n,)
        UTC microseconds.
    split : Split
    counts : Counts
    data_from, data_until : int
        First event and newest known thing of the ledger, UTC microseconds.
    lag : int
        Reporting lag in microseconds.
    lag_is_assumed : bool
        Whether the ledger only has assumed times, so that the lag is taken to be 0.
    test_weeks : float
        Weeks that the test moments stand for.
    weight : ndarray of float64, shape (n,)
        What a row counts, so that grid and event-triggered moments stand in the proportion of the declared use.
    is_event : ndarray of bool, shape (n,)
        Whether the moment is event-triggered; else it is of the grid.
    amount : ndarray of float64, shape (n,)
        Won within the horizon, in units of the reporting currency; NaN where nothing was, or no amount is known.
    digest : str
        SHA-256 of everything the rows were computed from.
    """

    table: pa.Table
    catalogue: Catalogue
    label: npt.NDArray[np.int8]
    account_id: Accounts
    as_of: Moments
    split: Split
    counts: Counts
    data_from: int
    data_until: int
    lag: int
    lag_is_assumed: bool
    test_weeks: float
    weight: npt.NDArray[np.float64]
    is_event: npt.NDArray[np.bool_]
    amount: npt.NDArray[np.float64]
    digest: str


def build_dataset(tables: Tables, agreement: Agreement, config: TrainingConfig, *, say: Say | None = None) -> Dataset:
    """Label the snapshots of a ledger, split them, and compute their features.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        As `Ledger.tables` gives them.
    agreement : Agreement
    config : TrainingConfig
    say : callable, optional
        Told what is being done.

    Raises
    ------
    NotEnoughDataError
        When the ledger is empty, or too few outcomes are complete.
    """
    say = say or (lambda message: None)
    say("labelling snapshots")
    data_from, data_until = _span(tables)
    plan = _plan(config, data_from, data_until)
    relations = build(tables, agreement)
    labelled = label(tables, relations, agreement, config.goal, np.union1d(plan.teach, plan.judge))
    account = np.array(labelled.account_id.to_pylist(), dtype=np.str_)
    _require(len(account) > 0, labelled, config)
    split = _split(config, plan, labelled, account)
    kept, sampled_out = _sample(split, config.data, config.seed)
    counts = Counts(
        eligible=len(account) + labelled.censored,
        censored=labelled.censored,
        purged=split.purged,
        sampled_out=sampled_out,
        train=int(split.train[kept].sum()),
        test=int(split.test[kept].sum()),
    )
    weeks = _test_weeks(labelled.as_of[split.test], counts.test / max(int(split.test.sum()), 1))
    split, label_, as_of, account = split.only(account, kept), labelled.label[kept], labelled.as_of[kept], account[kept]
    _require_outcomes(split, label_, config)
    say(f"computing features of {len(kept):,} snapshots")
    declared = catalogue(agreement)
    from features.offline import evaluate

    return Dataset(
        table=evaluate(relations, account.tolist(), as_of, declared),
        catalogue=declared,
        label=label_,
        account_id=account,
        as_of=as_of,
        split=split,
        counts=counts,
        data_from=data_from,
        data_until=labelled.data_until,
        lag=labelled.lag,
        lag_is_assumed=labelled.lag_is_assumed,
        test_weeks=weeks,
        weight=np.ones(len(kept)),
        is_event=np.zeros(len(kept), dtype=np.bool_),
        amount=np.full(len(kept), np.nan),
        digest=_digest(relations, account, as_of, label_),
    )


@dataclass(frozen=True)
class _Plan:
    teach: Moments
    judge: Moments
    is_told: bool
    """Whether the test moments were given; else they are the end of `teach`, found once labels are."""


def _plan(config: TrainingConfig, data_from: int, data_until: int) -> _Plan:
    told, split = config.snapshots, config.split
    zone = ZoneInfo(told.tz)

    def start(day: date | None, otherwise: int) -> int:
        return otherwise if day is None else local_micros(day, clock_time(), zone)

    until = data_until + 1
    teach = moments(
        start(told.from_, data_from), start(told.to, until), told.every, told.at, told.tz, anchor=told.from_
    )
    if split.kind == "folds" or split.test_from is None:
        return _Plan(teach, teach[:0], False)
    judge = moments(
        start(split.test_from, 0),
        start(split.test_to, until),
        split.test_every or told.every,
        split.test_at or told.at,
        told.tz,
        anchor=split.test_from,
    )
    return _Plan(teach, judge, True)


def _split(config: TrainingConfig, plan: _Plan, labelled: Labelled, account: Accounts) -> Split:
    if config.split.kind == "folds":
        return account_split(account, labelled.label, config.split.folds, config.seed)
    judge = plan.judge
    if not plan.is_told:
        usable = np.unique(labelled.as_of)
        judge = usable[usable >= default_test_from(usable, config.split.test_share)]
    embargo = config.goal.within_days * DAY + labelled.lag
    return time_split(account, labelled.as_of, plan.teach, judge, embargo)


def _sample(split: Split, limits: DataSettings, seed: int) -> tuple[npt.NDArray[np.int64], int]:
    random = np.random.default_rng(seed)
    kept, sampled_out = [], 0
    for flags, limit in ((split.train, limits.max_train), (split.test, limits.max_test)):
        rows = np.flatnonzero(flags)
        if len(rows) > limit:
            sampled_out += len(rows) - limit
            rows = random.choice(rows, limit, replace=False)
        kept.append(rows)
    return np.sort(np.concatenate(kept)), sampled_out


def _require(is_enough: bool, labelled: Labelled, config: TrainingConfig) -> None:
    if not is_enough:
        goal = config.goal
        raise NotEnoughDataError(
            f"No snapshot for the goal {goal.name!r} has a complete outcome: {labelled.censored:,} eligible ones are"
            f" within {goal.within_days} days of the end of the ledger.",
            hint="Import a longer history, or choose a goal with a shorter horizon.",
        )


def _require_outcomes(split: Split, labels: npt.NDArray[np.int8], config: TrainingConfig) -> None:
    least = config.data.min_positives
    for name, flags in (("Training", split.train), ("The test", split.test)):
        positive = int(labels[flags].sum())
        negative = int(flags.sum()) - positive
        if positive < least or negative < 2:
            raise NotEnoughDataError(
                f"{name} has {positive:,} snapshots that reached {config.goal.reach!r} within {config.goal.within_days}"
                f" days and {negative:,} that did not; at least {least:,} and 2 are needed.",
                hint="Import a longer history, take a goal with more outcomes, widen [snapshots] and [split],"
                " or lower data.min_positives.",
            )


def _span(tables: Tables) -> tuple[int, int]:
    occurred = [
        tables[name]["occurred_at"] for name in ("account_touches", "stage_changes", "deals") if tables[name].num_rows
    ]
    if not occurred:
        raise NotEnoughDataError(
            "The ledger holds no touch, stage change or deal.", hint="smarketing ingest FILE --map MAP.toml"
        )
    return min(pc.min(column).as_py() for column in occurred), newest_known(tables)


def _test_weeks(as_of: Moments, share: float) -> float:
    days = np.unique(as_of // DAY)
    if len(days) < 2:
        return share
    # The last test day stands for as long as those before it, on average.
    return float((days[-1] - days[0]) * len(days) / (len(days) - 1) / 7 * share)


def _digest(relations: Relations, account: Accounts, as_of: Moments, labels: npt.NDArray[np.int8]) -> str:
    sink = hashlib.sha256()
    for name in sorted(relations.tables):
        table = relations.tables[name]
        sink.update(name.encode())
        for column in sorted(table.column_names):
            sink.update(column.encode())
            for part in _bytes(table[column].combine_chunks()):
                sink.update(part)
    for array in (account, as_of, labels):
        sink.update(np.ascontiguousarray(array).tobytes())
    return sink.hexdigest()


def _bytes(values: pa.Array) -> Iterator[bytes]:
    # Not the buffers as they are: what lies in the place of a missing value is not defined.
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    yield values.is_null().to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        filled = values.fill_null("")
        yield pc.binary_length(filled).to_numpy().tobytes()
        yield "".join(filled.to_pylist()).encode()
    else:
        yield (
            values.fill_null(False if pa.types.is_boolean(values.type) else 0).to_numpy(zero_copy_only=False).tobytes()
        )


def shown(moment: int) -> str:
    """Return a moment as ISO 8601 text in UTC, to the second."""
    return datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
