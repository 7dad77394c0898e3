"""The catalogue for many accounts and moments at once, on DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.algebra import RELATIONS, Atom, Distinct, Latest
from features.catalogue import Catalogue
from features.offline_spread import PLAIN, Passing, Spread
from features.offline_sql import Codes, Single, codes, columns, queries, seen
from features.plan import is_text, plan
from features.relations import Relations

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
    numbers = {feature.name: np.empty(len(as_of)) for feature in catalogue.features if feature.dtype != "category"}
    texts = {
        feature.name: np.empty(len(as_of), object) for feature in catalogue.features if feature.dtype == "category"
    }
    for rows, part in evaluate_parts(relations, account_ids, as_of, catalogue):
        for name, column in numbers.items():
            column[rows] = part[name].to_numpy()
        for name, words in texts.items():
            words[rows] = part[name].to_numpy()
    columns = [
        pa.array(texts[name], pa.string()) if name in texts else pa.array(numbers[name]) for name in catalogue.names
    ]
    return pa.table(columns, schema=_schema(catalogue))


def evaluate_parts(
    relations: Relations, account_ids: Sequence[str] | pa.Array, as_of: npt.NDArray[np.int64], catalogue: Catalogue
) -> Iterator[tuple[npt.NDArray[np.int64], pa.Table]]:
    """Yield (rows, features) of a part of the pairs at a time, for results that do not fit in memory.

    Pairs are taken in the order of their accounts; `rows` says which of the given pairs a part holds. The memory of a
    part is used again for the next: write it, or copy it, before asking for that.
    """
    account = _codes_of(relations, account_ids)
    order = np.argsort(account, kind="stable")
    size = min(max(CELLS_PER_PART // max(len(catalogue.features), 1), 1), len(order))
    with _Engine(relations, catalogue, size) as engine:
        for begin in range(0, len(order), size):
            rows = order[begin : begin + size]
            yield rows, engine.evaluate(account[rows], np.asarray(as_of, dtype=np.int64)[rows])


def _codes_of(relations: Relations, account_ids: Sequence[str] | pa.Array) -> npt.NDArray[np.int32]:
    wanted = account_ids if isinstance(account_ids, pa.Array | pa.ChunkedArray) else pa.array(account_ids, pa.string())
    found = pc.index_in(wanted, pa.array(relations.account_ids, pa.string()))
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int32)


class _Engine:
    """A DuckDB connection with the relations, their texts replaced by integers."""

    def __init__(self, relations: Relations, catalogue: Catalogue, size: int) -> None:
        import duckdb

        self.relations, self.catalogue = relations, catalogue
        self.plan = plan(catalogue)
        self.filters = {name: codes(self.plan.atoms, name) for name in RELATIONS}
        self.single = queries(self.plan.atoms, self.filters)
        self.rows: dict[str, pa.Table] = {}
        self.spreads: dict[str, Spread] = {}
        for name in RELATIONS:
            self.rows[name], passing = _rows(relations.tables[name], name, self.plan.atoms, self.filters[name])
            plain = [
                (place, atom)
                for place, atom in enumerate(self.plan.atoms)
                if atom.of == name and isinstance(atom, PLAIN)
            ]
            if plain:
                self.spreads[name] = Spread(plain, passing)
        self.numbers = np.empty((len(self.plan.atoms), size))
        # One thread: with about as many groups as rows, a second one mostly merges what the first has done.
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(":memory:", config={"threads": 1})
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
        numbers = self.numbers[:, : len(account)]
        numbers.fill(np.nan)
        texts: dict[int, pa.Array] = {}
        for place, atom in enumerate(self.plan.atoms):
            if isinstance(atom, Distinct):
                numbers[place] = 0.0
        for name, spread in self.spreads.items():
            read = ", ".join(("pair", "cell", "age", *spread.columns))
            spread.write(self._fetch(f"SELECT {read} FROM seen_{name}"), numbers)
        for place, atom in enumerate(self.plan.atoms):
            if isinstance(atom, Latest):
                self._look_up(place, atom, numbers, texts)
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

    def _look_up(self, place: int, atom: Latest, numbers: Floats, texts: dict[int, pa.Array]) -> None:
        """Replace the line numbers found for a Latest by the column's values there."""
        column = self.relations.tables[atom.of][atom.column]
        lines = numbers[place]
        values = column.take(pa.array(lines, pa.int64(), from_pandas=True, safe=False))
        if is_text(atom):
            texts[place] = values
        else:
            numbers[place] = _floats(values.to_numpy())


def _rows(table: pa.Table, relation: str, atoms: Sequence[Atom], filters: Codes) -> tuple[pa.Table, Passing]:
    """Return a relation with line numbers, cells, and integers for the texts that atoms read; and which cells pass."""
    rows = table.select(["account", "valid_from", "valid_until", "occurred_at"])
    rows = rows.append_column("line", pa.array(np.arange(table.num_rows)))
    numbers: dict[str, npt.NDArray[np.int64]] = {}
    for name, values in filters.values.items():
        code = pc.add(pc.index_in(table[name], pa.array(values, pa.string())).fill_null(-1), 1)
        rows = rows.append_column(f"f_{name}", code)
        numbers[name] = code.to_numpy().astype(np.int64)
    cell = np.zeros(table.num_rows, dtype=np.int64)
    for name, code in numbers.items():
        # Kept dense after every column, so that the product of many columns' codes can not overflow.
        cell = np.unique(cell * (len(filters.values[name]) + 1) + code, return_inverse=True)[1]
    rows = rows.append_column("cell", pa.array(cell))
    for name in columns(atoms, relation):
        column = table[name]
        if name in RELATIONS[relation]["text"]:
            column = column.combine_chunks().dictionary_encode().indices
        rows = rows.append_column(name, column)
    example = np.zeros(int(cell.max(initial=-1)) + 1, dtype=np.int64)
    example[cell] = np.arange(len(cell))
    passing = {}
    for where in {atom.where for atom in atoms if atom.of == relation}:
        passing[where] = np.ones(len(example), dtype=bool)
        for name, wanted in filters.wanted(where).items():
            passing[where] &= np.isin(numbers[name][example], wanted)
    return rows, passing


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
