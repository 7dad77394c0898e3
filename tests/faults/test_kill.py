"""A server that is killed keeps every row that it has acknowledged, once."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

import httpx2

from features.ledger import Ledger
from tests.serving.child import Child, child
from tests.serving.conftest import DAY, KEY, touch


def test_acknowledged_touches_survive_a_kill_and_none_is_doubled_or_half_written(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    sent: set[str] = set()
    for attempt in range(2):
        with child(tmp_path, "--no-refresh") as server:
            senders = [
                threading.Thread(target=_send, args=(server, attempt * 10 + n, sent, acknowledged)) for n in range(4)
            ]
            for sender in senders:
                sender.start()
            time.sleep(random.Random(attempt).uniform(0.5, 1.5))
            server.process.send_signal(signal.SIGKILL)
            for sender in senders:
                sender.join()
    with Ledger.open(tmp_path / "market.db") as ledger:
        touches = ledger.export("touchpoints").column("event_id").to_pylist()
        links = ledger.export("touch_links").column("event_id").to_pylist()
        positions = [
            seq
            for name in ("touchpoints", "touch_links", "accounts")
            for seq in ledger.export(name).column("ledger_seq").to_pylist()
        ]
        head = ledger.head().ledger_seq
    assert len(acknowledged) > 20
    assert acknowledged <= set(touches) <= sent
    assert len(touches) == len(set(touches))
    assert sorted(links) == sorted(touches)
    assert max(positions) == head
    for event_id in sent:
        prefix = event_id.rpartition("-")[0]
        assert (f"{prefix}-a" in touches) == (f"{prefix}-b" in touches), "half of a request was written"


def _send(server: Child, sender: int, sent: set[str], acknowledged: set[str]) -> None:
    with httpx2.Client(base_url=server.address, headers={"authorization": f"Bearer {KEY}"}) as client:
        at = int(time.time() * 1_000_000) - DAY
        for number in range(100_000):
            ids = [f"{sender:02d}-{number:06d}-{half}" for half in "ab"]
            sent.update(ids)
            rows = [touch(0, f"a-{number % 5}", at, eventId=event_id) for event_id in ids]
            try:
                answer = client.post("/v1/touchpoints", json={"touchpoints": rows})
            except httpx2.TransportError:
                return
            if answer.status_code == 200 and answer.json()["accepted"] == 2:
                acknowledged.update(ids)
