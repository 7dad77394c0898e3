"""One account as people look at it: what is known of it, and what happened, newest first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from features.errors import RowError
from features.ledger import Ledger

MAX_PAGE = 200
"""Most entries of a timeline in one answer."""


class Place(NamedTuple):
    """Position of an entry in the timeline: when it happened, then what makes ties deterministic."""

    occurred_at: int
    type: str
    id: str


@dataclass(frozen=True)
class Entry:
    """Something that happened: a touchpoint, a change of stage, or a change of a deal.

    Parameters
    ----------
    place : Place
    what : str
        Touch type, stage, or outcome of the deal.
    columns : mapping
        The row it comes from.
    """

    place: Place
    what: str
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """Part of a timeline, and the cursor of the part after it; None at the end."""

    entries: tuple[Entry, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class Facts:
    """Entity columns of an account and its attributes as of a moment."""

    name: str | None
    domain: str | None
    parent_id: str | None
    created_at: int | None
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class Profile:
    """What is known of an account, and a page of its timeline."""

    facts: Facts
    page: Page


class Profiles:
    """Reads profiles from the ledger.

    Parameters
    ----------
    ledger : Ledger
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def read(self, account_id: str, as_of: int, cursor: str | None, limit: int) -> Profile:
        """Return the profile of an account as of a moment, with a page of its timeline.

        Raises
        ------
        RowError
            When the cursor is not one of ours.
        StoreError
            When the store does not answer.
        """
        tables = self._ledger.account_tables(account_id)
        return Profile(facts(tables, account_id, as_of), timeline(tables, as_of, cursor, limit))


def facts(tables: Mapping[str, pa.Table], account_id: str, as_of: int) -> Facts:
    """Return what is known of an account as of a moment, by both clocks.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        The ledger's tables of the account.
    account_id : str
    as_of : int
        Microseconds.
    """
    accounts: list[dict[str, Any]] = tables["accounts"].to_pylist()
    account = next((row for row in accounts if row["account_id"] == account_id), {})
    latest: dict[str, tuple[int, int, str | None]] = {}
    for row in _visible(tables["attributes"], as_of, "known_at"):
        if row["entity"] == "account" and row["id"] == account_id:
            stated = (row["occurred_at"], row["revision"], row["value"])
            latest[row["field"]] = max(latest.get(row["field"], stated), stated, key=lambda item: item[:2])
    attributes = {field: value for field, (_, _, value) in sorted(latest.items()) if value is not None}
    return Facts(
        account.get("name"), account.get("domain"), account.get("parent_id"), account.get("created_at"), attributes
    )


def timeline(tables: Mapping[str, pa.Table], as_of: int, cursor: str | None, limit: int) -> Page:
    """Return a page of what happened until a moment, newest first.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
    as_of : int
        Microseconds.
    cursor : str or None
        `next_cursor` of the page before; None for the first.
    limit : int
        At most `MAX_PAGE`.

    Raises
    ------
    RowError
        When the cursor is not one of ours.
    """
    after = None if cursor is None else _read_cursor(cursor)
    found = sorted(
        (entry for entry in _entries(tables, as_of) if after is None or entry.place < after),
        key=lambda entry: entry.place,
        reverse=True,
    )
    page = tuple(found[:limit])
    return Page(page, _write_cursor(page[-1].place) if len(found) > limit else None)


def _entries(tables: Mapping[str, pa.Table], as_of: int) -> Iterator[Entry]:
    for row in _visible(tables["account_touches"], as_of, "known_from"):
        place = Place(row["occurred_at"], "touchpoint", f"{row['source']}/{row['event_id']}")
        yield Entry(place, row["touch_type"], row)
    for row in _visible(tables["stage_changes"], as_of, "known_at"):
        yield Entry(Place(row["occurred_at"], "stageChange", row["change_id"]), row["stage"], row)
    for row in _visible(tables["deals"], as_of, "known_at"):
        yield Entry(Place(row["occurred_at"], "deal", row["deal_id"]), row["outcome"], row)


def _visible(table: pa.Table, as_of: int, known_from: str) -> Iterator[dict[str, Any]]:
    for row in table.to_pylist():
        if max(row["occurred_at"], row[known_from]) <= as_of < row["known_until"] and not row.get("deleted"):
            yield row


def _write_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(list(place))).decode().rstrip("=")


def _read_cursor(cursor: str) -> Place:
    try:
        occurred_at, kind, identifier = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError):
        occurred_at = kind = identifier = None
    if type(occurred_at) is not int or not isinstance(kind, str) or not isinstance(identifier, str):
        raise RowError("cursor", "type", "`cursor` must be the nextCursor of an earlier answer.")
    return Place(occurred_at, kind, identifier)
