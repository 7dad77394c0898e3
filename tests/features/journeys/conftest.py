"""A ledger in the making, told in days."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from features.agreement import Agreement
from features.journeys import Journeys, find_journeys
from features.ledger import Batch, Ledger
from features.relations import build
from features.schema import DAY
from tests.features.journeys.oracle import found

START = 1_700_000_000_000_000


@dataclass
class Story:
    """What happened to some accounts, in days since `START`."""

    path: Path
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    agreement: Agreement = field(default_factory=Agreement.load)

    def touch(self, on: float, channel: str = "Email", account: str | None = "a", **columns: object) -> None:
        own = {"account_id": account, "channel": channel, "touch_type": "email_click", "direction": "inbound"}
        touches = self.rows.setdefault("touchpoints", [])
        self._add("touchpoints", on, {"source": "web", "event_id": f"e{len(touches):03d}", **own, **columns})

    def stage(self, stage: str, on: float, account: str = "a", cycle: str = "new:1") -> None:
        kind = cycle.split(":")[0]
        number = len(self.rows.get("stage_changes", []))
        own = {"account_id": account, "cycle_id": f"{account}:{cycle}", "kind": kind, "stage": stage}
        self._add("stage_changes", on, {"change_id": f"s{number:03d}", **own})

    def deal(
        self, outcome: str, on: float, deal_id: str = "d1", account: str = "a", cycle: str = "new:1",
        amount: int | None = 10_000, currency: str = "EUR",
    ) -> None:  # fmt: skip
        kind = cycle.split(":")[0]
        own = {"account_id": account, "cycle_id": f"{account}:{cycle}", "kind": kind, "outcome": outcome}
        self._add("deals", on, {"deal_id": deal_id, **own, "amount": amount, "currency": currency})

    def account(self, account: str, created: float) -> None:
        self.rows.setdefault("accounts", []).append({"account_id": account, "created_at": day(created)})

    def rate(self, currency: str, on: float, rate: float) -> None:
        row = {"currency": currency, "date": day(on), "rate": rate, "known_at": day(on)}
        self.rows.setdefault("fx_rates", []).append(row)

    def journeys(self, transition: str = "won", until: float = 400, **asked: Any) -> Journeys:
        with Ledger.open(self.path) as ledger:
            receipt = ledger.append(Batch(self.rows))
            assert receipt.rejected == ()
            tables = ledger.tables() | {"touchpoints": ledger.export("touchpoints")}
        return find_journeys(
            tables, build(tables, self.agreement), self.agreement, as_of=day(until), transition=transition, **asked
        )

    def told(self, transition: str = "won", until: float = 400, **asked: Any) -> list[dict[str, Any]]:
        """Return the journeys with their times in days and the days of their touches."""
        rows = found(self.journeys(transition, until, **asked))
        for row in rows:
            for name in (name for name in row if name.endswith("_at") or name.startswith("reached_")):
                row[name] = None if row[name] is None else (row[name] - START) / DAY
            row["touches"] = [(touch["occurred_at"] - START) / DAY for touch in row["touches"]]
        return rows

    def _add(self, table: str, on: float, row: dict[str, object]) -> None:
        self.rows.setdefault(table, []).append({"occurred_at": day(on), "known_at": day(on), **row})


def day(number: float) -> int:
    return START + round(number * DAY)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path / "ledger.db")
