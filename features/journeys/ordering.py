"""Orders by numbers first and by texts only where the numbers tie: comparing texts is what costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.journeys.journeys import Bools, Ints


def order_of(numbers: Sequence[Ints], texts: Sequence[pa.Array | pa.ChunkedArray]) -> Ints:
    """Return the order by columns of numbers, then by columns of texts (missing ones last), of shape (n,)."""
    order = np.lexsort([*reversed(numbers)])
    same = np.logical_and.reduce([np.diff(column[order]) == 0 for column in numbers])
    return settled(order, same, texts)


def settled(order: Ints, same: Bools, texts: Sequence[pa.Array | pa.ChunkedArray]) -> Ints:
    """Return an order in which rows that tie are ordered by texts, and else stay as they were.

    Parameters
    ----------
    order : array of int64, shape (n,)
    same : array of bool, shape (n - 1,)
        Whether the i-th row in this order ties with the next.
    texts : sequence of pyarrow arrays of length n
    """
    tied = np.flatnonzero(np.concatenate((same, [False])) | np.concatenate(([False], same)))
    if not len(tied):
        return order
    rows = pa.array(order[tied])
    run = np.cumsum(np.concatenate(([True], ~same)))[tied]
    columns = [pa.array(run), *(text.take(rows) for text in texts), pa.array(np.arange(len(tied)))]
    names = [f"{place:03d}" for place in range(len(columns))]
    ranked = pc.sort_indices(pa.table(columns, names=names), sort_keys=[(name, "ascending") for name in names])
    order[tied] = order[tied][ranked.to_numpy()]
    return order
