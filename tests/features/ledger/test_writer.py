"""The writer: group commit, failures that stay alone, other processes, sudden death, a full disk."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from features.errors import StoreError
from features.ledger import Batch, Ledger
from tests.features.ledger.rows import deal, send, touch

ROOT = Path(__file__).parents[3]


def test_appends_of_many_threads_share_commits_and_leave_no_gap(ledger):
    with ThreadPoolExecutor(16) as pool:
        receipts = list(pool.map(lambda n: send(ledger, "spend", spend(n)), range(200)))
    assert sorted(receipt.ledger_seq for receipt in receipts) == list(range(1, 201))
    assert sorted(ledger.export("spend")["ledger_seq"].to_pylist()) == list(range(1, 201))
    assert ledger.commits < 200


def spend(n):
    return {"channel": "Email", "campaign": "c", "period_start": n, "period_end": n + 1, "amount": 1, "currency": "EUR"}


def test_a_bad_append_spoils_none_of_those_it_is_committed_with(ledger):
    held = threading.Event()

    def slow(rejection):
        raise RuntimeError(f"held: {held.wait(10)}")

    def wrong(n):
        rows = [spend(n), {**spend(n), "campaign": object()}] if n % 3 == 0 else [spend(n)]
        return ledger.append(Batch({"spend": rows}))

    with ThreadPoolExecutor(32) as pool:
        blocked = pool.submit(
            ledger.append, Batch({"contacts": [{"contact_id": "c", "deleted": True}]}, on_rejection=slow)
        )
        waiting = [pool.submit(wrong, n) for n in range(30)]
        held.set()
        assert str(blocked.exception()) == "held: True"
        failed = {n for n, one in enumerate(waiting) if one.exception()}
    assert failed == set(range(0, 30, 3))
    stored = ledger.export("spend")
    assert sorted(stored["period_start"].to_pylist()) == sorted(set(range(30)) - failed)
    assert sorted(stored["ledger_seq"].to_pylist()) == list(range(1, 21))


def test_every_commit_is_flushed_to_the_disk(ledger):
    """A kill does not tell FULL from NORMAL, so the setting itself is looked at: 2 is FULL."""
    connection = ledger._engines.writer.raw_connection()
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_readers_can_not_write(ledger):
    connection = ledger._engines.reader.raw_connection()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM head")
    connection.close()


def test_a_closed_ledger_takes_nothing(path):
    ledger = Ledger.open(path)
    ledger.close()
    ledger.close()
    with pytest.raises(StoreError, match="closed"):
        send(ledger, "deals", deal(5))


def test_a_full_disk_is_said_and_what_fits_later_is_taken(ledger):
    with ledger._engines.writer.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    limit = ledger._writer._connection.connection.dbapi_connection
    limit.execute(f"PRAGMA max_page_count={pages + 5}")
    with pytest.raises(StoreError, match="full"):
        send(ledger, "touchpoints", *(touch(str(n), properties="x" * 1_000) for n in range(200)))
    assert ledger.export("touchpoints").num_rows == ledger.head().ledger_seq == 0
    limit.execute("PRAGMA max_page_count=1000000")
    assert send(ledger, "touchpoints", touch("1")).accepted == 1


def test_whoever_only_opens_a_store_waits_for_no_writer(path, ledger):
    held = sqlite3.connect(path, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    with Ledger.open(path) as second:
        assert second.head().ledger_seq == 0
    held.close()


def leave(rejection):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        (Batch({"deals": None}), TypeError),  # type: ignore[dict-item]
        (Batch({"deals": iter([deal(5)])}), TypeError),  # type: ignore[dict-item]
        (Batch({"contacts": [{"contact_id": "c", "deleted": True}]}, on_rejection=leave), SystemExit),
    ],
)
def test_no_mistake_of_a_sender_stops_the_writer(ledger, batch, error):
    with ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(ledger.append, batch).exception(timeout=10), error)
    assert send(ledger, "deals", deal(5)).accepted == 1


def test_an_append_from_inside_an_append_is_refused(ledger):
    def append_more(rejection):
        raise AssertionError(send(ledger, "deals", deal(5)))

    batch = Batch({"contacts": [{"contact_id": "c", "deleted": True}]}, on_rejection=append_more)
    with ThreadPoolExecutor(1) as pool:
        assert "from inside it" in str(pool.submit(ledger.append, batch).exception(timeout=10))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that it dies is the point
def test_when_the_writer_dies_nobody_waits_for_it(ledger, monkeypatch):
    monkeypatch.setattr(ledger._writer, "_settle", leave)
    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(send, ledger, "deals", deal(5)).exception(timeout=10)
    assert isinstance(error, StoreError)
    with pytest.raises(StoreError, match="closed"):
        send(ledger, "deals", deal(5))


CHILD = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from features.ledger import Batch, Ledger
ledger = Ledger.open(sys.argv[1])
def one(n):
    key = f"{sys.argv[2]}-{n}"
    row = {"source": "web", "event_id": key, "occurred_at": n, "touch_type": "call", "account_id": f"a-{n % 7}"}
    ledger.append(Batch({"touchpoints": [row]}))
    sys.stdout.write(key + "\\n")
    sys.stdout.flush()
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(one, range(int(sys.argv[3]))))
ledger.close()
"""


def start(path, name, count):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), name, str(count)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    return child


def finish(child, path):
    lines = child.stdout.read().splitlines(keepends=True)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    return {line.strip() for line in lines if line.endswith("\n")}


def test_what_was_acknowledged_survives_a_kill_once_and_whole(path):
    acknowledged = set()
    for attempt in range(2):
        child = start(path, str(attempt), 100_000)
        child.stdin.write("\n")
        child.stdin.flush()
        acknowledged |= {child.stdout.readline().strip() for _ in range(20 + 30 * attempt)}
        os.kill(child.pid, signal.SIGKILL)
        acknowledged |= finish(child, path)
    with Ledger.open(path) as ledger:
        stored = ledger.export("touchpoints")["event_id"].to_pylist()
        assert len(stored) == len(set(stored))
        assert acknowledged <= set(stored)
        assert ledger.export("touch_links").num_rows == ledger.tables()["account_touches"].num_rows == len(stored)
        assert ledger.head().ledger_seq == max(ledger.export("touch_links")["ledger_seq"].to_pylist())


def test_two_processes_write_to_one_store(path):
    with Ledger.open(path):
        children = [start(path, name, 60) for name in ("one", "two")]
        for child in children:
            child.stdin.write("\n")
            child.stdin.flush()
        assert [len(finish(child, path)) for child in children] == [60, 60]
    with Ledger.open(path) as ledger:
        assert ledger.export("touchpoints").num_rows == 120
        seqs = [
            s
            for name in ("touchpoints", "touch_links", "accounts")
            for s in ledger.export(name)["ledger_seq"].to_pylist()
        ]
        assert len(seqs) == len(set(seqs))
