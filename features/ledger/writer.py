"""The one thread of a process that writes: many appends, one transaction, one flush to the disk (group commit)."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import sqlalchemy as sa

from features.errors import StoreError
from features.ledger import staging
from features.ledger.apply import apply
from features.ledger.engine import Engines
from features.ledger.records import Batch, Receipt
from features.ledger.transaction import Position

_GROUP_ROWS = 20_000
"""Rows after which a group takes in no further append, so that the first of it does not wait for long."""


@dataclass(frozen=True)
class _Request:
    batch: Batch
    size: int
    receipt: Future[Receipt] = field(default_factory=Future)


class Writer:
    """Takes batches from any thread and commits those that are waiting together.

    Parameters
    ----------
    engines : Engines
    clock : callable
        The time now, in microseconds.

    Attributes
    ----------
    commits : int
        Transactions committed so far.
    """

    def __init__(self, engines: Engines, clock: Callable[[], int]) -> None:
        self.commits = 0
        self._engines = engines
        self._clock = clock
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._connection = engines.writer.connect()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def append(self, batch: Batch) -> Receipt:
        """Store a batch and return its receipt once it is on the disk.

        Raises
        ------
        StoreError
            When the store can not be written, or the writer is closed or left behind in another process.
        """
        # Measured here: what can not be measured is its sender's mistake, and no reason for the writer to stop.
        request = _Request(batch, len(batch))
        with self._closing:
            if self._closed:
                raise StoreError("The ledger is closed; nothing can be appended.")
            if not self._thread.is_alive():
                raise StoreError("The ledger was opened before this process was forked. Open it in each process.")
            if threading.current_thread() is self._thread:
                raise StoreError("An append can not wait for another one that is made from inside it.")
            self._requests.put(request)
        return request.receipt.result()

    def close(self) -> None:
        """Finish what was handed in, then stop."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._requests.put(None)
        self._thread.join()

    def _run(self) -> None:
        group: list[_Request] = []
        try:
            while group := self._next_group():
                self._settle(group)
        finally:
            self._abandon(group)
            self._connection.close()

    def _abandon(self, group: Sequence[_Request]) -> None:
        """Answer whoever still waits when the thread ends before its time, so that nobody waits for ever."""
        with self._closing:
            self._closed = True
        waiting: list[_Request | None] = list(group)
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.append(self._requests.get(block=False))
        for request in waiting:
            if request is not None and not request.receipt.done():
                request.receipt.set_exception(StoreError("The writer of the ledger has stopped; open it again."))

    def _next_group(self) -> list[_Request]:
        """Wait for an append and return it with all that queue behind it; empty when the writer is to stop."""
        group: list[_Request] = []
        size = 0
        while size < _GROUP_ROWS:
            try:
                request = self._requests.get(block=not group)
            except queue.Empty:
                break
            if request is None:
                if group:
                    self._requests.put(None)
                break
            group.append(request)
            size += request.size
        return group

    def _settle(self, group: Sequence[_Request]) -> None:
        """Commit a group and answer each of its appends; when that fails as a whole, try them one by one.

        This is the border of the writer's thread: whatever goes wrong with an append is the answer to its sender.
        """
        try:
            outcomes = self._commit(group)
        except BaseException as error:
            if len(group) > 1:
                for request in group:
                    self._settle([request])
            else:
                group[0].receipt.set_exception(self._translated(error))
            return
        for request, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                request.receipt.set_result(outcome)
            else:
                request.receipt.set_exception(self._translated(outcome))

    def _commit(self, group: Sequence[_Request]) -> list[Receipt | Exception]:
        with self._engines.write_lock(), self._connection.begin():
            if not self.commits:  # only now: who opens a store to read it waits for no writer
                staging.prepare(self._connection)
            position = Position.read(self._connection)
            before = dataclasses.replace(position)
            if len(group) == 1:
                # Nothing else to protect: the whole transaction is undone, without the cost of a savepoint.
                outcomes: list[Receipt | Exception] = [apply(self._connection, group[0].batch, position, self._clock())]
            else:
                outcomes = [self._apply(request.batch, position) for request in group]
            if position != before:
                position.write(self._connection)
        self.commits += 1
        return outcomes

    def _apply(self, batch: Batch, position: Position) -> Receipt | Exception:
        """Apply one append of a group, so that its own failure undoes nothing else."""
        before = dataclasses.replace(position)
        savepoint = self._connection.begin_nested()
        try:
            receipt = apply(self._connection, batch, position, self._clock())
        except sa.exc.OperationalError:
            raise
        except Exception as error:
            savepoint.rollback()
            position.seq, position.known_at = before.seq, before.known_at
            return error
        savepoint.commit()
        return receipt

    def _translated(self, error: BaseException) -> BaseException:
        """Return what the sender is told: a failure of the database or the disk is one of the store."""
        if not isinstance(error, sa.exc.SQLAlchemyError | OSError):
            return error
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        message = f"The store {self._engines.path} can not be written now: {cause}."
        failure = StoreError(message, hint="Nothing of this append was stored.")
        failure.__cause__ = error
        return failure
