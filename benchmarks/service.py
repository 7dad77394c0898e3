"""A running service, spoken to over HTTP; and an old log posted to it in random order, as a sender would."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

KEY = "a-key-for-this-benchmark-only"
PIECE = 100
"""Rows taken off the shuffled log at a time; those of one table go in one request."""

ROUTES = {"touchpoints": "touchpoints", "stage_changes": "stageChanges", "deals": "deals", "accounts": "accounts"}
LEDGER_COLUMNS = ("revision", "known_at")


def post_shuffled(raw: Mapping[str, list[tuple[str, dict[str, Any]]]], store: Path, rng: random.Random) -> int:
    """Post the rows of all accounts, shuffled, with backfill; return the number of requests.

    Raises
    ------
    SystemExit
        When a row is not accepted.
    """
    rows = [_wire(table, row) for account in raw.values() for table, row in account if table != "touch_links"]
    rng.shuffle(rows)
    requests = 0
    with running(store, store.parent / "bundles") as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for begin in range(0, len(rows), PIECE):
            piece = rows[begin : begin + PIECE]
            for table in dict.fromkeys(table for table, _ in piece):
                _post(connection, table, [row for name, row in piece if name == table])
                requests += 1
        connection.close()
    return requests


def _post(connection: http.client.HTTPConnection, table: str, rows: list[dict[str, Any]]) -> None:
    said = ask(connection, f"/v1/{table.replace('_', '-')}", {ROUTES[table]: rows, "backfill": True})
    corrected = said.get("corrected", 0) if table != "accounts" else 0  # an account may have been a stub until now
    if said["rejected"] or said["duplicates"] or corrected:
        raise SystemExit(f"POST {table}: {said}")


@contextmanager
def running(store: Path, cache: Path) -> Iterator[int]:
    """Run the service of a store in a thread and yield its port."""
    import uvicorn
    from pydantic import SecretStr

    from serving.app import create_app
    from serving.settings import Settings

    settings = Settings(store=str(store), cache=cache, api_key=SecretStr(KEY))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise SystemExit("The service did not start.")
        time.sleep(0.05)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def ask(connection: http.client.HTTPConnection, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Post a body and return the answer.

    Raises
    ------
    SystemExit
        When the status is not 200.
    """
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    said: dict[str, Any] = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"POST {path}: {answer.status} {said}")
    return said


def _wire(table: str, row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the row as JSON has it; a fact of an account travels in the body of its account."""
    if table == "attributes":
        at = rfc3339(row["occurred_at"])
        facts = {row["field"]: row["value"]}
        return "accounts", {"accountId": row["id"], "createdAt": at, "attributes": facts, "occurredAt": at}
    given = {name: value for name, value in row.items() if name not in LEDGER_COLUMNS and value is not None}
    return table, {_camel(name): rfc3339(value) if name == "occurred_at" else value for name, value in given.items()}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def rfc3339(micros: int) -> str:
    """Return microseconds since the epoch as the interface writes times."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
