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
from training.asking import Asked, Counts, ask
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
        When the ledger is empty, nothing is left to test on, or too few accounts have a complete outcome to learn from.
    """
    say = say or (lambda message: None)
    say("labelling snapshots")
    data_from = _first_event(tables)
    relations = build(tables, agreement)
    cases = Cases.of(tables, relations, agreement, config.goal)
    asked = ask(cases, tables, relations, config, data_from)
    outcome, as_of = cases.label(asked.pairs), asked.pairs.as_of
    _require_outcomes(asked, outcome.label, config)
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


def _require_outcomes(asked: Asked, label: npt.NDArray[np.int8], config: TrainingConfig) -> None:
    train, test, account, won = asked.split.train, asked.split.test, asked.pairs.account, label > 0
    if not test.any():
        raise NotEnoughDataError(
            "No snapshot is left to test on.", hint="Move [split] test_from to an earlier date, or wait for outcomes."
        )
    least, goal = config.data.min_positives, config.goal
    winners, others = (len(np.unique(account[train & flags])) for flags in (won, ~won))
    if winners < least or others < min(least, 1):
        raise NotEnoughDataError(
            f"Training has {winners:,} accounts that reached {goal.reach!r} within {goal.within_days} days and"
            f" {others:,} with a snapshot from which they did not; at least {least:,} and 1 are needed.",
            hint=_mend(winners, len(np.unique(account[test & won])), config),
        )


def _mend(winners: int, later: int, config: TrainingConfig) -> str:
    if winners and winners < config.data.min_positives:
        return f"Train on these few all the same: --set data.min_positives={winners}."
    if later and not winners and config.split.kind == "time":
        return (
            f"{later:,} accounts reached it in the time of the test: let the test begin later, by a smaller [split]"
            " test_share or a later test_from, or choose a goal with fewer days."
        )
    return (
        "Import a longer history, or choose a goal that more accounts reach; until then `smarketing serve` answers with"
        " the points of the agreement."
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
