"""Keeps every score that is given, without the answer waiting for the disk.

Scores wait in memory for a moment and are then appended to the ledger together. When that fails they are kept and tried
again, as many as there is room for; meanwhile answers say that they may not be on record. A score that can not be
stored by itself is logged and left out, and keeps no other off the record.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from sqlalchemy.exc import OperationalError

from features.errors import StoreError
from features.ledger import Batch, Ledger
from features.schema import EVALUATORS, TABLES
from serving.scoring import Scored

_LOG = logging.getLogger("smarketing.serving")

NOT_RECORDED = "not_recorded"
POINTS = "points"
"""Version in the record of a score by points; its digest is that of the agreement's table."""

SINGLE, BULK = EVALUATORS
"""Origins of a score: asked for by its account, from the online evaluator; with all accounts, from the offline one."""

Row = tuple[object, ...]
"""A row of the table `scores`."""

_COLUMNS = TABLES["scores"].names
_LAST_TRIES = 5


class Scorebook:
    """Writes scores to the ledger, some moments after they were given, until it is closed.

    Parameters
    ----------
    ledger : Ledger
    clock : callable
        Gives the present moment in microseconds.
    every : float, default=0.2
        Seconds between writes.
    capacity : int, default=50,000
        Scores that may wait; those beyond are not recorded.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], int], *, every: float = 0.2, capacity: int = 50_000) -> None:
        self._ledger = ledger
        self._clock = clock
        self._every = every
        self._capacity = capacity
        self._waiting: deque[Row] = deque()
        self._failing = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="scorebook", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def record(self, scored: Scored) -> bool:
        """Take a score to be recorded, and return whether it will be as far as can be told; never raises.

        An answer without a score, because the goal does not apply, leaves no record.
        """
        row = as_row(scored, self._clock())
        if row is None:
            return True
        if len(self._waiting) >= self._capacity:
            return False
        self._waiting.append(row)
        self._wake.set()
        return not self._failing

    def flush(self) -> int:
        """Write what waits now, and return how many of the scores can not be stored.

        Raises
        ------
        StoreError
            When the store can not be written; the scores go on waiting.
        """
        with self._writing:
            rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                return write_rows(self._ledger, rows)
            except StoreError:
                self._waiting.extendleft(reversed(rows))
                raise

    def flush_within(self, seconds: float) -> bool:
        """Write what waits now, and return whether all of it was on record within so many seconds.

        Another process may hold the right to write for as long as it likes; then the writing goes on behind.
        """
        done: list[bool] = []

        def write() -> None:
            try:
                done.append(self.flush() == 0)
            except StoreError as error:
                _LOG.error("Scores are not recorded for now: %s", error)

        thread = threading.Thread(target=write, name="scorebook-flush", daemon=True)
        thread.start()
        thread.join(seconds)
        return done == [True]

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closing.wait(self._every)
            self._try()
        tries = _LAST_TRIES
        # What came while the last writing was under way still waits.
        while self._waiting and tries:
            if not self._try():
                tries -= 1
                time.sleep(self._every)
        if self._waiting:
            _LOG.error("%d scores were given and could not be recorded.", len(self._waiting))

    def _try(self) -> bool:
        try:
            self.flush()
        except StoreError as error:
            if not self._failing:
                _LOG.error("Scores are not recorded for now: %s", error)
            self._failing = True
            self._wake.set()
        else:
            self._failing = False
        return not self._failing


def write_rows(ledger: Ledger, rows: Sequence[Row]) -> int:
    """Write rows of the table `scores`, and return how many of them can not be stored; those are logged.

    Raises
    ------
    StoreError
        When the store can not be written; some of the rows may be stored then, and may be given again.
    """
    if not rows:
        return 0
    try:
        ledger.append(Batch(scores=rows))
    except Exception as error:
        # Whatever one row makes the driver raise must not keep the others off the record.
        if isinstance(error, StoreError) and isinstance(error.__cause__, OperationalError | OSError | None):
            raise
        if len(rows) > 1:
            half = len(rows) // 2
            return write_rows(ledger, rows[:half]) + write_rows(ledger, rows[half:])
        _LOG.error("A score can not be recorded (%s): goal %s, as of %s.", type(error).__name__, *rows[0][1:3])
        return 1
    return 0


def as_row(scored: Scored, given_at: int) -> Row | None:
    """Return the row of the table `scores` that keeps a score; None where none was given.

    Parameters
    ----------
    scored : Scored
    given_at : int
        Microseconds.
    """
    if scored.score is None:
        return None
    champion, explained = scored.champion, scored.explained
    return _row(
        account_id=scored.account_id,
        goal=scored.goal.name,
        scored_at=scored.as_of,
        ledger_seq=scored.ledger_seq,
        model_digest=scored.digest,
        agreement_digest=scored.agreement_digest,
        origin=SINGLE,
        model_version=POINTS if champion is None else champion.version,
        given_at=given_at,
        probability=None if explained is None else explained.probability,
        logit=None if explained is None else explained.logit,
        score=scored.score,
        grade=scored.grade,
    )


def bulk_rows(scores: Sequence[dict[str, Any]], agreement_digest: str, given_at: int) -> list[Row]:
    """Return the rows of the table `scores` that keep scores of all accounts at once, where one was given.

    Parameters
    ----------
    scores : sequence of dict
        Rows of `serving.bulk.SCHEMA`.
    agreement_digest : str
    given_at : int
        Microseconds.
    """
    own = {"agreement_digest": agreement_digest, "origin": BULK, "given_at": given_at}
    return [_row(**{**one, **own, "scored_at": one["as_of"]}) for one in scores if one["score"] is not None]


def _row(**values: object) -> Row:
    return tuple(values[name] for name in _COLUMNS)
