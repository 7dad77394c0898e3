"""The catalogue for many accounts and moments at once, on DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.algebra import RELATIONS, Atom, Count, Decayed, Distinct, Latest, Mean, Recency, Sum
from features.catalogue import Catalogue
from features.offline_sql import Codes, Grouped, Single, codes, columns, queries, seen
from features.plan import is_text, plan
from features.relations import Relations
from features.schema import DAY

if TYPE_CHECKING:
    import duckdb

Floats = npt.NDArray[np.float64]

CELLS_PER_PART = 16_000_000
"""Pairs times features computed at once; bounds the memory, whatever the number of pairs."""


def evaluate(
    relations: Relations, account_ids: Sequence[str] | pa.Array, as_of: npt.NDArray[np.int64], catalogue: Catalogue
) -> pa.Table:
    """Return the value of every feature for every (account, moment).

    Parameters
    ----------
    relations : Relations
    account_ids : sequence of str or pyarrow.Array, length n
        Accounts that the relations do not hold have no rows: their counts are 0 and the rest is missing.
    as_of : array of int64, shape (n,)
        Microseconds since the epoch, UTC.
    catalogue : Catalogue

    Returns
    -------
    pyarrow.Table of n rows
        In the order of the pairs, a column per feature in catalogue order: float64 with NaN for missing, or text with
        null for missing.
    """
    parts = list(evaluate_parts(relations, account_ids, as_of, catalogue))
    if not parts:
        return _schema(catalogue).empty_table()
    order = np.concatenate([rows for rows, _ in parts])
    table = pa.concat_tables([part for _, part in parts])
    return table if (np.diff(order) > 0).all() else table.take(np.argsort(order))


def evaluate_parts(
    relations: Relations, account_ids: Sequence[str] | pa.Array, as_of: npt.NDArray[np.int64], catalogue: Catalogue
) -> Iterator[tuple[npt.NDArray[np.int64], pa.Table]]:
    """Yield (rows, features) of a part of the pairs at a time, for results that do not fit in memory.

    Pairs are taken in the order of their accounts; `rows` says which of the given pairs a part holds.
    """
    account = _codes_of(relations, account_ids)
    order = np.argsort(account, kind="stable")
    size = max(CELLS_PER_PART // max(len(catalogue.features), 1), 1)
    with _Engine(relations, catalogue) as engine:
        for begin in range(0, len(order), size):
            rows = order[begin : begin + size]
            yield rows, engine.evaluate(account[rows], np.asarray(as_of, dtype=np.int64)[rows])


def _codes_of(relations: Relations, account_ids: Sequence[str] | pa.Array) -> npt.NDArray[np.int32]:
    wanted = account_ids if isinstance(account_ids, pa.Array | pa.ChunkedArray) else pa.array(account_ids, pa.string())
    found = pc.index_in(wanted, pa.array(relations.account_ids, pa.string()))
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int32)


class _Engine:
    """A DuckDB connection with the relations, their texts replaced by integers."""

    def __init__(self, relations: Relations, catalogue: Catalogue) -> None:
        import duckdb

        self.relations, self.catalogue = relations, catalogue
        self.plan = plan(catalogue)
        self.filters = {name: codes(self.plan.atoms, name) for name in RELATIONS}
        self.grouped, self.single = queries(self.plan.atoms, self.filters)
        self.rows = {
            name: _rows(relations.tables[name], name, self.plan.atoms, self.filters[name]) for name in RELATIONS
        }
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(":memory:")
        self.connection.register("answers", relations.tables["answers"])

    def __enter__(self) -> _Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def evaluate(self, account: npt.NDArray[np.int32], as_of: npt.NDArray[np.int64]) -> pa.Table:
        """Return the features of pairs sorted by account."""
        self.connection.register(
            "pairs", pa.table({"pair": np.arange(len(account)), "account": account, "as_of": as_of})
        )
        low, high = int(account.min()), int(account.max())
        for name, rows in self.rows.items():
            first, stop = np.searchsorted(rows["account"].to_numpy(), (low, high + 1))
            self.connection.register(name, rows.slice(first, stop - first))
            statement = seen(name, self.plan.atoms, self.filters[name])
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE seen_{name} AS {statement}")
        numbers = np.full((len(self.plan.atoms), len(account)), np.nan)
        texts: dict[int, pa.Array] = {}
        for place, atom in enumerate(self.plan.atoms):
            if isinstance(atom, Count | Sum | Distinct | Decayed):
                numbers[place] = 0.0
        for grouped in self.grouped:
            self._spread(grouped, numbers, texts)
        for single in self.single:
            self._scatter(single, numbers)
        arrays = [
            texts[place] if place in texts else pa.array(self.plan.feature(index, numbers))
            for index, place in enumerate(self.plan.numerator)
        ]
        return pa.table(dict(zip(self.catalogue.names, arrays, strict=True)), schema=_schema(self.catalogue))

    def _fetch(self, sql: str) -> dict[str, Any]:
        return self.connection.execute(sql).fetchnumpy()

    def _scatter(self, single: Single, numbers: Floats) -> None:
        found = self._fetch(single.sql)
        for column, place in enumerate(single.places):
            numbers[place, found["pair"]] = _floats(found[f"c{column}"])

    def _spread(self, grouped: Grouped, numbers: Floats, texts: dict[int, pa.Array]) -> None:
        """Combine, for every atom, the rows of the codes that its filter lets pass.

        Within one code every pair stands once, so that plain indexed addition is exact.
        """
        filters = self.filters[grouped.relation]
        found = self._fetch(grouped.sql(filters))
        codes_found = _narrow(found["code"])
        by_code = np.argsort(codes_found, kind="stable")
        pair = found["pair"][by_code]
        values = {name: _floats(found[name])[by_code] for name in grouped.parts.values()}
        edges = codes_found[by_code].searchsorted
        for place, atom, names in grouped.atoms:
            slices = [slice(*edges((code, code + 1))) for code in filters.passing(atom.where)]
            if isinstance(atom, Count | Sum | Decayed):
                numbers[place] = _sum(pair, values[names[0]], slices, numbers.shape[1])
            elif isinstance(atom, Mean):
                total, number = (_sum(pair, values[name], slices, numbers.shape[1]) for name in names)
                numbers[place] = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
            elif isinstance(atom, Recency):
                for part in slices:
                    numbers[place, pair[part]] = np.fmin(numbers[place, pair[part]], values[names[0]][part])
                numbers[place] /= DAY
            elif isinstance(atom, Latest):
                for part in slices:
                    numbers[place, pair[part]] = np.fmax(numbers[place, pair[part]], values[names[0]][part])
                self._look_up(place, atom, numbers, texts)

    def _look_up(self, place: int, atom: Latest, numbers: Floats, texts: dict[int, pa.Array]) -> None:
        """Replace the line numbers found for a Latest by the column's values there."""
        column = self.relations.tables[atom.of][atom.column]
        lines = numbers[place]
        values = column.take(pa.array(lines, pa.int64(), from_pandas=True, safe=False))
        if is_text(atom):
            texts[place] = values
        else:
            numbers[place] = _floats(values.to_numpy())


def _rows(table: pa.Table, relation: str, atoms: Sequence[Atom], filters: Codes) -> pa.Table:
    """Return a relation with line numbers, and integers for the texts that atoms read."""
    rows = table.select(["account", "valid_from", "valid_until", "occurred_at"])
    rows = rows.append_column("line", pa.array(np.arange(table.num_rows)))
    for name, values in filters.values.items():
        code = pc.index_in(table[name], pa.array(values, pa.string())).fill_null(-1)
        rows = rows.append_column(f"f_{name}", pc.add(code, 1).cast(pa.int32()))
    for name in columns(atoms, relation):
        column = table[name]
        if name in RELATIONS[relation]["text"]:
            column = column.combine_chunks().dictionary_encode().indices
        rows = rows.append_column(name, column)
    return rows


def _narrow(code: npt.NDArray[np.int64]) -> npt.NDArray[np.integer]:
    """Return codes in 16 bits where they fit: numpy sorts those several times faster."""
    return code.astype(np.int16) if code.max(initial=0) < 2**15 else code


def _sum(pair: npt.NDArray[np.int64], values: Floats, slices: Sequence[slice], size: int) -> Floats:
    total = np.zeros(size)
    for part in slices:
        total[pair[part]] += np.nan_to_num(values[part])
    return total


def _floats(values: npt.ArrayLike) -> Floats:
    """Return numbers as float64, NaN where the engine gave NULL."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return np.asarray(values, dtype=np.float64)


def _schema(catalogue: Catalogue) -> pa.Schema:
    return pa.schema(
        [
            pa.field(feature.name, pa.string() if feature.dtype == "category" else pa.float64())
            for feature in catalogue.features
        ]
    )
