"""A large market as the ledger would give it, drawn in a few vectorised lines: for measuring, not for learning from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.agreement import Agreement
from features.schema import DAY, FOREVER, ROLES, TABLES

START = 1_672_531_200_000_000
"""2023-01-01T00:00:00Z."""

SPAN_DAYS = 760
CHANNELS = ("Direct", "Email", "Paid Search", "Paid Social", "Organic Search", "Event", "Webinar", "Outbound Sales")
CONTACTS_EACH = 4


def market_tables(touches: int, accounts: int, *, seed: int = 0) -> dict[str, pa.Table]:
    """Return LedgerTables: few accounts have many touches, a tenth is known late, one in fifty was corrected."""
    rng = np.random.default_rng(seed)
    account_ids = np.char.mod("a-%06d", np.arange(accounts))
    return {
        "accounts": _stored("accounts", accounts, account_id=account_ids),
        "account_touches": _touches(rng, touches, account_ids),
        "deals": _deals(rng, account_ids),
        "stage_changes": _stage_changes(rng, account_ids),
        "attributes": _attributes(rng, account_ids),
        "fx_rates": _fx_rates(),
    }


def snapshots(count: int = 24) -> np.ndarray:
    """Return monthly moments at midnight, the last one 5 days before the end of the market."""
    last = START + (SPAN_DAYS - 5) * DAY
    return np.array([last - 30 * DAY * back for back in range(count)][::-1], dtype=np.int64)


def write(tables: dict[str, pa.Table], folder: Path) -> None:
    """Write one Parquet file for each table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")


def read(folder: Path) -> dict[str, pa.Table]:
    """Read what `write` wrote."""
    return {path.stem: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}


def _touches(rng: np.random.Generator, rows: int, account_ids: np.ndarray) -> pa.Table:
    activity = rng.lognormal(0.0, 1.0, len(account_ids))
    owner = np.sort(rng.choice(len(account_ids), rows, p=activity / activity.sum()))
    occurred_at = START + (rng.random(rows) * SPAN_DAYS * DAY).astype(np.int64)
    lag = np.where(rng.random(rows) < 0.1, rng.exponential(3 * DAY, rows), rng.random(rows) * 60_000_000)
    known_from = occurred_at + lag.astype(np.int64)
    replaced = rng.random(rows) < 0.02
    known_until = np.where(replaced, known_from + 20 * DAY, FOREVER)
    types = Agreement.load(None).touch_types
    names = np.array(sorted(types))
    popularity = 1.0 / (1 + rng.permutation(len(names)))
    kind = rng.choice(len(names), rows, p=popularity / popularity.sum())
    direction = np.array([types[name].direction for name in names])[kind]
    stage = np.array([types[name].content_stage or "" for name in names])[kind]
    person = rng.integers(0, CONTACTS_EACH, rows)
    event_ids = np.char.mod("e-%08d", np.arange(rows))
    answers = rng.random(rows) < 0.1
    answers[0] = False
    said = np.where(names[kind] == "survey", json.dumps({"nps": 30}), "")
    columns = {
        "source": pa.array(np.full(rows, "web")),
        "event_id": pa.array(event_ids),
        "occurred_at": pa.array(occurred_at),
        "account_id": pa.array(account_ids[owner]),
        "contact_id": _with_gaps(rng, np.char.add(np.char.add(account_ids[owner], "-c"), person.astype(str)), 0.2),
        "channel": pa.array(np.array(CHANNELS)[rng.integers(0, len(CHANNELS), rows)]),
        "content": _with_gaps(rng, np.char.mod("asset-%02d", rng.integers(0, 40, rows)), 0.5),
        "product": _with_gaps(rng, np.char.mod("p-%d", rng.integers(0, 5, rows)), 0.5),
        "touch_type": pa.array(names[kind]),
        "content_stage": pa.array(stage, mask=stage == ""),
        "direction": pa.array(direction),
        "actor_id": pa.array(np.char.mod("u-%02d", rng.integers(0, 50, rows)), mask=direction != "outbound"),
        "reply_to": pa.array(np.roll(event_ids, 1), mask=~answers),
        "properties": pa.array(said, mask=said == ""),
        "known_from": pa.array(known_from),
        "known_until": pa.array(known_until),
    }
    return _filled({column.name: column.type.arrow for column in TABLES["touchpoints"].columns}, columns, rows)


def _deals(rng: np.random.Generator, account_ids: np.ndarray) -> pa.Table:
    owner = rng.choice(len(account_ids), len(account_ids) // 3)
    opened = START + (rng.random(len(owner)) * SPAN_DAYS * DAY).astype(np.int64)
    deal = np.char.mod("d-%06d", np.arange(len(owner)))
    outcome = np.where(rng.random(len(owner)) < 0.4, "won", "lost")
    amount = (rng.lognormal(11, 1, len(owner))).astype(np.int64)
    cycle = np.char.add(account_ids[owner], ":new:1")
    both = {
        "deal_id": np.tile(deal, 2),
        "occurred_at": np.concatenate([opened, opened + (rng.random(len(owner)) * 120 * DAY).astype(np.int64)]),
        "account_id": np.tile(account_ids[owner], 2),
        "cycle_id": np.tile(cycle, 2),
        "kind": np.full(2 * len(owner), "new"),
        "product": np.full(2 * len(owner), "p-1"),
        "amount": np.tile(amount, 2),
        "currency": np.tile(np.where(rng.random(len(owner)) < 0.3, "USD", "EUR"), 2),
        "outcome": np.concatenate([np.full(len(owner), "open"), outcome]),
    }
    return _stored("deals", 2 * len(owner), **both)


def _stage_changes(rng: np.random.Generator, account_ids: np.ndarray) -> pa.Table:
    rows = 2 * len(account_ids)
    owner = rng.integers(0, len(account_ids), rows)
    return _stored(
        "stage_changes",
        rows,
        change_id=np.char.mod("s-%07d", np.arange(rows)),
        account_id=account_ids[owner],
        cycle_id=np.char.add(account_ids[owner], ":new:1"),
        kind=np.full(rows, "new"),
        stage=np.array(["lead", "mql", "bql", "sql"])[rng.integers(0, 4, rows)],
        occurred_at=START + (rng.random(rows) * SPAN_DAYS * DAY).astype(np.int64),
        set_by=np.full(rows, "marketing"),
    )


def _attributes(rng: np.random.Generator, account_ids: np.ndarray) -> pa.Table:
    rows = len(account_ids)
    facts = {
        "industry": np.char.mod("industry-%d", rng.integers(0, 12, rows)),
        "employees": rng.integers(5, 5000, rows).astype(str),
        "country": np.char.mod("C%d", rng.integers(0, 20, rows)),
        "segment": np.char.mod("segment-%d", rng.integers(0, 3, rows)),
    }
    contacts = np.concatenate([np.char.add(account_ids, f"-c{person}") for person in range(CONTACTS_EACH)])
    columns = {
        "entity": np.concatenate([np.full(4 * rows, "account"), np.full(2 * len(contacts), "contact")]),
        "id": np.concatenate([np.tile(account_ids, 4), contacts, contacts]),
        "field": np.concatenate([np.repeat(list(facts), rows), np.repeat(["employer", "role"], len(contacts))]),
        "value": np.concatenate(
            [*facts.values(), np.tile(account_ids, CONTACTS_EACH), rng.choice(ROLES, len(contacts))]
        ),
    }
    total = len(columns["id"])
    return _stored("attributes", total, occurred_at=np.full(total, START, dtype=np.int64), **columns)


def _fx_rates() -> pa.Table:
    months = np.arange(26, dtype=np.int64)
    return _stored(
        "fx_rates",
        len(months),
        currency=np.full(len(months), "USD"),
        date=START + months * 30 * DAY,
        rate=0.9 + 0.001 * months,
    )


def _stored(table: str, rows: int, **columns: np.ndarray) -> pa.Table:
    schema, clock = TABLES[table].arrow, TABLES[table].clock
    filled = {name: pa.array(values) for name, values in columns.items()}
    if TABLES[table].fact:
        happened = columns[clock] if clock else np.full(rows, START, dtype=np.int64)
        ledger = {
            "revision": np.ones(rows, dtype=np.int64),
            "deleted": np.zeros(rows, dtype=bool),
            "known_at": happened,
            "known_until": np.full(rows, FOREVER, dtype=np.int64),
            "known_at_origin": np.full(rows, "recorded"),
            "ledger_seq": np.arange(1, rows + 1),
        }
        filled |= {name: pa.array(values) for name, values in ledger.items()}
    return _filled(dict(zip(schema.names, schema.types, strict=True)), filled, rows)


def _filled(types: dict[str, pa.DataType], columns: dict[str, pa.Array], rows: int) -> pa.Table:
    """Return a table of these columns in order, those that are not given being empty, others at the end."""
    names = [*types, *(name for name in columns if name not in types)]
    arrays = [
        columns[name].cast(types.get(name, columns[name].type)) if name in columns else pa.nulls(rows, types[name])
        for name in names
    ]
    return pa.table(dict(zip(names, arrays, strict=True)))


def _with_gaps(rng: np.random.Generator, values: np.ndarray, share: float) -> pa.Array:
    return pa.array(values, mask=rng.random(len(values)) < share)
