"""Keeps every score that is given, without the answer waiting for the disk.

Scores wait in memory for a moment and are then appended to the ledger together. When that fails they are kept and tried
again, as many as there is room for; meanwhile answers say that they may not be on record.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from features.errors import StoreError
from features.ledger import Batch, Ledger
from serving.scoring import Scored

_LOG = logging.getLogger("smarketing.serving")

NOT_RECORDED = "not_recorded"
POINTS = "points"
"""Version in the record of a score by points; its digest is that of the agreement's table."""

_Row = tuple[object, ...]


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
        self._waiting: deque[_Row] = deque()
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

    def flush(self) -> None:
        """Write what waits now.

        Raises
        ------
        StoreError
            When the store can not be written; the scores go on waiting.
        """
        with self._writing:
            rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not rows:
                return
            try:
                self._ledger.append(Batch(scores=rows))
            except StoreError:
                self._waiting.extendleft(reversed(rows))
                raise

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closing.wait(self._every)
            self._try()
        if self._waiting:
            _LOG.error("%d scores were given and could not be recorded.", len(self._waiting))

    def _try(self) -> None:
        try:
            self.flush()
        except StoreError as error:
            if not self._failing:
                _LOG.error("Scores are not recorded for now: %s", error)
            self._failing = True
            self._wake.set()
        else:
            self._failing = False


def as_row(scored: Scored, given_at: int) -> _Row | None:
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
    return (
        scored.account_id,
        scored.goal.name,
        scored.as_of,
        scored.ledger_seq,
        scored.digest,
        POINTS if champion is None else champion.version,
        given_at,
        None if explained is None else explained.probability,
        None if explained is None else explained.logit,
        scored.score,
        scored.grade,
    )
