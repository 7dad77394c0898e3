"""The journeys of one account, from its rows of this moment, with the credit of each touch.

A rule looks at one journey and nothing else: its credit is that of this moment. A model that learns from all journeys
has spoken when it was last fitted: its credit is that of the latest analysis, and what came later has none by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from features.agreement import Agreement
from features.errors import UnknownError
from features.journeys import Journeys, find_journeys
from features.ledger import Ledger
from features.relations import build
from models.attribution.rules import rules
from serving.attribution import Answer
from serving.wire import moment, rfc3339

if TYPE_CHECKING:
    import pyarrow as pa

Key = tuple[str | None, ...]
Credits = dict[Key, list[dict[str, Any]]]

_OF_MODEL = ("name", "evidence", "perJourney")
_COLUMNS = ("cycle_id", "deal_id", "source", "event_id", "model", "credit", "revenue")
_OF_TOUCH = ("channel", "campaign", "content", "product", "direction")


class AccountAttribution:
    """Tells journeys of accounts.

    Parameters
    ----------
    ledger : Ledger
    agreement : Agreement
    clock : callable
        Gives the present moment in microseconds.
    """

    def __init__(self, ledger: Ledger, agreement: Agreement, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._agreement = agreement
        self._clock = clock

    def check(self, account_id: str) -> None:
        """Refuse an account that is not there.

        Raises
        ------
        UnknownError
        """
        if self._ledger.account_seq(account_id) is None:
            raise UnknownError("There is no such account in the ledger.")

    def read(self, account_id: str, transition: str, answer: Answer) -> dict[str, Any]:
        """Return the journeys of an account; what came since the analysis has credit by the rules only.

        Parameters
        ----------
        account_id : str
        transition : str
            A stage, ``renewed`` or ``expanded``.
        answer : Answer
            An analysis of the same transition.
        """
        head = self._ledger.head()
        as_of = max(self._clock(), head.known_at)
        tables = self._tables(account_id)
        begin = answer.document["dataFrom"]
        find = partial(
            find_journeys, tables, build(tables, self._agreement), self._agreement, as_of=as_of, transition=transition,
            data_from=None if begin is None else moment(begin),
        )  # fmt: skip
        # Without a lookback: the response model credits touches whatever their age, within its horizon.
        journeys = find(lookback_days=0, lookback_touches=0)
        now = rules(self._agreement.attribution)
        told = answer.document["models"]
        credits = _credits(answer, account_id, [one["name"] for one in told if one["name"] not in now])
        live = find()
        for one in told:
            if one["name"] in now:
                _add(credits, now[one["name"]].credit(live).frame(_COLUMNS))
        rows = journeys.journeys.to_pylist()
        touches = journeys.touches.to_pylist()
        moments = {True: rfc3339(as_of), False: answer.document["asOf"]}
        return {
            "accountId": account_id,
            "transition": transition,
            "asOf": rfc3339(as_of),
            "ledgerSeq": head.ledger_seq,
            "analysedAsOf": answer.document["asOf"],
            "analysedLedgerSeq": answer.ledger_seq,
            "models": [
                {name: one[name] for name in _OF_MODEL} | {"creditedAsOf": moments[one["name"] in now]} for one in told
            ],
            "journeys": [
                _journey(row, touches[start:stop], credits)
                for row, start, stop in zip(rows, *_bounds(journeys), strict=True)
                if row["account_id"] == account_id
            ],
        }

    def _tables(self, account_id: str) -> dict[str, pa.Table]:
        """Return the rows of an account, and all rows of its deals: who a deal belongs to now, its latest one says."""
        tables = self._ledger.account_tables(account_id)
        return tables | {"deals": self._ledger.deal_rows(*tables["deals"]["deal_id"].unique().to_pylist())}


def _bounds(journeys: Journeys) -> tuple[list[int], list[int]]:
    return journeys.offset[:-1].tolist(), journeys.offset[1:].tolist()


def _journey(row: Mapping[str, Any], touches: list[dict[str, Any]], credits: Credits) -> dict[str, Any]:
    whole = (row["cycle_id"], row["deal_id"])
    return {
        "cycleId": row["cycle_id"],
        "dealId": row["deal_id"],
        "openedAt": rfc3339(row["opened_at"]),
        "endedAt": rfc3339(row["ended_at"]),
        "converted": row["converted"],
        "isOpen": row["censored"],
        "revenue": row["revenue"],
        "currency": row["currency"],
        "touches": [
            {
                "source": touch["source"],
                "eventId": touch["event_id"],
                "occurredAt": rfc3339(touch["occurred_at"]),
                "contactId": touch["contact_id"],
                "actorId": touch["actor_id"],
                "touchType": touch["touch_type"],
                "isLever": touch["is_lever"],
                **{name: touch[name] for name in _OF_TOUCH},
                "credits": credits.get((*whole, touch["source"], touch["event_id"]), []),
            }
            for touch in touches
        ],
        "rest": credits.get((*whole, None, None), []),
    }


def _credits(answer: Answer, account_id: str, models: list[str]) -> Credits:
    """Return what some models gave each touch of an account, and under no touch what is left, by journey."""
    import pyarrow.parquet as pq

    found: Credits = {}
    chosen = [("account_id", "=", account_id), ("model", "in", models)]
    if models:
        _add(found, pq.read_table(answer.credit, columns=list(_COLUMNS), filters=chosen))
    return found


def _add(credits: Credits, frame: pa.Table) -> None:
    for row in frame.select(list(_COLUMNS)).to_pylist():
        key = (row["cycle_id"], row["deal_id"], row["source"], row["event_id"])
        given = {"model": row["model"], "credit": row["credit"], "revenue": row["revenue"]}
        credits.setdefault(key, []).append(given)
