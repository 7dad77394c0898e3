"""Dead letters tried again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from features.errors import RowError
from features.intake.fieldmap import FieldMap
from features.intake.files import CHUNK
from features.intake.ingest import UNREADABLE, Summary
from features.intake.jobs import LEDGERS_OWN, Mapped, own_rows
from features.intake.rows import Row, RowParser
from features.ledger import Batch, DeadLetter, Ledger, StoredDeadLetter


@dataclass(frozen=True)
class Retried:
    """What became of dead letters: how many were tried, went in, stay open, and need a map to be tried at all."""

    tried: int
    resolved: int
    still_rejected: int
    need_map: int
    summary: Summary


def retry(ledger: Ledger, parser: RowParser, field_map: FieldMap | None, batches: Sequence[str] = ()) -> Retried:
    """Map open dead letters again, append them, and settle those that went in.

    Parameters
    ----------
    ledger : Ledger
    parser : RowParser
    field_map : FieldMap or None
        The map, mended perhaps, for letters that came from a sender's file.
    batches : sequence of str
        Names of the files whose letters to try. When empty all are tried, but letters from a sender's file only with
        a map that fits them: another file's map could call them ignored, and they would be settled without a trace.
    """
    summary = Summary()
    mapped = field_map.rows(parser) if field_map else None
    resolved = need_map = 0
    for page in _pages(ledger, batches):
        ready = [stored for stored in page if stored.letter.table or _fits(field_map, stored.letter, bool(batches))]
        need_map += len(page) - len(ready)
        summary.rows += len(ready)
        resolved += _retry_page(ledger, parser, ready, mapped, field_map, summary)
    return Retried(summary.rows, resolved, summary.rows - resolved, need_map, summary)


def _fits(field_map: FieldMap | None, letter: DeadLetter, named: bool) -> bool:
    """Tell whether a map is meant for a letter from a sender's file: named by its file, or with every column in it."""
    if field_map is None or named or letter.code == UNREADABLE:
        return field_map is not None
    record = orjson.loads(letter.raw)
    return all(column in record or column in field_map.optional for column in field_map.columns)


def _pages(ledger: Ledger, batches: Sequence[str]) -> Iterator[list[StoredDeadLetter]]:
    after = 0
    while page := ledger.dead_letters(after=after, limit=CHUNK):
        after = page[-1].id
        yield [stored for stored in page if not batches or stored.letter.batch in batches]


def _retry_page(
    ledger: Ledger,
    parser: RowParser,
    page: Sequence[StoredDeadLetter],
    mapped: Mapped | None,
    field_map: FieldMap | None,
    summary: Summary,
) -> int:
    """Try some letters and return how many of them went in."""
    good: list[int] = []
    groups: dict[bool, dict[str, list[tuple[int, Row]]]] = {True: {}, False: {}}
    for stored in page:
        letter = stored.letter
        try:
            rows, backfill = _rows(letter, parser, mapped, field_map)
        except RowError as error:
            summary.rejected += 1
            summary.reasons[error.message.partition(" (line ")[0]] += 1
            continue
        summary.ignored += rows is None
        good.append(stored.id)
        for table, row in rows or ():
            groups[backfill].setdefault(table, []).append((stored.id, row))
    refused = _append(ledger, groups, summary)
    good = [letter_id for letter_id in good if letter_id not in refused]
    if good:
        # In a transaction of its own: a crash in between leaves letters open, and trying again finds duplicates.
        summary.ledger_seq = ledger.append(Batch(resolves=good)).ledger_seq
    return len(good)


def _append(ledger: Ledger, groups: Mapping[bool, Mapping[str, list[tuple[int, Row]]]], summary: Summary) -> set[int]:
    """Append the rows of retried letters and return the ids of letters of which the ledger refused a row."""
    refused: set[int] = set()
    for backfill, tables in groups.items():
        if not tables:
            continue
        receipt = ledger.append(
            Batch(rows={table: [row for _, row in rows] for table, rows in tables.items()}, backfill=backfill)
        )
        summary.add(receipt)
        for rejection in receipt.rejected:
            refused.add(tables[rejection.table][rejection.index][0])
            summary.rejected += 1
            summary.reasons[rejection.message] += 1
    return refused


def _rows(
    letter: DeadLetter, parser: RowParser, mapped: Mapped | None, field_map: FieldMap | None
) -> tuple[list[tuple[str, Row]] | None, bool]:
    """Return the rows of a letter, and whether they count as known when they happened."""
    record = orjson.loads(letter.raw)
    if letter.code == UNREADABLE or not isinstance(record, dict):
        raise RowError(letter.field, UNREADABLE, letter.reason)
    if mapped and field_map and not letter.table:
        return mapped(record), field_map.assumed
    if set(record) <= {*parser.fields(letter.table, camel=False), *LEDGERS_OWN}:
        return own_rows(letter.table, parser)(record), True
    return parser.parse(letter.table, record, camel=True), False  # it came over HTTP: known from now
