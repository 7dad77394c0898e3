"""From codes to the columns of the contract: Arrow text by position, and tables in the order in which rows arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import TABLES

Codes: TypeAlias = npt.NDArray[np.integer]
Column: TypeAlias = Any
"""A column of a piece of a table: an Arrow or numpy array, a scalar for all rows, or None for missing."""


def pick(vocabulary: Sequence[str | None] | pa.Array, codes: Codes) -> pa.Array:
    """Return the text at each position; a negative code gives a missing value."""
    known = vocabulary if isinstance(vocabulary, pa.Array) else pa.array(list(vocabulary), pa.string())
    return known.take(pa.array(codes, pa.int64(), mask=np.asarray(codes) < 0))


def label(prefix: str, numbers: Codes, width: int) -> pa.Array:
    """Return ids such as ``A-000012``, padded so that they sort as their numbers; a negative number gives none."""
    text = pc.utf8_lpad(pc.cast(pa.array(numbers, pa.int64()), pa.string()), width, "0")
    named = pc.binary_join_element_wise(prefix, text, "")
    return pc.if_else(pa.array(np.asarray(numbers) >= 0), named, pa.scalar(None, pa.string()))


def account_ids(codes: Codes) -> pa.Array:
    """Return the ids of accounts."""
    return label("A-", np.where(np.asarray(codes) < 0, -1, np.asarray(codes) + 1), 6)


def contact_ids(codes: Codes) -> pa.Array:
    """Return the ids of contacts."""
    return label("C-", np.where(np.asarray(codes) < 0, -1, np.asarray(codes) + 1), 7)


def take(columns: Mapping[str, Column], rows: Codes) -> dict[str, Column]:
    """Return the same columns at some rows; scalars stay as they are."""
    at = pa.array(rows)
    return {
        name: column.take(at)
        if isinstance(column, pa.Array)
        else column[rows]
        if isinstance(column, np.ndarray)
        else column
        for name, column in columns.items()
    }


def entity_table(name: str, columns: Mapping[str, Column], rows: int) -> pa.Table:
    """Return a table of entities: the sender's columns, missing where not given."""
    return _typed(name, columns, rows, extra=())


def fact_table(name: str, pieces: Sequence[Mapping[str, Column]], until: int) -> pa.Table:
    """Return a table of facts in the order in which they became known.

    Parameters
    ----------
    name : str
        A table of the contract.
    pieces : sequence of mapping of str to column
        Rows, a scalar counting for the whole piece. `known_at` must be an array; a missing `revision` is left to the
        ledger.
    until : int
        Rows that happen or become known at `until` or later are left out.

    Returns
    -------
    pyarrow.Table
        The sender's columns, then `revision` and `known_at`, and `deleted` where a piece has it.
    """
    extra = ["revision", "known_at"] + (["deleted"] if any("deleted" in piece for piece in pieces) else [])
    table = pa.concat_tables([_typed(name, piece, len(piece["known_at"]), extra) for piece in pieces])
    clock = TABLES[name].clock
    keep = pc.less(table["known_at"], until)
    if clock is not None:
        keep = pc.and_(keep, pc.less(table[clock], until))
    table = table.filter(keep)
    keys = [("known_at", "ascending")] + [(key, "ascending") for key in TABLES[name].key] + [("revision", "ascending")]
    return table.take(pc.sort_indices(table, sort_keys=keys)).combine_chunks()


def _typed(name: str, columns: Mapping[str, Column], rows: int, extra: Sequence[str]) -> pa.Table:
    types = {column.name: column.type.arrow for column in TABLES[name].stored}
    names = [*TABLES[name].names, *extra]
    return pa.table({column: _whole(columns.get(column), types[column], rows) for column in names})


def _whole(value: Column, kind: pa.DataType, rows: int) -> pa.Array:
    if value is None:
        return pa.nulls(rows, kind)
    if isinstance(value, str | int):
        return pa.repeat(pa.scalar(value, kind), rows)
    return value.cast(kind) if isinstance(value, pa.Array) else pa.array(value).cast(kind)
