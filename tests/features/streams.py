"""Small markets drawn by hypothesis, and the tables a ledger would make of them.

A market is a list of raw rows ``(table, columns)`` with their own `revision` and `known_at`. Times come from few days,
so that they tie, and so that window edges of 7, 30, 90, 180 and 365 days are hit exactly, a microsecond early and a
microsecond late. Every row may have revisions that arrive in any order, that contradict one another, or retract it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from features.schema import DAY, FOREVER, ROLES, TABLES

Raw = list[tuple[str, dict[str, Any]]]
Draw = Callable[[st.SearchStrategy[Any]], Any]

START = 1_735_689_600_000_000
"""2025-01-01T00:00:00Z."""

DAYS = (0, 1, 7, 30, 60, 90, 180, 365, 366, 372, 395)
SHIFTS = (0, 0, 0, 0, 1, -1, 7_200_000_000)
LAGS = (0, 0, 0, 0, 1, DAY, 30 * DAY, -DAY, -7_200_000_000)

ACCOUNTS = ("a-1", "a-2", "a-3", "a-empty")
"""The last one never has a row."""

OWNERS = ("a-1", "a-1", "a-2", "a-3")
"""Accounts to choose from when a row is drawn; most rows meet in the first."""

CONTACTS = ("c-1", "c-2", "c-3")
SOURCES = ("crm", "web")
EVENTS = ("e-01", "e-02", "e-03", "e-04", "e-05", "e-06")
CURRENCIES = ("EUR", "USD", "JPY")
CHANGES = ("s-1", "s-2", "s-3", "s-4", "s-5", "s-6")
STAGES = ("lead", "mql", "bql", "sql", "deal", "churned", "disqualified")
FIELDS = ("industry", "employees", "country", "region", "segment", "amount_requested", "annual_revenue")
MOST_ROWS = {"touchpoints": 14, "attributes": 12, "deals": 7, "stage_changes": 8, "fx_rates": 4}
ROW_BYTES = 80
"""Enough for the key and three versions of a row of any table."""

EDGES = 8
"""Moments of a market that are chosen to lie on an edge of one of its rows."""

FACT_TABLES = ("touchpoints", "touch_links", "attributes", "deals", "stage_changes", "fx_rates")

CHANNELS = ("Email", "Direct", "Paid Search", "Event", "Outbound Sales", "Back Office", None)
TOUCH_TYPES = (
    "page_view",
    "pricing_view",
    "demo_request",
    "call",
    "meeting",
    "email_reply",
    "quote_sent",
    "ticket_opened",
    "ticket_closed",
    "survey",
)


class Dice:
    """Choices read off a string of bytes: one draw of hypothesis for a whole row, many times faster than one for each.

    A byte of 0 takes the first option, so that rows shrink to the first option of everything.
    """

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def pick(self, options: Sequence[Any]) -> Any:
        return options[next(self._bytes) % len(options)]

    def time(self) -> int:
        """Return a moment on one of few days, on its midnight or just beside it."""
        return START + int(self.pick(DAYS)) * DAY + int(self.pick(SHIFTS))


@dataclass(frozen=True)
class Market:
    """Raw rows in the order they were drawn, and the moments to ask about."""

    raw: Raw
    moments: tuple[int, ...]


def moments() -> st.SearchStrategy[tuple[int, ...]]:
    """Moments to ask about: on window edges, long before the first row, and long after the last."""
    near = st.builds(lambda day, shift: START + day * DAY + shift, st.sampled_from(DAYS), st.sampled_from(SHIFTS))
    far = st.sampled_from((START - 3000 * DAY, START - 1, START + 700 * DAY, START + 9000 * DAY))
    return st.lists(st.one_of(near, near, near, far), min_size=1, max_size=3).map(tuple)


@st.composite
def markets(draw: Draw, *, own_links: bool = False) -> Market:
    """Return a market of up to some fifty rows.

    Parameters
    ----------
    own_links : bool, default=False
        Whether every touch belongs to the account it names itself, as a ledger links it, instead of having links with a
        history of their own.
    """
    raw: Raw = []
    for table, most in MOST_ROWS.items():
        for _ in range(draw(st.integers(0, most))):
            raw += _revised(table, Dice(draw(st.binary(min_size=ROW_BYTES, max_size=ROW_BYTES))))
    raw = _first_of_each_revision(raw)
    touches = [row for table, row in raw if table == "touchpoints"]
    if own_links:
        raw += [("touch_links", own_link(row)) for row in touches]
    else:
        keys = sorted({(row["source"], row["event_id"]) for row in touches})
        size = ROW_BYTES * len(keys)
        data = draw(st.binary(min_size=size, max_size=size))
        for place, key in enumerate(keys):
            raw += _revised("touch_links", Dice(data[place * ROW_BYTES :]), key)
    edges = Dice(draw(st.binary(min_size=3 * EDGES, max_size=3 * EDGES)))
    return Market(raw, (*draw(moments()), *(_edge(raw, edges) for _ in range(EDGES if raw else 0))))


@st.composite
def later_rows(draw: Draw, as_of: int) -> Raw:
    """Return rows that nobody could know of at that moment: by one clock, by the other, or by both.

    Rows that happen later are new ones; rows known later may also correct, retract or re-link what was known.
    """
    late = draw(markets()).raw
    dice = Dice(draw(st.binary(min_size=2 * len(late), max_size=2 * len(late))))
    found: Raw = []
    for place, (table, row) in enumerate(late):
        clock = TABLES[table].clock
        if clock is not None and dice.pick((True, False)):
            shifted = row | {clock: as_of + 1 + place * DAY} | _fresh(table, place)
            found.append((table, shifted))
            if table == "touchpoints":
                found.append(("touch_links", own_link(shifted)))
        else:
            known_at = as_of + dice.pick((1, DAY, 400 * DAY))
            found.append((table, row | {"known_at": known_at, "revision": row["revision"] + 10 + place}))
    return found


def own_link(touch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the link of a touch that names its account itself."""
    names = (*TABLES["touch_links"].names, "revision", "known_at", "deleted")
    return {name: touch[name] for name in names}


def ledger_tables(raw: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, pa.Table]:
    """Return what a ledger gives of all accounts: stored tables, and the view of touches with their links."""
    stored = {table: _with_known_until(table, raw) for table in FACT_TABLES}
    tables = {
        table: pa.Table.from_pylist(stored[table], schema=TABLES[table].arrow)
        for table in ("deals", "stage_changes", "attributes", "fx_rates")
    }
    tables["accounts"] = pa.Table.from_pylist(
        [{"account_id": account} for account in ACCOUNTS], schema=TABLES["accounts"].arrow
    )
    tables["account_touches"] = pa.Table.from_pylist(
        _account_touches(stored["touchpoints"], stored["touch_links"]), schema=ACCOUNT_TOUCHES
    )
    return tables


def account_tables(tables: Mapping[str, pa.Table], account_id: str) -> dict[str, pa.Table]:
    """Return what a ledger gives of one account: its own rows, and the facts of every contact it ever had."""
    rows = {name: table.to_pylist() for name, table in tables.items()}
    found: dict[str, list[dict[str, Any]]] = {
        name: [row for row in rows[name] if row["account_id"] == account_id]
        for name in ("accounts", "account_touches", "deals", "stage_changes")
    }
    contacts = {row["contact_id"] for row in found["account_touches"]}
    contacts |= {row["id"] for row in rows["attributes"] if row["field"] == "employer" and row["value"] == account_id}
    found["attributes"] = [
        row
        for row in rows["attributes"]
        if (row["entity"] == "account" and row["id"] == account_id)
        or (row["entity"] == "contact" and row["id"] in contacts)
    ]
    found["fx_rates"] = rows["fx_rates"]
    return {name: pa.Table.from_pylist(found[name], schema=tables[name].schema) for name in tables}


ACCOUNT_TOUCHES = pa.schema(
    [pa.field(column.name, column.type.arrow) for column in TABLES["touchpoints"].columns]
    + [pa.field("known_from", pa.int64()), pa.field("known_until", pa.int64())]
)


def _edge(raw: Raw, dice: Dice) -> int:
    """Return a moment at which a row comes into sight or leaves a window, or the microsecond before it."""
    table, row = dice.pick(raw)
    happened = row.get(TABLES[table].clock or "", row["known_at"])
    after = happened + int(dice.pick((0, 0, 7, 30, 90, 180, 365))) * DAY
    return int(dice.pick((after, after - 1, row["known_at"], row["known_at"] - 1)))


def _revised(table: str, dice: Dice, key: tuple[str, ...] | None = None) -> Raw:
    """Return the revisions of one row, known in any order, all but the first perhaps a retraction."""
    base = _KEY[table](dice) if key is None else dict(zip(TABLES[table].key, key, strict=True))
    rows: Raw = []
    for revision in range(1, dice.pick((1, 1, 1, 2, 3)) + 1):
        row = base | _CONTENT[table](dice, base)
        happened = row.get(TABLES[table].clock or "", START)
        lag, corrected_at = dice.pick(LAGS), dice.time()
        row["known_at"] = happened + lag if revision == 1 else corrected_at
        row["revision"] = revision
        row["deleted"] = dice.pick((False, False, True)) and revision > 1
        rows.append((table, row))
    return rows


_KEY: dict[str, Callable[[Dice], dict[str, Any]]] = {
    "touchpoints": lambda dice: {"source": dice.pick(SOURCES), "event_id": dice.pick(EVENTS)},
    "attributes": lambda dice: _fact_key(dice),
    "deals": lambda dice: {"deal_id": dice.pick(tuple(DEAL_CYCLE)), "occurred_at": dice.time()},
    "stage_changes": lambda dice: {"change_id": dice.pick(CHANGES)},
    "fx_rates": lambda dice: {"currency": dice.pick(CURRENCIES[1:]), "date": dice.time()},
}


def _fact_key(dice: Dice) -> dict[str, Any]:
    entity, field = dice.pick((("contact", "employer"), ("contact", "role"), ("account", None)))
    owner = dice.pick(CONTACTS) if entity == "contact" else dice.pick(OWNERS)
    return {"entity": entity, "id": owner, "field": field or dice.pick(FIELDS), "occurred_at": dice.time()}


def _touch(dice: Dice, _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "occurred_at": dice.time(),
        "account_id": dice.pick(OWNERS),
        "contact_id": dice.pick((*CONTACTS, None)),
        "channel": dice.pick(CHANNELS),
        "campaign": dice.pick(("spring", None)),
        "content": dice.pick(("paper", "video", None)),
        "product": dice.pick(("p-1", "p-2", None)),
        "touch_type": dice.pick(TOUCH_TYPES),
        "content_stage": dice.pick(("tofu", "mofu", "bofu", None)),
        "direction": dice.pick(("inbound", "inbound", "outbound", "internal", "signal", None)),
        "actor_id": dice.pick(("u-1", "u-2", None)),
        "reply_to": dice.pick((*EVENTS, None, None)),
        "cost": dice.pick((None, 0, 1999, 250_000)),
        "currency": "EUR",
        "properties": dice.pick(_PROPERTIES),
    }


_PROPERTIES = (
    None,
    "{}",
    json.dumps({"satisfaction": 4}),
    json.dumps({"satisfaction": 2.5, "nps": -20}),
    json.dumps({"nps": "n/a", "satisfaction": None}),
)


def _link(dice: Dice, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"account_id": dice.pick((*OWNERS, None)), "contact_id": dice.pick((*CONTACTS, None))}


def _fact(dice: Dice, key: Mapping[str, Any]) -> dict[str, Any]:
    values = {"employer": (*OWNERS, "elsewhere", None), "role": (*ROLES, None)}
    words = ("12", "1e3", "-3.5", "Retail", "nan", "inf", "", None)
    return {"value": dice.pick(values.get(key["field"], words)), "set_by": "import"}


def _deal(dice: Dice, key: Mapping[str, Any]) -> dict[str, Any]:
    account, number = dice.pick(OWNERS[:3]), DEAL_CYCLE[key["deal_id"]]
    return {
        "account_id": account,
        "cycle_id": cycle_id(account, number),
        "kind": CYCLE_KIND[number],
        "product": dice.pick(("p-1", "p-2", None)),
        "amount": dice.pick((100_000, 123_457, 0, None)),
        "currency": dice.pick(CURRENCIES),
        "outcome": dice.pick(("open", "won", "lost", "lost")),
        "loss_reason": dice.pick(("price", None)),
        "owner_id": dice.pick(("u-1", "u-2")),
    }


CYCLE_KIND = {1: "new", 2: "new", 3: "expansion", 4: "renewal"}
DEAL_CYCLE: dict[str, int] = {"d-1": 1, "d-2": 1, "d-3": 3, "d-4": 2}


def cycle_id(account: str, number: int) -> str:
    """Return the id of one of the four cycles an account may have; 1, 3 and 4 have the default id of their kind."""
    return f"{account}:{CYCLE_KIND[number]}:{2 if number == 2 else 1}"


def _stage_change(dice: Dice, _: Mapping[str, Any]) -> dict[str, Any]:
    account, number = dice.pick(OWNERS[:3]), dice.pick((1, 1, 2, 3, 4))
    return {
        "account_id": account,
        "cycle_id": cycle_id(account, number),
        "kind": CYCLE_KIND[number],
        "stage": dice.pick(STAGES),
        "occurred_at": dice.time(),
        "set_by": "sales",
    }


def _rate(dice: Dice, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"rate": dice.pick((0.5, 0.9, 1.25))}


_CONTENT: dict[str, Callable[[Dice, Mapping[str, Any]], dict[str, Any]]] = {
    "touchpoints": _touch,
    "touch_links": _link,
    "attributes": _fact,
    "deals": _deal,
    "stage_changes": _stage_change,
    "fx_rates": _rate,
}


def _first_of_each_revision(raw: Raw) -> Raw:
    """Keep one row for every (table, key, revision): what a second sender says of the same revision is not defined."""
    seen: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    for table, row in raw:
        seen.setdefault((table, *(row[name] for name in TABLES[table].key), row["revision"]), (table, row))
    return list(seen.values())


def _fresh(table: str, place: int) -> dict[str, str]:
    """Return a part of the key that no drawn row has, where the clock is not part of the key already."""
    names = {"touchpoints": "event_id", "stage_changes": "change_id"}
    return {names[table]: f"later-{place}"} if table in names else {}


def _with_known_until(table: str, raw: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Close every row of a table at the smallest known_at of a higher revision of the same key."""
    versions: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for name, row in raw:
        if name == table:
            versions.setdefault(tuple(row[column] for column in TABLES[table].key), []).append(row)
    closed = []
    for rows in versions.values():
        for row in rows:
            higher = [other["known_at"] for other in rows if other["revision"] > row["revision"]]
            closed.append({**row, "known_until": min(higher, default=FOREVER), "known_at_origin": "recorded"})
    return closed


def _account_touches(touches: list[dict[str, Any]], links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for touch in touches:
        for link in links:
            same = (touch["source"], touch["event_id"]) == (link["source"], link["event_id"])
            start = max(touch["known_at"], link["known_at"])
            end = min(touch["known_until"], link["known_until"])
            if same and start < end and not touch["deleted"] and not link["deleted"] and link["account_id"] is not None:
                owner = {name: link[name] for name in ("account_id", "contact_id")}
                found.append({name: touch.get(name) for name in ACCOUNT_TOUCHES.names} | owner)
                found[-1] |= {"known_from": start, "known_until": end}
    return found
