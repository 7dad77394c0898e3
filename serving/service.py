"""Scores of accounts as of any moment: from the ledger, by the current model, with the touch of a moment ago."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from features.agreement import Agreement, Goal
from features.catalogue import Catalogue
from features.cycles import Cycle
from features.errors import RowError, UnknownError
from features.ledger import Head, Ledger
from features.online import AccountArrays, Evaluator
from features.relations import build
from models.explain import Explained
from serving.champion import Champion, Champions
from serving.standing import Eligibility, Timelines, eligibility, standings_at, timelines

NO_MODEL = "no_model"


@dataclass(frozen=True)
class Scored:
    """Everything an answer says, before it is put into words.

    Parameters
    ----------
    account_id : str
    goal : Goal
    as_of : int
        Microseconds.
    eligibility : Eligibility
    cycles : mapping of str to Cycle
        The furthest cycle of each kind of business.
    champion : Champion or None
        The model that answered, or would have.
    explained : Explained or None
        None without a model, and where the goal does not apply.
    events_folded : int
    newest_event : int or None
    ledger_seq : int
    degraded : tuple of str
        Reasons, as codes.
    """

    account_id: str
    goal: Goal
    as_of: int
    eligibility: Eligibility
    cycles: Mapping[str, Cycle]
    champion: Champion | None
    explained: Explained | None
    events_folded: int
    newest_event: int | None
    ledger_seq: int
    degraded: tuple[str, ...]


@dataclass(frozen=True)
class _Prepared:
    """An account as of one version of its rows."""

    seq: int
    arrays: AccountArrays
    timelines: Timelines


class ScoreService:
    """Answers score requests.

    Prepared accounts are kept, each with the version of its rows that the ledger gave. That version is read again by
    key in every request: a row is in the next answer after its commit, whichever process accepted it.

    Parameters
    ----------
    ledger : Ledger
    agreement : Agreement
    declared : Catalogue
    champions : Champions
    clock : callable
        Gives the present moment in microseconds.
    capacity : int
        Prepared accounts that are kept.
    """

    def __init__(
        self,
        ledger: Ledger,
        agreement: Agreement,
        declared: Catalogue,
        champions: Champions,
        clock: Callable[[], int],
        capacity: int,
    ) -> None:
        self._ledger = ledger
        self._agreement = agreement
        self._evaluator = Evaluator(declared)
        self._champions = champions
        self._clock = clock
        self._capacity = capacity
        self._kept: OrderedDict[str, _Prepared] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def default_goal(self) -> str:
        """The goal that is meant when none is given."""
        return self._agreement.default_goal

    def head(self) -> Head:
        """Return where the ledger stands.

        Raises
        ------
        StoreError
            When the store does not answer.
        """
        return self._ledger.head()

    def score(self, account_id: str, goal_name: str | None = None, as_of: int | None = None) -> Scored:
        """Return the score of an account as of a moment.

        Parameters
        ----------
        account_id : str
        goal_name : str or None
            None means the agreement's default goal.
        as_of : int or None
            Microseconds; None means now, and never a moment before the newest thing the ledger knows.

        Raises
        ------
        UnknownError
            When there is no such account.
        RowError
            When there is no such goal.
        StoreError
            When the store does not answer.
        """
        try:
            goal = self._agreement.goal(goal_name)
        except UnknownError as error:
            raise RowError("goal", "choice", str(error)) from None
        head = self._ledger.head()
        prepared = self._prepared(account_id)
        if as_of is None:
            as_of = max(self._clock(), head.known_at)
        champion = self._champions.of(goal.name)
        standings = standings_at(prepared.timelines, as_of)
        asked = eligibility(standings.get(goal.kind), goal)
        explained = None
        if champion is not None and asked.applicable:
            values = self._evaluator.evaluate(prepared.arrays, as_of)
            explained = champion.explainer.explain([values[column] for column in champion.columns])
        reasons = (NO_MODEL if champion is None else None, self._champions.degraded(goal.name))
        return Scored(
            account_id=account_id,
            goal=goal,
            as_of=as_of,
            eligibility=asked,
            cycles={kind: standing.furthest for kind, standing in standings.items()},
            champion=champion,
            explained=explained,
            events_folded=prepared.arrays.events_folded(as_of),
            newest_event=prepared.arrays.newest_event(as_of),
            # Nothing of this account changed between the two positions, so the later one names the same rows.
            ledger_seq=max(head.ledger_seq, prepared.seq),
            degraded=tuple(reason for reason in reasons if reason is not None),
        )

    def _prepared(self, account_id: str) -> _Prepared:
        seq = self._version(account_id)
        with self._lock:
            kept = self._kept.get(account_id)
            if kept is not None and kept.seq == seq:
                self._kept.move_to_end(account_id)
                return kept
        while True:
            tables = self._ledger.account_tables(account_id)
            # The tables may hold rows that came after the version was read; then they are read once more.
            after = self._version(account_id)
            if after == seq:
                break
            seq = after
        relations = build(tables, self._agreement)
        prepared = _Prepared(
            seq,
            self._evaluator.prepare(relations, account_id),
            timelines(tables, relations, self._agreement, account_id),
        )
        with self._lock:
            self._kept[account_id] = prepared
            self._kept.move_to_end(account_id)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return prepared

    def _version(self, account_id: str) -> int:
        seq = self._ledger.account_seq(account_id)
        if seq is None:
            raise UnknownError("There is no such account in the ledger.")
        return seq
