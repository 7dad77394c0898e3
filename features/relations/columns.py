"""What building any relation needs: columns as arrays, validity, and the latest fact of each kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

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


def latest_facts(
    facts: pa.Table, owner: Sequence[int] | None = None
) -> Iterator[tuple[Any, str, str | None, tuple[int, int, int]]]:
    """Yield (owner, field, value, (start, end, occurred_at)) while each fact is the latest of its owner and field."""
    occurred = ints(facts, "occurred_at")
    start, end = validity(facts, occurred)
    owners: Sequence[object] = facts["id"].to_pylist() if owner is None else owner
    fields, values = facts["field"].to_pylist(), facts["value"].to_pylist()
    _, key = factorise(list(zip(owners, fields, strict=True)))
    revision = ints(facts, "revision")
    for row, since, until in zip(
        *(column.tolist() for column in latest_spans(key, start, end, (occurred, revision))), strict=True
    ):
        yield owners[row], fields[row], values[row], (since, until, int(occurred[row]))


def factorise(values: Sequence[object]) -> tuple[list[object], Ints]:
    """Return the different values in order of appearance, and each row's index into them."""
    seen: dict[object, int] = {}
    codes = np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)
    return list(seen), codes
