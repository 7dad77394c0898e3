"""The journeys that every attribution model reads: who went which way, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

JOURNEY_COLUMNS: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "account_id": pa.string(),
        "cycle_id": pa.string(),
        "deal_id": pa.string(),
        "opened_at": pa.int64(),
        "ended_at": pa.int64(),
        "converted": pa.bool_(),
        "censored": pa.bool_(),
        "revenue": pa.int64(),
        "currency": pa.string(),
        "count": pa.int64(),
    }
)
"""Columns of a journey; further ones, ``reached_STAGE``, say when its cycle reached a stage (null: not before its end).

`opened_at` is when the account came under observation for this transition and `ended_at` when it converted or was last
seen, in microseconds; `converted` and `censored` exclude each other, and a journey that is neither ended without
success. `revenue` is in minor units of `currency`, of all `count` identical journeys together; `count` is 1 but for
data that come as counted paths.
"""

TOUCH_COLUMNS: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "source": pa.string(),
        "event_id": pa.string(),
        "occurred_at": pa.int64(),
        "contact_id": pa.string(),
        "channel": pa.string(),
        "campaign": pa.string(),
        "content": pa.string(),
        "product": pa.string(),
        "actor_id": pa.string(),
        "touch_type": pa.string(),
        "direction": pa.string(),
        "is_lever": pa.bool_(),
    }
)
"""Columns of a touch of a journey. A touch within reach of two journeys, such as two deals, is in both."""


@dataclass(frozen=True)
class Journeys:
    """n journeys and their m touches.

    Parameters
    ----------
    transition : str
        What converted means: a stage, ``won`` among them.
    journeys : pyarrow.Table of n rows
        `JOURNEY_COLUMNS`, and ``reached_STAGE`` for the stages that are known.
    touches : pyarrow.Table of m rows
        `TOUCH_COLUMNS`; those of one journey lie together, ordered by (occurred_at, source, event_id).
    offset : array of int64, shape (n + 1,)
        The touches of journey i are rows offset[i] to offset[i + 1] of `touches`.
    left_out : mapping of str to int
        What is not in here, by reason, counted, and money in minor units: nothing is left out in silence. The reasons
        are described in `features.journeys.left_out`.
    """

    transition: str
    journeys: pa.Table
    touches: pa.Table
    offset: Ints
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, table, columns in (
            ("journeys", self.journeys, JOURNEY_COLUMNS),
            ("touches", self.touches, TOUCH_COLUMNS),
        ):
            missing = [column for column in columns if column not in table.column_names]
            if missing:
                raise ValueError(f"The {name} lack the columns {', '.join(missing)}.")
        if len(self.offset) != self.size + 1 or self.offset[-1] != self.touches.num_rows:
            raise ValueError(
                f"`offset` must have {self.size + 1} entries and end at {self.touches.num_rows}. "
                f"Got {len(self.offset)} entries that end at {self.offset[-1] if len(self.offset) else None} instead."
            )

    @property
    def size(self) -> int:
        """The number n of rows."""
        return int(self.journeys.num_rows)

    @cached_property
    def of_touch(self) -> Ints:
        """The journey of each touch, of shape (m,)."""
        return np.repeat(np.arange(self.size), np.diff(self.offset))

    @cached_property
    def of_converted(self) -> Ints:
        """The touches of converted journeys, ascending: the only ones that can have credit."""
        return np.flatnonzero(np.repeat(self.converted, np.diff(self.offset)))

    @cached_property
    def account(self) -> Ints:
        """A code per account, of shape (n,), by order of appearance: what a bootstrap draws."""
        return _by_appearance(self.journeys["account_id"])[1]

    @cached_property
    def converted(self) -> Bools:
        """Whether each journey reached the transition, of shape (n,)."""
        return np.asarray(self.journeys["converted"].to_numpy(), dtype=bool)

    @cached_property
    def censored(self) -> Bools:
        """Whether each journey was still open when it was last seen, of shape (n,)."""
        return np.asarray(self.journeys["censored"].to_numpy(), dtype=bool)

    @cached_property
    def count(self) -> Ints:
        """How many identical journeys each row stands for, of shape (n,)."""
        return np.asarray(self.journeys["count"].to_numpy(), dtype=np.int64)

    @cached_property
    def revenue(self) -> Ints:
        """Minor units, of shape (n,)."""
        return np.asarray(self.journeys["revenue"].to_numpy(), dtype=np.int64)

    @cached_property
    def occurred_at(self) -> Ints:
        """When each touch was, of shape (m,), in microseconds."""
        return np.asarray(self.touches["occurred_at"].to_numpy(), dtype=np.int64)

    @cached_property
    def is_lever(self) -> Bools:
        """Whether we chose to make each touch, of shape (m,)."""
        return np.asarray(self.touches["is_lever"].to_numpy(), dtype=bool)

    def players(self, column: str = "channel") -> tuple[list[str | None], Ints]:
        """Return the different values of a column of the touches, by appearance, and the code of each touch."""
        if column not in self._coded:
            self._coded[column] = codes(self.touches[column])
        return self._coded[column]

    @cached_property
    def _coded(self) -> dict[str, tuple[list[str | None], Ints]]:
        """Columns of the touches that were asked for: every model asks for the same ones."""
        return {}

    def take(self, rows: Ints | Bools) -> Journeys:
        """Return some of the journeys, in the given order."""
        picked = np.flatnonzero(rows) if rows.dtype == bool else np.asarray(rows, dtype=np.int64)
        size = np.diff(self.offset)[picked]
        offset = np.concatenate(([0], np.cumsum(size)))
        within = np.arange(int(offset[-1])) - np.repeat(offset[:-1], size)
        touch = np.repeat(self.offset[picked], size) + within
        return Journeys(
            self.transition, self.journeys.take(pa.array(picked)), self.touches.take(pa.array(touch)), offset,
            self.left_out,
        )  # fmt: skip


def codes(column: pa.ChunkedArray) -> tuple[list[str | None], Ints]:
    """Return the different values by order of appearance, a missing one among them, and the code of each row."""
    values, code = _by_appearance(column)
    return values.to_pylist(), code


def _by_appearance(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    coded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(coded.type):
        coded = pc.dictionary_encode(coded)
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    size = len(coded.dictionary)
    index = coded.indices.cast(pa.int64()).fill_null(size).to_numpy(zero_copy_only=False)
    # A dictionary may have any order, and values that no row has; of equal rows the first is written last, and stays.
    first = np.full(size + 1, -1)
    first[index[::-1]] = np.arange(len(index))[::-1]
    present = np.flatnonzero(first >= 0)
    present = present[np.argsort(first[present])]
    place = np.empty(size + 1, dtype=np.int64)
    place[present] = np.arange(len(present))
    return coded.dictionary.take(pa.array(present, mask=present == size)), place[index]
