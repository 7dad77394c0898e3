"""Scores of accounts as of any moment: from the ledger, by the current model, with the touch of a moment ago."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from features.errors import RowError, UnknownError
from features.ledger import Head, Ledger
from serving.champion import Champions
from serving.scorebook import NOT_RECORDED, Scorebook
from serving.scoring import Likelihood, Prepared, Scored, Scoring


@dataclass(frozen=True)
class _Kept:
    """An account as of one version of its rows."""

    seq: int
    prepared: Prepared


class ScoreService:
    """Answers score requests.

    Prepared accounts are kept, each with the version of its rows that the ledger gave. That version is read again by
    key in every request: a row is in the next answer after its commit, whichever process accepted it.

    Parameters
    ----------
    ledger : Ledger
    scoring : Scoring
    champions : Champions
    book : Scorebook
        Keeps the scores that are given.
    clock : callable
        Gives the present moment in microseconds.
    capacity : int
        Prepared accounts that are kept.
    """

    def __init__(
        self,
        ledger: Ledger,
        scoring: Scoring,
        champions: Champions,
        book: Scorebook,
        clock: Callable[[], int],
        capacity: int,
    ) -> None:
        self._ledger = ledger
        self._scoring = scoring
        self._agreement = scoring.agreement
        self._champions = champions
        self._book = book
        self._clock = clock
        self._capacity = capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def default_goal(self) -> str:
        """The goal that is meant when none is given."""
        return self._agreement.default_goal

    def can_answer(self) -> bool:
        """Return whether the default goal has a model, or the agreement has points to score by until then."""
        return self._champions.of(self.default_goal) is not None or bool(self._agreement.points.weights)

    def head(self) -> Head:
        """Return where the ledger stands.

        Raises
        ------
        StoreError
            When the store does not answer.
        """
        return self._ledger.head()

    def warm(self) -> None:
        """Score some account for nobody, so that the first answer does not wait for what is done once.

        Raises
        ------
        StoreError
            When the store does not answer.
        """
        account_id = self._ledger.any_account()
        if account_id is None:
            return
        prepared = self._scoring.prepare(self._ledger.account_tables(account_id), account_id)
        for champion in self._champions.all().values():
            self._scoring.explain(prepared, self._clock(), champion)

    def prepare(self, account_ids: Sequence[str]) -> None:
        """Read the accounts that will be asked about next in one go; those that are unknown or kept are left out.

        Raises
        ------
        StoreError
            When the store does not answer.
        """
        seqs = self._ledger.account_seqs(account_ids)
        with self._lock:
            kept = {account_id: self._kept[account_id].seq for account_id in seqs if account_id in self._kept}
        missing = [account_id for account_id, seq in seqs.items() if kept.get(account_id) != seq]
        if not missing:
            return
        tables = self._ledger.account_tables(*missing)
        after = self._ledger.account_seqs(missing)
        for prepared in self._scoring.prepare_all(tables, missing):
            # The tables may hold rows that came after the version was read; then the account is read alone, later.
            if after[prepared.account_id] == seqs[prepared.account_id]:
                self._keep(prepared, seqs[prepared.account_id])

    def give(self, account_id: str, goal_name: str | None = None, as_of: int | None = None) -> Scored:
        """Return what `score` does and put it on record; an answer that may not be recorded says so."""
        scored = self.score(account_id, goal_name, as_of)
        return scored if self._book.record(scored) else not_recorded(scored)

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
        kept = self._account(account_id)
        if as_of is None:
            as_of = max(self._clock(), head.known_at)
        refused = self._champions.degraded(goal.name)
        return self._scoring.score(
            kept.prepared,
            goal,
            as_of,
            self._champions.of(goal.name),
            # Nothing of this account changed between the two positions, so the later one names the same rows.
            ledger_seq=max(head.ledger_seq, kept.seq),
            degraded=() if refused is None else (refused,),
        )

    def likelihoods(self, scored: Scored, moments: Sequence[int]) -> list[Likelihood | None]:
        """Return how likely an account that was scored is as of other moments, by the same model.

        Parameters
        ----------
        scored : Scored
        moments : sequence of int
            Microseconds.

        Returns
        -------
        list of Likelihood or None
            None where the goal does not apply, and everywhere without a model.
        """
        if scored.champion is None:
            return [None] * len(moments)
        prepared = self._account(scored.account_id).prepared
        return self._scoring.likelihoods(prepared, scored.goal, moments, scored.champion)

    def _account(self, account_id: str) -> _Kept:
        seq = self._version(account_id)
        with self._lock:
            found = self._kept.get(account_id)
            if found is not None and found.seq == seq:
                self._kept.move_to_end(account_id)
                return found
        while True:
            tables = self._ledger.account_tables(account_id)
            # The tables may hold rows that came after the version was read; then they are read once more.
            after = self._version(account_id)
            if after == seq:
                break
            seq = after
        return self._keep(self._scoring.prepare(tables, account_id), seq)

    def _keep(self, prepared: Prepared, seq: int) -> _Kept:
        kept = _Kept(seq, prepared)
        with self._lock:
            self._kept[prepared.account_id] = kept
            self._kept.move_to_end(prepared.account_id)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return kept

    def _version(self, account_id: str) -> int:
        seq = self._ledger.account_seq(account_id)
        if seq is None:
            raise UnknownError("There is no such account in the ledger.")
        return seq


def not_recorded(scored: Scored) -> Scored:
    """Return an answer that says that it may not be on record."""
    return dataclasses.replace(scored, degraded=(*scored.degraded, NOT_RECORDED))
