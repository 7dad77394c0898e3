"""Journeys straight from the rules, slowly: one account, one cycle, one touch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from features.agreement import Agreement
from features.cycles import Change, StageRow, changes
from features.journeys import Journeys
from features.money import minor_per_unit
from features.schema import DAY, FOREVER

Row = dict[str, Any]
ENDING = ("account_id", "ended_at", "cycle_id", "deal_id")


def found(journeys: Journeys) -> list[Row]:
    """Return what was found in the shape of the oracle."""
    rows = journeys.journeys.to_pylist()
    touches = journeys.touches.to_pylist()
    for place, row in enumerate(rows):
        row["touches"] = touches[journeys.offset[place] : journeys.offset[place + 1]]
    return rows


class Oracle:
    """All journeys towards a transition, and the reasons why touches are in none."""

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        agreement: Agreement,
        as_of: int,
        stage: str,
        kind: str,
        days: int,
        most: int,
    ) -> None:
        self.agreement, self.as_of, self.stage, self.kind = agreement, as_of, stage, kind
        self.days, self.most = days, most
        self.rows = {name: table.to_pylist() for name, table in tables.items()}
        self.seen = {
            name: [row for row in self.rows[name] if self._is_known(row)]
            for name in ("deals", "stage_changes", "attributes")
        }
        self.touches = sorted(
            (
                row
                for row in self.rows["account_touches"]
                if row["occurred_at"] <= as_of and row["known_from"] <= as_of < row["known_until"]
            ),
            key=lambda row: (row["occurred_at"], row["source"], row["event_id"]),
        )
        self.data_from = min([row["occurred_at"] for row in self.touches], default=as_of)
        self.reasons: Counter[str] = Counter()
        accounts = {row["account_id"] for rows in (*self.rows.values(),) for row in rows if row.get("account_id")}
        accounts |= {row["id"] for row in self.rows["attributes"] if row["entity"] == "account"}
        self.journeys = [journey for account in sorted(accounts) for journey in self._of_account(account)]

    def _is_known(self, row: Row) -> bool:
        return (
            row["occurred_at"] <= self.as_of
            and row["known_at"] <= self.as_of < row["known_until"]
            and not row["deleted"]
        )

    def _of_account(self, account: str) -> list[Row]:
        touches = [row for row in self.touches if row["account_id"] == account]
        first = [row["occurred_at"] for row in touches if row["direction"] == "inbound"]
        stages = self.agreement.stages
        logs = changes(
            self._stage_rows(account),
            stages,
            min(first, default=None) if self.kind == "new" else None,
            f"{account}:new:1",
        )
        deals = self._deals(account)
        watched = self._watched(account, touches, deals)
        journeys = []
        closed = None
        for cycle_id, log in logs.items():
            opened = min(log[0].occurred_at, watched if closed is None else closed)
            own = [deal for deal in deals if deal["cycle_id"] == cycle_id and deal["kind"] == self.kind]
            reached = {stage: self._reached(log, place) for place, stage in enumerate(stages.order)}
            ends = self._ends(own, reached)
            for at, deal in ends:
                journeys.append(self._journey(account, cycle_id, deal, opened, at, True, reached))
            if not ends:
                lost = self._since(log, lambda change: change.stage in stages.terminal)
                journeys.append(self._journey(account, cycle_id, None, opened, lost, False, reached))
            closed = self._since(log, lambda change: change.stage == "won" or change.stage in stages.terminal)
            closed = FOREVER if closed is None else closed
        if not logs and watched < FOREVER:
            journeys.append(self._journey(account, None, None, watched, None, False, {}))
        journeys.sort(key=lambda row: (row["ended_at"], row["cycle_id"] or "", row["deal_id"] or "~"))
        self._fill(journeys, touches)
        return journeys

    def _stage_rows(self, account: str) -> list[StageRow]:
        position = self.agreement.stages.position
        rows = []
        for name, column, key in (("stage_changes", "stage", "change_id"), ("deals", "outcome", "deal_id")):
            for row in self.seen[name]:
                has_gone = name == "deals" and self._deal_rows(row["deal_id"])[-1]["account_id"] != account
                if row["account_id"] == account and row["kind"] == self.kind and not has_gone:
                    stage = "deal" if name == "deals" and row[column] == "open" else row[column]
                    change = Change(row["occurred_at"], position(stage), row[key], stage)
                    rows.append(StageRow(row["cycle_id"], change, name == "deals", 0, FOREVER))
        return rows

    def _deal_rows(self, deal_id: str) -> list[Row]:
        rows = [row for row in self.seen["deals"] if row["deal_id"] == deal_id]
        return sorted(rows, key=lambda row: row["occurred_at"])

    def _deals(self, account: str) -> list[Row]:
        found = []
        for deal_id in sorted({row["deal_id"] for row in self.seen["deals"] if row["account_id"] == account}):
            rows = self._deal_rows(deal_id)
            if rows[-1]["account_id"] != account:
                continue
            won = None
            for row in reversed(rows):
                if row["outcome"] != "won":
                    break
                won = row["occurred_at"]
            found.append({**rows[-1], "opened_at": rows[0]["occurred_at"], "won_at": won, **self._money(rows[-1])})
        return found

    def _money(self, row: Row) -> Row:
        reporting = self.agreement.reporting_currency
        if row["amount"] is None or row["currency"] in (None, reporting):
            return {"revenue": max(row["amount"] or 0, 0), "currency": reporting}
        rates = [
            (rate["date"], rate["rate"])
            for rate in self.rows["fx_rates"]
            if rate["currency"] == row["currency"]
            and rate["date"] <= row["occurred_at"]
            and rate["known_at"] <= self.as_of < rate["known_until"]
            and not rate["deleted"]
        ]
        if not rates:
            return {"revenue": max(row["amount"], 0), "currency": row["currency"]}
        units = row["amount"] / minor_per_unit(row["currency"]) * max(rates)[1]
        return {"revenue": max(round(units * minor_per_unit(reporting)), 0), "currency": reporting}

    def _watched(self, account: str, touches: list[Row], deals: list[Row]) -> int:
        if self.kind != "new":
            return min((deal["won_at"] for deal in deals if deal["won_at"] is not None), default=FOREVER)
        heard = [row["occurred_at"] for row in touches]
        heard += [
            row["occurred_at"]
            for rows in self.seen.values()
            for row in rows
            if row.get("account_id") == account or (row.get("entity"), row.get("id")) == ("account", account)
        ]
        heard += [
            row["created_at"]
            for row in self.rows["accounts"]
            if row["account_id"] == account and row["created_at"] is not None and row["created_at"] <= self.as_of
        ]
        return min(heard, default=FOREVER)

    def _reached(self, log: list[Change], place: int) -> int | None:
        count = len(self.agreement.stages.order)
        return min((change.occurred_at for change in log if place <= change.position < count), default=None)

    def _since(self, log: list[Change], holds: Any) -> int | None:
        since = None
        for change in reversed(log):
            if not holds(change):
                break
            since = change.occurred_at
        return since

    def _ends(self, deals: list[Row], reached: Mapping[str, int | None]) -> list[tuple[int, Row | None]]:
        if self.stage == "won":
            return [(deal["won_at"], deal) for deal in deals if deal["won_at"] is not None]
        if self.stage == "deal" and deals:
            return [(deal["opened_at"], deal) for deal in deals]
        at = reached[self.stage]
        return [] if at is None else [(at, None)]

    def _journey(
        self, account: str, cycle_id: str | None, deal: Row | None, opened: int, at: int | None, converted: bool,
        reached: Mapping[str, int | None],
    ) -> Row:  # fmt: skip
        order = self.agreement.stages.order
        ended = self.as_of if at is None else at
        opened = min(max(opened, self.data_from), ended)
        passed = dict.fromkeys(order) | dict(reached)
        if deal is not None:
            passed |= {"deal": deal["opened_at"], "won": deal["won_at"]}
        if not converted:
            passed |= dict.fromkeys(order[order.index(self.stage) :])
        young = self.as_of - opened < self.agreement.attribution.horizon_days * DAY
        return {
            "account_id": account,
            "cycle_id": cycle_id,
            "deal_id": None if deal is None else deal["deal_id"],
            "opened_at": opened,
            "ended_at": ended,
            "converted": converted,
            "censored": at is None and young,
            "revenue": 0 if deal is None else deal["revenue"],
            "currency": self.agreement.reporting_currency if deal is None else deal["currency"],
            "count": 1,
            **{f"reached_{stage}": None if at is None or at > ended else at for stage, at in passed.items()},
        }

    def _fill(self, journeys: list[Row], touches: list[Row]) -> None:
        rules = self.agreement.attribution
        used: set[tuple[str, str]] = set()
        reasons = {}
        for touch in touches:
            if touch["direction"] == "internal":
                reasons[touch["source"], touch["event_id"]] = "touches_internal"
            elif touch["touch_type"] in rules.excluded_types:
                reasons[touch["source"], touch["event_id"]] = "touches_of_excluded_type"
            elif touch["direction"] == "outbound" and rules.outbound == "exclude":
                reasons[touch["source"], touch["event_id"]] = "touches_outbound"
        for journey in journeys:
            start = journey["ended_at"] - self.days * DAY if self.days else -FOREVER
            # The touch that makes a lead is what brought it.
            end = journey["ended_at"] + (journey["converted"] and self.stage == self.agreement.stages.implicit_first)
            within = [
                touch
                for touch in touches
                if start < touch["occurred_at"] < end and (touch["source"], touch["event_id"]) not in reasons
            ]
            journey["touches"] = [self._shown(touch) for touch in (within[-self.most :] if self.most else within)]
            used |= {(touch["source"], touch["event_id"]) for touch in journey["touches"]}
            journey["_within"] = {(touch["source"], touch["event_id"]) for touch in within}
        in_reach = set().union(*(journey.pop("_within") for journey in journeys))
        last = max((journey["ended_at"] for journey in journeys), default=None)
        for touch in touches:
            key = touch["source"], touch["event_id"]
            if key in reasons:
                self.reasons[reasons[key]] += 1
            elif last is None:
                self.reasons["touches_unobserved"] += 1
            elif key not in used and touch["occurred_at"] >= last:
                self.reasons["touches_after_the_end"] += 1
            elif key not in used and key in in_reach:
                self.reasons["touches_over_the_limit"] += 1
            elif key not in used:
                self.reasons["touches_outside_the_lookback"] += 1

    def _shown(self, touch: Row) -> Row:
        rules = self.agreement.attribution
        names = (
            "source",
            "event_id",
            "occurred_at",
            "contact_id",
            "channel",
            "campaign",
            "content",
            "product",
            "actor_id",
        )
        is_lever = touch["channel"] in rules.levers and touch["touch_type"] not in rules.response_types
        return {name: touch[name] for name in (*names, "touch_type", "direction")} | {"is_lever": is_lever}
