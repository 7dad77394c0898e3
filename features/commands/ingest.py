"""`smarketing ingest`: files into the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.console import Console

if TYPE_CHECKING:
    from features.intake.ingest import Summary
    from features.intake.rows import Row

_SHOWN = 10


def ingest(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="CSV, JSON Lines, XES (all also .gz) or Parquet; or a folder of the contract's own tables."
        ),
    ] = None,
    map_path: Annotated[
        Path | None, typer.Option("--map", help="Field map that says what the columns mean, docs/field-maps.md.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Show ten mapped rows and write nothing.")] = False,
    retry_rejected: Annotated[
        bool, typer.Option(help="Try the rows set aside earlier again, those of FILES alone if any are named.")
    ] = False,
) -> None:
    """Take files into the ledger; what does not fit is set aside with its reason and can be tried again.

    Sending a file twice is safe: rows that are already there count as duplicates. Rejected rows do not fail the
    command; they are counted, and kept in the ledger as dead letters.
    """
    console = Console.of(ctx)
    if retry_rejected and dry_run:
        raise typer.BadParameter("--dry-run and --retry-rejected exclude each other.")
    if retry_rejected:
        _retry(console, files or [], map_path)
    elif not files:
        raise typer.BadParameter("Name at least one file or folder.")
    elif dry_run:
        _preview(console, files, map_path)
    else:
        _ingest(console, files, map_path)


def _ingest(console: Console, paths: list[Path], map_path: Path | None) -> None:
    from features.intake.ingest import ingest
    from features.intake.jobs import plan
    from features.intake.rows import RowParser
    from features.ledger import Ledger

    agreement = console.agreement()
    jobs, left_alone = plan(paths, map_path)
    if left_alone:
        console.say(f"Left alone, not tables of the contract: {', '.join(left_alone)}.")
    with Ledger.open(console.store) as ledger, console.progress("Rows taken in") as advance:
        summary = ingest(ledger, RowParser(agreement, ledger.email_key()), jobs, advance=advance)
    console.emit(summary.as_dict(), _words(summary))
    _warn(console, summary, map_path)


def _preview(console: Console, paths: list[Path], map_path: Path | None) -> None:
    from features.intake.ingest import preview
    from features.intake.jobs import plan
    from features.intake.rows import RowParser

    # Nothing is stored, so no store is opened for its key: hashes shown here are not those of the ledger.
    parser = RowParser(console.agreement(), b"dry run")
    jobs, _ = plan(paths, map_path)
    rows, summary = preview(parser, jobs, _SHOWN)
    if console.as_json:
        shown = [{"file": file, "row": number, "table": table, **_given(row)} for file, number, table, row in rows]
        console.emit({"rows": shown, "summary": summary.as_dict()}, "")
    else:
        cells = [{"row": number, "table": table, "becomes": _line(table, row)} for _, number, table, row in rows]
        console.emit_rows(cells, columns=("row", "table", "becomes"))
    console.say(
        f"Dry run over the first {summary.rows:,} rows, nothing written: {summary.accepted:,} rows of the contract,"
        f" {summary.ignored:,} ignored, {summary.rejected:,} rejected."
    )
    _reasons(console, summary)


def _retry(console: Console, paths: list[Path], map_path: Path | None) -> None:
    from features.intake.fieldmap import FieldMap
    from features.intake.retry import retry
    from features.intake.rows import RowParser
    from features.ledger import Ledger

    field_map = FieldMap.load(map_path) if map_path else None
    with Ledger.open(console.store, must_exist=True) as ledger:
        parser = RowParser(console.agreement(), ledger.email_key())
        done = retry(ledger, parser, field_map, [path.name for path in paths])
    data = {"tried": done.tried, "resolved": done.resolved, "stillRejected": done.still_rejected}
    console.emit(
        data | {"needMap": done.need_map, "summary": done.summary.as_dict()},
        f"{done.tried:,} rejected rows tried again: {done.resolved:,} went in, {done.still_rejected:,} stay rejected.",
    )
    if done.summary.ignored:
        console.say(f"Of those that went in, the map now ignores {done.summary.ignored:,}.")
    _reasons(console, done.summary)
    if done.need_map:
        console.say(f"{done.need_map:,} more came from senders' files: name the file and its map, FILE --map MAP.toml.")


def _words(summary: Summary) -> str:
    lines = [
        f"rows read       {summary.rows:>12,}",
        f"accepted        {summary.accepted:>12,}",
        f"duplicate       {summary.duplicates:>12,}",
        f"corrected       {summary.corrected:>12,}",
        f"rejected        {summary.rejected:>12,}",
        f"ignored by map  {summary.ignored:>12,}",
        f"unattached      {summary.unattached:>12,}",
        f"stub accounts   {summary.stub_accounts:>12,}",
    ]
    return "\n".join(lines)


def _warn(console: Console, summary: Summary, map_path: Path | None) -> None:
    if not summary.rejected:
        return
    _reasons(console, summary)
    again = f" --map {map_path}" if map_path else ""
    console.say(f"Warning: {summary.rejected:,} rows were set aside.")
    console.say(f"Next: mend the cause, then smarketing ingest --retry-rejected{again}")


def _reasons(console: Console, summary: Summary) -> None:
    for message, rows in summary.reasons.most_common(5):
        console.say(f"  {rows:,} x {message}")


def _line(table: str, row: Row) -> str:
    from features.intake.values import written_time
    from features.schema import TABLES, Type

    times = {column.name for column in TABLES[table].stored if column.type is Type.TIME}
    given = _given(row).items()
    return ", ".join(f"{name}={written_time(value) if name in times else value}" for name, value in given)


def _given(row: Row) -> dict[str, object]:
    return {name: value for name, value in row.items() if value is not None}
