"""Rows that arrive over HTTP, judged one by one and appended in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.errors import RowError
from features.intake.rows import Row, RowParser, camel_case
from features.ledger import Batch, DeadLetter, Ledger, Rejection

_NOT_A_ROW = "record"
"""Code of a row that is no object. Dead letters with it are never tried again, as those of unreadable file rows."""


@dataclass(frozen=True)
class Refusal:
    """A row that was not taken: its position in the request, the field, the reason as a code and in words."""

    index: int
    field: str
    code: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What became of the rows of a request."""

    accepted: int
    duplicates: int
    corrected: int
    unattached: int
    stub_accounts: int
    refused: tuple[Refusal, ...]
    ledger_seq: int


def sets_known_at(rows: Sequence[object]) -> bool:
    """Whether any row says itself when it was learnt, which is for backfills only."""
    return any(isinstance(row, Mapping) and row.get("knownAt") is not None for row in rows)


class Intake:
    """The way of rows into the ledger.

    Parameters
    ----------
    ledger : Ledger
    parser : RowParser
    """

    def __init__(self, ledger: Ledger, parser: RowParser) -> None:
        self._ledger = ledger
        self._parser = parser

    def take(self, table: str, rows: Sequence[object], *, backfill: bool, request_id: str) -> Outcome:
        """Append the good rows and set the bad ones aside, in one transaction; return after its commit.

        Parameters
        ----------
        table : str
        rows : sequence of object
            As the client sent them.
        backfill : bool
            Whether rows without a time of their own count as known when they happened.
        request_id : str
            Names the request in the dead letters.

        Raises
        ------
        StoreError
            When nothing could be kept.
        """
        good: dict[str, list[Row]] = {}
        origin: dict[str, list[int]] = {}
        refused: list[Refusal] = []
        dead: list[DeadLetter] = []

        def set_aside(refusal: Refusal, value: object = None) -> DeadLetter:
            refused.append(refusal)
            return self._dead_letter(table, rows[refusal.index], refusal, value, request_id)

        def refused_by_ledger(item: Rejection) -> DeadLetter:
            sent = camel_case(item.field)
            message = item.message.replace(item.field, sent) if item.field else item.message
            return set_aside(Refusal(origin[item.table][item.index], sent, item.code, message))

        for index, raw in enumerate(rows):
            try:
                parsed = self._parse(table, raw)
            except RowError as error:
                dead.append(set_aside(Refusal(index, error.field, error.code, error.message), error.value))
                continue
            for name, row in parsed:
                good.setdefault(name, []).append(row)
                origin.setdefault(name, []).append(index)
        receipt = self._ledger.append(Batch(rows=good, backfill=backfill, dead=dead, on_rejection=refused_by_ledger))
        return Outcome(
            receipt.accepted,
            receipt.duplicates,
            receipt.corrected,
            receipt.unattached,
            receipt.stub_accounts,
            tuple(sorted(refused, key=lambda item: item.index)),
            receipt.ledger_seq,
        )

    def _parse(self, table: str, raw: object) -> list[tuple[str, Row]]:
        if not isinstance(raw, Mapping):
            raise RowError("", _NOT_A_ROW, "A row must be a JSON object.")
        return self._parser.parse(table, raw, camel=True)

    def _dead_letter(self, table: str, raw: object, refusal: Refusal, value: object, request_id: str) -> DeadLetter:
        hashed = self._parser.hash_emails(value)
        return DeadLetter(
            batch=request_id,
            row_number=refusal.index + 1,
            table=table,
            field=refusal.field,
            code=refusal.code,
            value="" if hashed is None else str(hashed)[:200],
            reason=str(self._parser.hash_emails(refusal.message)),
            # Not orjson: a row may be refused for a whole number that it can not write.
            raw=json.dumps(self._parser.hash_emails(raw), ensure_ascii=False),
        )
