"""Scores as files: those of all accounts and those on record going out, and recorded ones coming back."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import FileError
from features.schema import TABLES
from serving.wire import FIRST, LAST, rfc3339

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of texts that a spreadsheet takes for formulas."""

_TIMES = frozenset({"as_of", "trained_at", "scored_at", "given_at"})
_ABOUT = TABLES["scores"]


def check_writable(path: Path) -> None:
    """Refuse a file that can not be written, before the work that fills it.

    Raises
    ------
    FileError
    """
    if path.is_dir():
        raise FileError(f"The file {str(path)!r} can not be written: it is a folder.")
    if not path.parent.is_dir():
        raise FileError(f"The file {str(path)!r} can not be written: there is no folder {str(path.parent)!r}.")
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"The file {str(path)!r} can not be written: no permission to write in {str(path.parent)!r}.")


def write_scores(scores: pa.Table, path: Path) -> None:
    """Write scores to a file that appears whole: CSV when its name ends in ``.csv``, else Parquet.

    In CSV, moments are RFC 3339, and a text that a spreadsheet would take for a formula begins with an apostrophe.

    Raises
    ------
    FileError
        When the file can not be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix.lower() == ".csv":
            with fresh.open("w", encoding="utf-8", newline="") as file:
                lines = csv.writer(file, lineterminator="\n")
                lines.writerow(scores.column_names)
                for batch in scores.to_batches(max_chunksize=10_000):
                    for row in batch.to_pylist():
                        lines.writerow(_told(name, value) for name, value in row.items())
        else:
            pq.write_table(scores, fresh)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise FileError(f"The file {str(path)!r} can not be written: {error.strerror}.") from error


def _told(name: str, value: object) -> object:
    if name in _TIMES and isinstance(value, int):
        return rfc3339(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def read_scores(path: Path, newest: int) -> pa.Table:
    """Read a Parquet file of recorded scores.

    Parameters
    ----------
    path : Path
    newest : int
        Position of the ledger; a score can not rest on a later one.

    Raises
    ------
    FileError
        When it is no such file, or a value of it can not be.
    """
    try:
        scores = pq.read_table(path).cast(_ABOUT.arrow)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise FileError(
            f"{path} can not be read as Parquet of the table scores: {error}",
            hint="smarketing score --recorded --out FILE.parquet writes one.",
        ) from error
    for column in _ABOUT.columns:
        values = scores[column.name]
        if column.required:
            _refuse(path, column.name, values, pc.is_null(values), "be given")
        if column.choices:
            known = pc.is_in(values, pa.array(column.choices))
            _refuse(path, column.name, values, pc.invert(known), f"be one of {', '.join(column.choices)}")
        if column.name in _TIMES:
            _within(path, column.name, values, FIRST, LAST, "lie in the years 1 to 9999, in microseconds")
    _within(path, "ledger_seq", scores["ledger_seq"], 0, newest, f"be a position of this ledger, 0 to {newest}")
    return scores


def _within(path: Path, name: str, values: pa.ChunkedArray, least: int, most: int, allowed: str) -> None:
    _refuse(path, name, values, pc.or_(pc.less(values, least), pc.greater(values, most)), allowed)


def _refuse(path: Path, name: str, values: pa.ChunkedArray, wrong: pa.ChunkedArray, allowed: str) -> None:
    if pc.any(wrong).as_py():
        row = pc.index(wrong, True).as_py()
        raise FileError(f"{path}: `{name}` must {allowed}. Got {values[row].as_py()!r} in row {row + 1} instead.")
