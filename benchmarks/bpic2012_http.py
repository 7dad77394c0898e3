"""Rows of the contract posted in random order to a running service, as a sender with an old log would."""

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
    with _service(store) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for begin in range(0, len(rows), PIECE):
            piece = rows[begin : begin + PIECE]
            for table in dict.fromkeys(table for table, _ in piece):
                _post(connection, table, [row for name, row in piece if name == table])
                requests += 1
        connection.close()
    return requests


def _post(connection: http.client.HTTPConnection, table: str, rows: list[dict[str, Any]]) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    body = json.dumps({ROUTES[table]: rows, "backfill": True})
    connection.request("POST", f"/v1/{table.replace('_', '-')}", body, headers)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    corrected = said.get("corrected", 0) if table != "accounts" else 0  # an account may have been a stub until now
    if answer.status != 200 or said["rejected"] or said["duplicates"] or corrected:
        raise SystemExit(f"POST {table}: {answer.status} {said}")


@contextmanager
def _service(store: Path) -> Iterator[int]:
    import uvicorn
    from pydantic import SecretStr

    from serving.app import create_app
    from serving.settings import Settings

    settings = Settings(store=str(store), cache=store.parent / "bundles", api_key=SecretStr(KEY))
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


def _wire(table: str, row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the row as JSON has it; a fact of an account travels in the body of its account."""
    if table == "attributes":
        at = _rfc3339(row["occurred_at"])
        facts = {row["field"]: row["value"]}
        return "accounts", {"accountId": row["id"], "createdAt": at, "attributes": facts, "occurredAt": at}
    given = {name: value for name, value in row.items() if name not in LEDGER_COLUMNS and value is not None}
    return table, {_camel(name): _rfc3339(value) if name == "occurred_at" else value for name, value in given.items()}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def _rfc3339(micros: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
