"""What building any relation needs: columns as arrays, validity, and the latest fact of each kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.intervals import latest_spans

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


def ints(table: pa.Table, name: str) -> Ints:
    """Return a column of integers as an array."""
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def validity(table: pa.Table, occurred: Ints) -> tuple[Ints, Ints]:
    """Return the interval of each row of a fact table; empty for retracted rows."""
    start = np.maximum(occurred, ints(table, "known_at"))
    deleted = table["deleted"].to_numpy().astype(bool)
    return start, np.where(deleted, start, ints(table, "known_until"))


def leading(rows: Sequence[tuple]) -> dict[str, pa.Array]:  # type: ignore[type-arg]
    """Return the four leading columns of a relation from rows that begin with them."""
    first = zip(*(row[:4] for row in rows), strict=True) if rows else ((), (), (), ())
    account, start, end, occurred = first
    return {
        "account": pa.array(account, pa.int32()),
        "valid_from": pa.array(start, pa.int64()),
        "valid_until": pa.array(end, pa.int64()),
        "occurred_at": pa.array(occurred, pa.int64()),
    }


def latest_facts(facts: pa.Table) -> tuple[pa.Table, Ints, Ints]:
    """Return the facts, each for every stretch of time over which it is the latest of its entity and field.

    Returns
    -------
    facts : pyarrow.Table
        Rows of the given table, some more than once, by entity, id and field.
    start, end : array of int64
        The stretch, end excluded, in microseconds.
    """
    occurred = ints(facts, "occurred_at")
    start, end = validity(facts, occurred)
    key = np.zeros(facts.num_rows, dtype=np.int64)
    for name in ("entity", "id", "field"):
        code, values = encoded(facts[name])
        key = key * (len(values) + 1) + code
    row, start, end = latest_spans(key, start, end, (occurred, ints(facts, "revision")))
    return facts.take(row), start, end


def encoded(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """Return each row's index into the different values of a text column, -1 for missing, and those values."""
    coded = (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column).dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    return coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), coded.dictionary


def ranks(column: pa.ChunkedArray) -> Ints:
    """Return numbers that order like the texts of a column, missing ones first."""
    code, values = encoded(column)
    order = np.empty(len(values) + 1, dtype=np.int64)
    order[np.argsort(np.array(values.to_pylist(), dtype=object), kind="stable")] = np.arange(len(values))
    order[-1] = -1
    return order[code]


def factorise(values: Sequence[object]) -> tuple[list[object], Ints]:
    """Return the different values in order of appearance, and each row's index into them."""
    seen: dict[object, int] = {}
    codes = np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)
    return list(seen), codes
