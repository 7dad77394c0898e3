"""From feature values to the matrix an estimator reads.

Numbers stay as they are, categories become the position of their value among the sorted values seen in training. A
missing value, and a category never seen in training, are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import BundleError, UnknownError, nearest
from models.arrays import Floats

if TYPE_CHECKING:
    import pyarrow as pa

    from features.feature import Feature

DTYPES = ("count", "number", "category")


@dataclass(frozen=True)
class Encoding:
    """Names, types and category codes of the columns of a matrix.

    Parameters
    ----------
    names : tuple of str
        Features in the order of the columns.
    dtypes : tuple of str
        ``count``, ``number`` or ``category`` for each.
    categories : mapping of str to tuple of str
        For every category feature, its training values in sorted order: the code is the position.
    """

    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    _codes: tuple[dict[str, float] | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = tuple(
            {value: float(code) for code, value in enumerate(self.categories[name])} if dtype == "category" else None
            for name, dtype in zip(self.names, self.dtypes, strict=True)
        )
        object.__setattr__(self, "_codes", codes)

    @classmethod
    def fit(cls, table: pa.Table, features: Sequence[Feature]) -> Encoding:
        """Learn the category codes from training rows.

        Parameters
        ----------
        table : pyarrow.Table of n_snapshots rows
            One column per feature, as `features.offline.evaluate` returns.
        features : sequence of Feature
            Features in the order wanted.

        Raises
        ------
        UnknownError
            When the table has no column of a feature's name.
        """
        _require(table, [feature.name for feature in features])
        return cls(
            names=tuple(feature.name for feature in features),
            dtypes=tuple(feature.dtype for feature in features),
            categories={
                feature.name: tuple(sorted(value for value in _distinct(table, feature.name) if value is not None))
                for feature in features
                if feature.dtype == "category"
            },
        )

    @property
    def category_columns(self) -> tuple[int, ...]:
        """Positions of the columns that hold category codes."""
        return tuple(column for column, codes in enumerate(self._codes) if codes is not None)

    def column(self, name: str) -> int:
        """Return the position of a feature.

        Raises
        ------
        UnknownError
            When there is no such feature.
        """
        if name not in self.names:
            raise UnknownError(f"There is no feature {name!r} in the encoding.{nearest(name, self.names)}")
        return self.names.index(name)

    def matrix(self, table: pa.Table) -> Floats:
        """Return the rows of a table as float64 of shape (n_rows, n_features), in the order of `names`.

        Raises
        ------
        UnknownError
            When the table lacks a feature.
        """
        _require(table, self.names)
        encoded = np.empty((table.num_rows, len(self.names)), dtype=np.float64)
        for column, (name, codes) in enumerate(zip(self.names, self._codes, strict=True)):
            values = table.column(name).combine_chunks()
            encoded[:, column] = _numbers(values) if codes is None else _coded(values, codes)
        return encoded

    def row(self, values: Sequence[float | str | None]) -> Floats:
        """Return one row of `matrix`, of shape (n_features,), from values in the order of `names`.

        Raises
        ------
        ValueError
            When the number of values is not that of the features.

        Examples
        --------
        >>> encoding = Encoding(("calls", "country"), ("count", "category"), {"country": ("CN", "NL")})
        >>> encoding.row([3, "NL"]).tolist(), encoding.row([None, "FR"]).tolist()
        ([3.0, 1.0], [nan, nan])
        """
        return np.array(
            [
                (math.nan if value is None else value) if codes is None else codes.get(value, math.nan)  # type: ignore[arg-type]
                for value, codes in zip(values, self._codes, strict=True)
            ],
            dtype=np.float64,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "names": list(self.names),
            "dtypes": list(self.dtypes),
            "categories": {name: list(values) for name, values in self.categories.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Encoding:
        """Return the encoding that `to_json` described.

        Raises
        ------
        BundleError
            When the parts contradict one another.
        """
        names, dtypes = tuple(document["names"]), tuple(document["dtypes"])
        categories = {str(name): tuple(values) for name, values in document["categories"].items()}
        named = [name for name, dtype in zip(names, dtypes, strict=False) if dtype == "category"]
        if len(names) != len(dtypes) or len(set(names)) != len(names):
            raise BundleError(f"The encoding has {len(names)} names and {len(dtypes)} types, or a name twice.")
        if not set(dtypes) <= set(DTYPES) or sorted(named) != sorted(categories):
            raise BundleError("The encoding has a type that is not known, or categories that do not fit its features.")
        if any(not isinstance(value, str) for values in categories.values() for value in values):
            raise BundleError("The encoding has a category value that is not text.")
        return cls(names, dtypes, categories)


def _require(table: pa.Table, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.column_names:
            raise UnknownError(f"The table has no column {name!r}.{nearest(name, table.column_names)}")


def _distinct(table: pa.Table, name: str) -> list[str | None]:
    values: list[str | None] = table.column(name).unique().to_pylist()
    return values


def _numbers(values: pa.Array) -> Floats:
    # A null would become NaN only for floating types: integers with nulls are cast first.
    numbers: Floats = values.cast("float64").to_numpy(zero_copy_only=False)
    return numbers


def _coded(values: pa.Array, codes: Mapping[str, float]) -> Floats:
    encoded = values if hasattr(values, "indices") else values.dictionary_encode()
    of_distinct = np.array([codes.get(value, math.nan) for value in encoded.dictionary.to_pylist()] + [math.nan])
    positions = encoded.indices.fill_null(len(of_distinct) - 1).to_numpy(zero_copy_only=False)
    found: Floats = of_distinct[positions]
    return found
