"""Scores as files: those of all accounts going out, and those on record coming back."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import FileError
from features.schema import TABLES
from serving.wire import rfc3339

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of texts that a spreadsheet takes for formulas."""


def write_scores(scores: pa.Table, path: Path) -> None:
    """Write the scores to a file that appears whole: CSV when its name ends in ``.csv``, else Parquet.

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
                for row in scores.to_pylist():
                    row["as_of"] = rfc3339(row["as_of"])
                    lines.writerow(map(_harmless, row.values()))
        else:
            pq.write_table(scores, fresh)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise FileError(f"The file {str(path)!r} can not be written: {error.strerror}.") from error


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def read_scores(path: Path) -> pa.Table:
    """Read a Parquet file of recorded scores.

    Raises
    ------
    FileError
        When it is no such file.
    """
    try:
        return pq.read_table(path).cast(TABLES["scores"].arrow)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise FileError(f"{path} can not be read as Parquet of the table scores: {error}") from error
