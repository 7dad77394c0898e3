"""Files as numbered records: CSV, JSON Lines, Parquet and XES event logs, all but Parquet also gzipped.

A file is checked from end to end (`verify`) before its first row is read, so that half a download leaves the ledger as
it was. A line that can not be read as a record is a `Fault` of its own; the rest of the file goes on.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import FileError, nearest
from features.intake import xes
from features.schema import TABLES

Record = dict[str, object]
"""One row of a file by column name. CSV gives text; an empty CSV field is None."""

CHUNK = 20_000
"""Rows that are read, mapped and appended together."""

_KINDS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".xes": "xes"}
_BLOCK = 1 << 20
_LONGEST_CELL = 1 << 24
_READ_FIRST = ("accounts", "contacts", "attributes", "fx_rates", "spend", "targets", "touchpoints", "touch_links")

# Python's own limit gives up a whole file for one long cell; what is too long for its column is refused by row instead.
csv.field_size_limit(_LONGEST_CELL)


@dataclass(frozen=True)
class Source:
    """A file and how it is read.

    Parameters
    ----------
    path : Path
    kind : str
        csv, jsonl, parquet or xes.
    gzipped : bool
    encoding : str, default="utf-8"
        Of a CSV file; JSON Lines are always UTF-8, and a log says it itself.
    delimiter : str, default=","
        Of a CSV file.
    """

    path: Path
    kind: str
    gzipped: bool
    encoding: str = "utf-8"
    delimiter: str = ","


@dataclass(frozen=True)
class Fault:
    """A row that can not be read as a record.

    Parameters
    ----------
    number : int
        The row, counted from 1 without the header.
    message : str
    raw : Record
        What was there.
    """

    number: int
    message: str
    raw: Record


@dataclass
class Chunk:
    """Consecutive rows of a file.

    Parameters
    ----------
    records : list of Record
    numbers : list of int
        Number of each record in the file, counted from 1 without the header.
    faults : list of Fault
    """

    records: list[Record] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records) + len(self.faults)


def recognise(path: Path, *, encoding: str = "utf-8", delimiter: str | None = None) -> Source:
    """Return how a file is read, by its name.

    Raises
    ------
    FileError
        When it is not there, is a directory, is empty, or has a name that says nothing known.
    """
    if path.is_dir():
        raise FileError(f"{str(path)!r} is a directory where a file is needed.", hint=f"Name a file inside {path}.")
    try:
        size = path.stat().st_size
    except OSError as error:
        beside = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
        raise FileError(f"{str(path)!r} can not be read: {error.strerror}.{nearest(path.name, beside)}") from error
    if not size:
        raise FileError(f"{str(path)!r} is empty: it has no header and no rows.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = bool(suffixes) and suffixes[-1] == ".gz"
    ending = suffixes[-2] if gzipped and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    kind = _KINDS.get(ending)
    if kind is None or (gzipped and kind == "parquet"):
        allowed = "CSV, TSV, JSON Lines and XES (.csv .tsv .jsonl .ndjson .xes, also with .gz) and Parquet (.parquet)"
        raise FileError(f"{path.name!r} is not named as a file that can be read. Allowed are {allowed}.")
    return Source(path, kind, gzipped, encoding, delimiter or ("\t" if ending == ".tsv" else ","))


def tables_in(folder: Path) -> tuple[list[tuple[str, Source]], list[str]]:
    """Return the contract's own tables in a folder, in the order to read them, and the names of files left out.

    Raises
    ------
    FileError
        When it holds none of them, or one of them twice.
    """
    found: dict[str, Source] = {}
    others: list[str] = []
    for path in sorted(entry for entry in folder.iterdir() if entry.is_file()):
        table = path.name.partition(".")[0]
        if table not in TABLES or path.suffix.lower() not in (*_KINDS, ".gz"):
            others.append(path.name)
        elif table in found:
            raise FileError(f"{str(folder)!r} holds {table} twice: {found[table].path.name} and {path.name}.")
        elif path.stat().st_size:
            found[table] = recognise(path)
        else:
            raise FileError(f"{str(path)!r} is empty: it has no header and no rows.")
    if not found:
        expected = ", ".join(f"{name}.parquet" for name in ("accounts", "touchpoints", "deals"))
        raise FileError(
            f"{str(folder)!r} holds none of the contract's tables, as {expected}.",
            hint="Name the files themselves, with --map MAP.toml, when they are a sender's own.",
        )
    ordered = [*_READ_FIRST, *(name for name in TABLES if name not in _READ_FIRST)]
    return [(name, found[name]) for name in ordered if name in found], others


def verify(source: Source) -> None:
    """Read the whole file once to see that nothing of it is missing or unreadable.

    Raises
    ------
    FileError
        When a gzip file is cut off or damaged, a text is not of its encoding, or a Parquet file or a log is not one.
    """
    if source.kind == "parquet":
        with _parquet(source):
            return
    if source.kind == "xes":
        _log_columns(source)
        return
    encoding = source.encoding if source.kind == "csv" else "utf-8"
    decoder = codecs.getincrementaldecoder(encoding)()
    passed = 0
    try:
        with _untouched(source) as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
                passed += len(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise FileError(
            f"{str(source.path)!r} is not {encoding} text: byte 0x{error.object[error.start]:02x} near position"
            f" {passed + error.start:,}. Nothing of it was taken in.",
            hint='Write it as UTF-8, or say what it is in the field map: [file] encoding = "gb18030"',
        ) from error
    if not passed:
        raise FileError(f"{str(source.path)!r} is empty: it has no header and no rows.")


def columns(source: Source) -> tuple[str, ...]:
    """Return the names of the columns; of JSON Lines those met in the first rows.

    Raises
    ------
    FileError
        When there is no header, or a name stands in it twice.
    """
    if source.kind == "parquet":
        with _parquet(source) as file:
            return tuple(file.schema_arrow.names)
    if source.kind == "jsonl":
        first = next(read(source), Chunk())
        return tuple(dict.fromkeys(name for record in first.records for name in record))
    if source.kind == "xes":
        return _log_columns(source).names
    with _text(source) as file:
        return _header(source, csv.reader(file, delimiter=source.delimiter))


def read(source: Source, chunk: int = CHUNK) -> Iterator[Chunk]:
    """Yield the rows of a file in order, `chunk` at a time.

    Raises
    ------
    FileError
        When the file turns out to be unreadable half-way.
    """
    if source.kind == "parquet":
        return _read_parquet(source, chunk)
    if source.kind == "xes":
        return _read_log(source, chunk)
    return _read_csv(source, chunk) if source.kind == "csv" else _read_lines(source, chunk)


def _read_csv(source: Source, size: int) -> Iterator[Chunk]:
    with _text(source) as file:
        quotes = 0

        def lines() -> Iterator[str]:
            nonlocal quotes
            for line in file:
                quotes += line.count('"')
                yield line

        reader = csv.reader(lines(), delimiter=source.delimiter)
        names = _header(source, reader)
        width = len(names)
        chunk = Chunk()
        number = 0
        before, quotes = reader.line_num, 0
        try:
            for cells in reader:
                first, before = before + 1, reader.line_num
                # A quote that is not closed takes in the rows behind it: never as a value, and never unsaid.
                is_open, quotes = before > first and quotes % 2 == 1, 0
                if not cells:
                    continue
                number += 1
                if len(cells) == width and not is_open:
                    chunk.records.append(dict(zip(names, [cell or None for cell in cells], strict=True)))
                    chunk.numbers.append(number)
                else:
                    chunk.faults.append(_misfit(number, first, before, names, cells))
                if len(chunk) >= size:
                    yield chunk
                    chunk = Chunk()
        except csv.Error as error:
            raise FileError(
                f"{str(source.path)!r} can not be read beyond line {reader.line_num:,}: {error}. The {number:,} rows"
                " before it were read.",
                hint="A quote may not be closed. After mending, send the whole file again: rows are never doubled.",
            ) from error
        if len(chunk):
            yield chunk


def _misfit(number: int, first: int, last: int, names: Sequence[str], cells: list[str]) -> Fault:
    message = f"The row has {len(cells)} fields where the header has {len(names)} (line {first:,})."
    if len(cells) == len(names):
        message = f"The row runs over several lines and a quote in it is not closed (line {first:,})."
    if last > first:
        message = f"{message[:-2]} to {last:,}: a quote may not be closed)."
    return Fault(number, message, {"line": ",".join(cells)[:1_000]})


def _read_lines(source: Source, size: int) -> Iterator[Chunk]:
    with _binary(source) as file:
        chunk = Chunk()
        number = 0
        for line in file:
            bare = line.removeprefix(codecs.BOM_UTF8).strip() if not number else line.strip()
            if not bare:
                continue
            number += 1
            try:
                value = orjson.loads(bare)
            except orjson.JSONDecodeError as error:
                chunk.faults.append(Fault(number, f"The line is not JSON: {error}.", _raw_line(bare)))
            else:
                if isinstance(value, dict):
                    chunk.records.append(value)
                    chunk.numbers.append(number)
                else:
                    chunk.faults.append(Fault(number, "The line must be a JSON object.", _raw_line(bare)))
            if len(chunk) >= size:
                yield chunk
                chunk = Chunk()
        if len(chunk):
            yield chunk


def _raw_line(line: bytes) -> Record:
    return {"line": line[:1_000].decode(errors="replace")}


def _read_parquet(source: Source, size: int) -> Iterator[Chunk]:
    number = 0
    with _parquet(source) as file:
        try:
            for batch in file.iter_batches(batch_size=size):
                names = [name for name in batch.schema.names if batch.column(name).null_count < batch.num_rows]
                cells = [_python(batch.column(name)) for name in names]
                records = [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
                records = records or [{} for _ in range(batch.num_rows)]
                numbers = list(range(number + 1, number + 1 + batch.num_rows))
                number += batch.num_rows
                yield Chunk(records, numbers)
        except (pa.ArrowException, OSError) as error:
            raise FileError(
                f"{str(source.path)!r} is damaged after row {number:,}: {error}",
                hint="The rows before it were read. Once it is mended, send it all again: rows are never doubled.",
            ) from error


def _read_log(source: Source, size: int) -> Iterator[Chunk]:
    names = _log_columns(source)
    chunk = Chunk()
    number = 0
    with _binary(source) as file:
        for case in xes.cases(file, str(source.path)):
            for record, fault in names.records(case):
                number += 1
                if fault:
                    chunk.faults.append(Fault(number, fault, record))
                else:
                    chunk.records.append(record)
                    chunk.numbers.append(number)
                if len(chunk) >= size:
                    yield chunk
                    chunk = Chunk()
    if len(chunk):
        yield chunk


def _log_columns(source: Source) -> xes.Columns:
    """Return the columns of a log, for which it is read to its end: once, as long as it stays the same."""
    state = source.path.stat()
    return _scanned(source, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _scanned(source: Source, changed_at: int, size: int) -> xes.Columns:
    with _untouched(source) as file:
        return xes.Columns.of(xes.cases(file, str(source.path)), str(source.path))


def _python(column: pa.Array) -> list[object]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":  # Python's datetime ends at microseconds
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[object] = column.to_pylist()
    return values


def _header(source: Source, reader: Iterator[list[str]]) -> tuple[str, ...]:
    names = tuple(next(reader, ()))
    if not any(names):
        raise FileError(f"{str(source.path)!r} has no header: its first line is empty.")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise FileError(f"{str(source.path)!r} names the column {twice!r} twice in its header.")
    return names


@contextmanager
def _binary(source: Source) -> Iterator[IO[bytes]]:
    with gzip.open(source.path, "rb") if source.gzipped else source.path.open("rb") as file:
        yield cast(IO[bytes], file)


@contextmanager
def _untouched(source: Source) -> Iterator[IO[bytes]]:
    """Open a file of which nothing has been taken in yet, and say so when it breaks off."""
    try:
        with _binary(source) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(
            f"{str(source.path)!r} is not a whole gzip file: {str(error).rstrip('.')}. Nothing of it was taken in.",
            hint="Fetch or write the file again; what is in the ledger is untouched.",
        ) from error
    except OSError as error:
        raise FileError(f"{str(source.path)!r} can not be read: {error.strerror}.") from error


@contextmanager
def _text(source: Source) -> Iterator[IO[str]]:
    encoding = "utf-8-sig" if source.encoding == "utf-8" else source.encoding
    with _binary(source) as file, io.TextIOWrapper(file, encoding=encoding, newline="") as text:
        yield text


@contextmanager
def _parquet(source: Source) -> Iterator[pq.ParquetFile]:
    try:
        file = pq.ParquetFile(source.path)
    except (pa.ArrowException, OSError) as error:
        raise FileError(
            f"{str(source.path)!r} is not a whole Parquet file: {error}. Nothing of it was taken in.",
            hint="Fetch or write the file again; what is in the ledger is untouched.",
        ) from error
    with file:
        yield file
