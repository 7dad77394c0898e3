"""Files into the ledger: chunk by chunk, good rows and dead letters in one transaction each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import orjson

from features.errors import RowError
from features.intake.files import CHUNK, Chunk, Record, read, verify
from features.intake.jobs import Job, Mapped
from features.intake.rows import Row, RowParser
from features.intake.values import MAX_TEXT
from features.ledger import Batch, DeadLetter, Ledger, Receipt, Rejection

UNREADABLE = "record"
"""Code of a row that could not be read from its file at all."""

_REASONS_SHOWN = 5


@dataclass
class Summary:
    """What became of the rows of some files.

    Parameters
    ----------
    rows : int
        Rows of the files that were read.
    ignored : int
        Rows that the map leaves out.
    rejected : int
        Rows set aside as dead letters.
    accepted, duplicates, corrected, unattached, stub_accounts : int
        Rows of the contract, as in `features.ledger.Receipt`.
    ledger_seq : int
        Where the ledger stands.
    reasons : Counter
        Rejected rows by field and message.
    """

    rows: int = 0
    ignored: int = 0
    rejected: int = 0
    accepted: int = 0
    duplicates: int = 0
    corrected: int = 0
    unattached: int = 0
    stub_accounts: int = 0
    ledger_seq: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, receipt: Receipt) -> None:
        """Count what the ledger did with a batch."""
        self.accepted += receipt.accepted
        self.duplicates += receipt.duplicates
        self.corrected += receipt.corrected
        self.unattached += receipt.unattached
        self.stub_accounts += receipt.stub_accounts
        self.ledger_seq = receipt.ledger_seq

    def reject(self, letter: DeadLetter) -> None:
        """Count a row that was set aside."""
        self.rejected += 1
        reason = letter.reason.partition(" (line ")[0]
        if len(self.reasons) < 1_000 or reason in self.reasons:  # every row may have words of its own
            self.reasons[reason] += 1

    def as_dict(self) -> dict[str, object]:
        """Return the counts for JSON, the most frequent reasons of rejection last."""
        counts = {name: value for name, value in vars(self).items() if name != "reasons"}
        frequent = self.reasons.most_common(_REASONS_SHOWN)
        return counts | {"reasons": [{"message": message, "rows": rows} for message, rows in frequent]}


def ingest(
    ledger: Ledger, parser: RowParser, jobs: Iterable[Job], *, advance: Callable[[int], None] = lambda rows: None
) -> Summary:
    """Append files to the ledger.

    Parameters
    ----------
    ledger : Ledger
    parser : RowParser
    jobs : iterable of Job
    advance : callable
        Told after each commit how many rows of the files it held.

    Raises
    ------
    FileError, FieldMapError
        Before any row of any file, or naming the rows before the damage; appending again never doubles a row.
    """
    summary = Summary()
    ready: list[tuple[Job, Mapped]] = []
    for job in jobs:
        verify(job.source)
        ready.append((job, job.mapped(parser)))
    for job, mapped in ready:
        for chunk in read(job.source, CHUNK):
            _append(ledger, parser, job, mapped, chunk, summary)
            advance(len(chunk))
    return summary


def preview(parser: RowParser, jobs: Iterable[Job], rows: int) -> tuple[list[tuple[str, int, str, Row]], Summary]:
    """Map the first rows of each file without a ledger.

    Returns
    -------
    list of (str, int, str, Row)
        File, number of its row, table and mapped row: those of the first `rows` rows that are not ignored.
    Summary
        Counts over the first chunk of each file; `accepted` are rows that would be sent to the ledger.
    """
    shown: list[tuple[str, int, str, Row]] = []
    summary = Summary()
    sources = 0
    for job in jobs:
        verify(job.source)
        mapped = job.mapped(parser)
        for chunk in islice(read(job.source, CHUNK), 1):
            summary.rows += len(chunk)
            for fault in chunk.faults:
                summary.reject(_letter(parser, job, fault.number, fault.raw, _fault_error(fault.message)))
            for number, _, made in _made(parser, job, mapped, chunk, summary):
                if isinstance(made, DeadLetter):
                    summary.reject(made)
                    continue
                summary.accepted += len(made)
                if sources < rows:
                    shown += [(job.source.path.name, number, table, row) for table, row in made]
                    sources += 1
    return shown, summary


def _append(ledger: Ledger, parser: RowParser, job: Job, mapped: Mapped, chunk: Chunk, summary: Summary) -> None:
    dead = [_letter(parser, job, fault.number, fault.raw, _fault_error(fault.message)) for fault in chunk.faults]
    rows: dict[str, list[Row]] = {}
    origins: dict[str, list[tuple[int, Record]]] = {}
    for number, record, made in _made(parser, job, mapped, chunk, summary):
        if isinstance(made, DeadLetter):
            dead.append(made)
            continue
        for table, row in made:
            rows.setdefault(table, []).append(row)
            origins.setdefault(table, []).append((number, record))

    dead.sort(key=lambda letter: letter.row_number)
    refused: list[DeadLetter] = []

    def refuse(rejection: Rejection) -> DeadLetter:
        number, record = origins[rejection.table][rejection.index]
        value = rows[rejection.table][rejection.index].get(rejection.field)
        error = RowError(rejection.field, rejection.code, rejection.message, value=value)
        refused.append(_letter(parser, job, number, record, error))
        return refused[-1]

    summary.add(ledger.append(Batch(rows=rows, backfill=job.backfill, dead=dead, on_rejection=refuse)))
    summary.rows += len(chunk)
    for letter in (*dead, *refused):
        summary.reject(letter)


def _made(
    parser: RowParser, job: Job, mapped: Mapped, chunk: Chunk, summary: Summary
) -> Iterator[tuple[int, Record, list[tuple[str, Row]] | DeadLetter]]:
    """Yield number, record and rows (or the dead letter) of every record that is not ignored."""
    for number, record in zip(chunk.numbers, chunk.records, strict=True):
        try:
            made = mapped(record)
        except RowError as error:
            yield number, record, _letter(parser, job, number, record, error)
            continue
        if made is None:
            summary.ignored += 1
        else:
            yield number, record, made


def _letter(parser: RowParser, job: Job, number: int, record: Record, error: RowError) -> DeadLetter:
    value = "" if error.value is None else str(parser.hash_emails(str(error.value)))
    written = orjson.dumps(parser.hash_emails(record), default=str).decode()
    return DeadLetter(
        batch=job.source.path.name,
        row_number=number,
        table=job.table or "",
        field=error.field,
        code=error.code,
        value=value[:MAX_TEXT],
        reason=error.message,
        raw=written,
    )


def _fault_error(message: str) -> RowError:
    return RowError("", UNREADABLE, message)
