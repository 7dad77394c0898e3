"""Rows that are valid from a moment until another, and what is on top of them at each moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Span = tuple[int, int]


def segments(spans: Sequence[Span]) -> Iterator[tuple[int, int, list[int]]]:
    """Yield the stretches of time over which the same rows are visible.

    Parameters
    ----------
    spans : sequence of (int, int)
        (valid_from, valid_until) of each row, valid_from < valid_until, in microseconds.

    Yields
    ------
    (int, int, list of int)
        Start (included), end (excluded) and the indices of the visible rows in their given order; stretches where
        nothing is visible are left out.

    Examples
    --------
    >>> list(segments([(0, 10), (4, 6)]))
    [(0, 4, [0]), (4, 6, [0, 1]), (6, 10, [0])]
    """
    if len(spans) == 1:
        yield spans[0][0], spans[0][1], [0]
        return
    points = sorted({moment for span in spans for moment in span})
    for start, end in pairwise(points):
        visible = [index for index, (begin, until) in enumerate(spans) if begin <= start < until]
        if visible:
            yield start, end, visible


def groups(codes: npt.NDArray[np.integer]) -> Iterator[tuple[int, int, int]]:
    """Yield (code, start, stop) for every run of equal values in a sorted array.

    Examples
    --------
    >>> list(groups(np.array([3, 3, 5])))
    [(3, 0, 2), (5, 2, 3)]
    """
    if len(codes) == 0:
        return
    edges = np.flatnonzero(np.diff(codes)) + 1
    starts = np.concatenate(([0], edges)).tolist()
    stops = np.concatenate((edges, [len(codes)])).tolist()
    yield from zip(codes[starts].tolist(), starts, stops, strict=True)


def latest_spans(
    key: npt.NDArray[np.integer],
    valid_from: npt.NDArray[np.int64],
    valid_until: npt.NDArray[np.int64],
    order: Sequence[npt.NDArray[np.int64]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return when each row is the latest visible one of its key.

    Parameters
    ----------
    key : array of int, shape (n,)
        Rows of one key supersede one another.
    valid_from, valid_until : array of int64, shape (n,)
        Microseconds; rows that are never valid are left out.
    order : sequence of array of int64, shape (n,)
        What makes a row later, most significant first.

    Returns
    -------
    row, start, end : array of int64
        Index of a row and a stretch over which it is on top; stretches of one key do not overlap. Sorted by
        (key, start).
    """
    kept = np.flatnonzero(valid_from < valid_until)
    ranked = np.lexsort((*(column[kept] for column in reversed(order)), key[kept]))
    rows = kept[ranked]
    # Nearly every key has one row, which is on top while it is valid; only the others have to be swept.
    again = key[rows[1:]] == key[rows[:-1]]
    shared = np.concatenate((again, [False])) | np.concatenate(([False], again))
    alone, contested = rows[~shared[: len(rows)]], rows[shared[: len(rows)]]
    found: list[Triple] = []
    starts, ends, numbers = valid_from[contested].tolist(), valid_until[contested].tolist(), contested.tolist()
    for _, begin, stop in groups(key[contested]):
        found += _swept(numbers[begin:stop], list(zip(starts[begin:stop], ends[begin:stop], strict=True)))
    swept = np.array(found, dtype=np.int64).reshape(-1, 3)
    row = np.concatenate((alone, swept[:, 0]))
    start = np.concatenate((valid_from[alone], swept[:, 1]))
    end = np.concatenate((valid_until[alone], swept[:, 2]))
    in_order = np.lexsort((start, key[row]))
    return row[in_order], start[in_order], end[in_order]


Triple = tuple[int, int, int]


def _swept(numbers: Sequence[int], spans: Sequence[Span]) -> list[Triple]:
    """Return (number, start, end) of the stretches over which each of some rows, the later the higher, is on top."""
    found: list[Triple] = []
    for start, end, visible in segments(spans):
        top = numbers[visible[-1]]
        if found and found[-1][0] == top and found[-1][2] == start:
            found[-1] = (top, found[-1][1], end)
        else:
            found.append((top, start, end))
    return found
