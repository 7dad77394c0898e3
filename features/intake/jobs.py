"""What a file holds: a table of the contract, or a sender's own columns and the field map that explains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.errors import FieldMapError, FileError, nearest
from features.intake.fieldmap import FieldMap
from features.intake.files import Record, Source, columns, recognise, tables_in
from features.intake.rows import DERIVED_IDS, Row, RowParser
from features.schema import TABLES, Type

Mapped = Callable[[Record], list[tuple[str, Row]] | None]
"""From a record to rows of the contract, or to None when it is ignored."""

LEDGERS_OWN = ("known_until", "known_at_origin", "ledger_seq", "digest")
"""Columns of an export that the ledger writes anew."""


@dataclass(frozen=True)
class Job:
    """One file and what it holds.

    Parameters
    ----------
    source : Source
    table : str or None
        The table of the contract it is, in the contract's own columns.
    field_map : FieldMap or None
        What its columns mean, where it is a sender's own.
    """

    source: Source
    table: str | None = None
    field_map: FieldMap | None = None

    @property
    def backfill(self) -> bool:
        """Whether rows that do not say when they were learnt count as known when they happened."""
        return self.field_map.assumed if self.field_map else True

    def mapped(self, parser: RowParser) -> Mapped:
        """Return the function that makes rows of the file's records.

        Raises
        ------
        FieldMapError
            When the file lacks a column that the map or the table needs.
        """
        names = columns(self.source)
        if self.field_map:
            self.field_map.fit(names, self.source.path.name)
            return self.field_map.rows(parser)
        assert self.table is not None
        _fit_table(self.table, names, self.source, parser)
        return own_rows(self.table, parser)


def plan(paths: Sequence[Path], map_path: Path | None) -> tuple[list[Job], list[str]]:
    """Return what to do with each file, in order, and the names of files in folders that are left alone.

    With a field map every path is a sender's file; without one it is a table of the contract, or a folder of them.

    Raises
    ------
    FileError, FieldMapError
        When a path can not be read or the map is wrong.
    """
    if map_path is not None:
        field_map = FieldMap.load(map_path)
        read_as = {"encoding": field_map.encoding, "delimiter": field_map.delimiter}
        return [Job(recognise(path, **read_as), field_map=field_map) for path in paths], []  # type: ignore[arg-type]
    jobs: list[Job] = []
    others: list[str] = []
    for path in paths:
        if path.is_dir():
            tables, left_alone = tables_in(path)
            jobs += [Job(source, table) for table, source in tables]
            others += left_alone
            continue
        source = recognise(path)
        table = path.name.partition(".")[0]
        if table not in TABLES:
            raise FileError(
                f"{path.name!r} is not named after a table of the contract.{nearest(table, TABLES)}",
                hint="Say what its columns mean: smarketing ingest FILE --map MAP.toml (docs/field-maps.md).",
            )
        jobs.append(Job(source, table))
    return jobs, others


def own_rows(table: str, parser: RowParser) -> Mapped:
    """Return the function that makes rows of the records of a table of ours, as it is exported."""
    casts = {column.name: cast for column in TABLES[table].stored if (cast := _CASTS.get(column.type))}

    def rows(record: Record) -> list[tuple[str, Row]]:
        raw = {name: value for name, value in record.items() if value is not None and name not in LEDGERS_OWN}
        for name, value in raw.items():
            if type(value) is str and name in casts:
                raw[name] = casts[name](value)
        if record.get("known_at_origin") == "assumed":
            raw.pop("known_at", None)  # it was assumed from the row itself, and will be again
        return parser.parse(table, raw, camel=False)

    return rows


def _fit_table(table: str, names: Sequence[str], source: Source, parser: RowParser) -> None:
    """Refuse a file whose columns are not those of its table, before its rows are rejected one by one."""
    known = parser.fields(table, camel=False)
    for name in names:
        if name not in known and name not in LEDGERS_OWN:
            guess = nearest(name, known)
            raise FieldMapError(
                f"{source.path.name} has the column {name!r}, which {table} do not have.{guess}",
                hint=f"The columns of {table}: {', '.join(known)}.",
            )
    for column in TABLES[table].columns:
        if column.required and column.name not in names and column.name != DERIVED_IDS.get(table):
            raise FieldMapError(f"{source.path.name} lacks the column {column.name!r}: {column.meaning}.")


def _whole(value: str) -> object:
    return int(value) if value.removeprefix("-").isdecimal() else value


def _number(value: str) -> object:
    try:
        return float(value)
    except ValueError:
        return value


def _flag(value: str) -> object:
    return {"true": True, "false": False}.get(value.lower(), value)


_CASTS: dict[Type, Callable[[str], object]] = {
    Type.TIME: _whole,
    Type.MONEY: _whole,
    Type.INTEGER: _whole,
    Type.NUMBER: _number,
    Type.FLAG: _flag,
}
"""CSV has only text; a text that is not of the type stays one, and the parser says what is wrong with it."""
