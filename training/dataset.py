"""From a ledger to labelled snapshots with features: the rows that teach and the rows that judge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement
from features.catalogue import Catalogue, catalogue
from features.errors import NotEnoughDataError
from features.labels import Cases
from features.relations import Relations, Tables, build
from training.asking import Counts, ask
from training.config import TrainingConfig
from training.origin import channel_of_origin
from training.splits import Accounts, Moments, Split

__all__ = ["Counts", "Dataset", "Say", "build_dataset", "shown"]

Say = Callable[[str], None]


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
        What a row counts, with mean 1 in training and in the test, so that grid and event-triggered moments stand in
        the proportion of the declared use.
    is_event : ndarray of bool, shape (n,)
        Whether the moment is event-triggered; else it is of the grid.
    amount : ndarray of float64, shape (n,)
        Won within the horizon, in units of the reporting currency; NaN where nothing was, or no amount is known.
    digest : str
        SHA-256 of everything the rows were computed from.
    origin : ndarray of str, shape (n,), optional
        Channel of the account's first touch, for slices of the test; no feature.
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
    origin: npt.NDArray[np.str_] | None = None


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
    data_from = _first_event(tables)
    relations = build(tables, agreement)
    cases = Cases.of(tables, relations, agreement, config.goal)
    asked = ask(cases, tables, relations, config, data_from)
    outcome, as_of = cases.label(asked.pairs), asked.pairs.as_of
    _require_outcomes(asked.split, outcome.label, config)
    say(f"computing features of {len(as_of):,} snapshots")
    account = np.array(relations.account_ids, dtype=np.str_)[asked.pairs.account]
    declared = catalogue(agreement)
    from features.offline import evaluate

    return Dataset(
        table=evaluate(relations, account.tolist(), as_of, declared),
        catalogue=declared,
        label=outcome.label,
        account_id=account,
        as_of=as_of,
        split=asked.split,
        counts=asked.counts,
        data_from=data_from,
        data_until=cases.data_until,
        lag=cases.lag,
        lag_is_assumed=cases.lag_is_assumed,
        test_weeks=asked.test_weeks,
        weight=asked.weight,
        is_event=asked.is_event,
        amount=outcome.amount,
        digest=_digest(relations, account, as_of, outcome.label, asked.split.test),
        origin=channel_of_origin(relations)[asked.pairs.account],
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


def _first_event(tables: Tables) -> int:
    occurred = [
        tables[name]["occurred_at"] for name in ("account_touches", "stage_changes", "deals") if tables[name].num_rows
    ]
    if not occurred:
        raise NotEnoughDataError(
            "The ledger holds no touch, stage change or deal.", hint="smarketing ingest FILE --map MAP.toml"
        )
    return int(min(pc.min(column).as_py() for column in occurred))


def _digest(relations: Relations, *rows: npt.NDArray[np.generic]) -> str:
    sink = hashlib.sha256()
    for name in sorted(relations.tables):
        table = relations.tables[name]
        sink.update(name.encode())
        for column in sorted(table.column_names):
            sink.update(column.encode())
            for part in _bytes(table[column].combine_chunks()):
                sink.update(part)
    for array in rows:
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
