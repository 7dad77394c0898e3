"""The scores of all accounts as of a stated moment: made by a child process, kept in a file, served from memory.

A board is what ``smarketing score --all`` writes. It is made again when another model answers, after a while when the
ledger has moved, and after a day; until the new one is there, the old one is shown, with its moment.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import pyarrow as pa

from features.console import ExitCode
from serving.bulk import SCHEMA
from serving.champion import Champions
from serving.scorebook import POINTS

_LOG = logging.getLogger("smarketing.serving")
_LOOK_SECONDS = 0.5
_PATIENCE = 5.0
_RETRY_SECONDS = 60.0
_FORGET = 3_600_000_000
_DAY = 86_400_000_000
_NICE = 5


@dataclass(frozen=True)
class Board:
    """The scores of all accounts that a goal applies to, as of one moment.

    Parameters
    ----------
    as_of : int
        Microseconds.
    version : str
        Of the model.
    ledger_seq : int
    table : pyarrow.Table
        Of `serving.bulk.SCHEMA`.
    """

    as_of: int
    version: str
    ledger_seq: int
    table: pa.Table


class Boards:
    """The boards of the goals that somebody has asked for in the last hour, kept fresh one by one by a thread.

    Parameters
    ----------
    folder : Path
        Where the files are kept; they are shown at the next start until there are newer ones.
    command : callable
        Gives the command that writes the board of a goal into a file.
    champions : Champions
    ledger_seq : callable
        Gives the position of the ledger.
    clock : callable
        Gives the present moment in microseconds.
    every_seconds : float
        Age from which a board is made again when the ledger has moved.
    """

    def __init__(
        self,
        folder: Path,
        command: Callable[[str, Path], list[str]],
        champions: Champions,
        ledger_seq: Callable[[], int],
        clock: Callable[[], int],
        every_seconds: float,
    ) -> None:
        self._folder = folder
        self._command = command
        self._champions = champions
        self._ledger_seq = ledger_seq
        self._clock = clock
        self._every = every_seconds
        self._boards: Mapping[str, Board] = MappingProxyType({})
        self._asked: dict[str, int] = {}
        self._tried: dict[str, float] = {}
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="boards", daemon=True)

    def of(self, goal: str) -> Board | None:
        """Return the newest board of a goal; None while the first is made.

        Who asks wants it kept fresh for an hour: a service whose pages nobody opens makes none.
        """
        self._asked[goal] = self._clock()
        if goal not in self._boards:
            self._recall(goal)
        return self._boards.get(goal)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
        self._keeper.join(_PATIENCE)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            for goal in sorted(self._asked):
                if not self._stopping.is_set() and self._clock() - self._asked[goal] < _FORGET:
                    self._look(goal)
            self._stopping.wait(_LOOK_SECONDS)

    def _look(self, goal: str) -> None:
        try:
            if self._is_stale(goal):
                self._make(goal)
        except Exception as error:
            # The thread must outlive a full disk, a damaged file and a store that does not answer.
            _LOG.error("The board of %s could not be made: %s", goal, type(error).__name__)
            self._tried[goal] = time.monotonic()

    def _is_stale(self, goal: str) -> bool:
        if goal in self._tried and time.monotonic() < self._tried[goal] + _RETRY_SECONDS:
            return False
        board = self._boards.get(goal)
        if board is None or board.version != self._version(goal):
            return True
        age = self._clock() - board.as_of
        # Signals fade, so that scores move even while nothing happens.
        return age >= _DAY or (age >= 1e6 * self._every and self._ledger_seq() != board.ledger_seq)

    def _version(self, goal: str) -> str:
        champion = self._champions.of(goal)
        return POINTS if champion is None else champion.version

    def _make(self, goal: str) -> None:
        path, wanted = self._path(goal), self._version(goal)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".fresh.parquet")
        command = ["nice", "-n", str(_NICE), *self._command(goal, fresh)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if self._stopping.is_set():
            self._child.terminate()
        _, said = self._child.communicate()
        # Degraded: the points of the agreement have answered for want of a model.
        if self._child.returncode in {ExitCode.OK, ExitCode.DEGRADED}:
            fresh.replace(path)
            self._show(goal, path)
            self._tried.pop(goal, None)
            # The command reads the models by itself: one it can not use would be asked for without end.
            if (made := self._boards[goal].version) not in {wanted, self._version(goal)}:
                _LOG.warning("The board of %s is by model %s, though %s answers.", goal, made, wanted)
                self._tried[goal] = time.monotonic()
        elif not self._stopping.is_set():
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            _LOG.error("The board of %s was not made (exit %d): %s", goal, self._child.returncode, " ".join(last))
            self._tried[goal] = time.monotonic()

    def _recall(self, goal: str) -> None:
        try:
            self._show(goal, self._path(goal))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError) as error:
            _LOG.warning("The kept board of %s can not be read (%s); it is made anew.", goal, type(error).__name__)

    def _show(self, goal: str, path: Path) -> None:
        import pyarrow.parquet as pq

        table = pq.read_table(path).select(SCHEMA.names)
        if table.num_rows:
            first = table.slice(0, 1).to_pylist()[0]
            board = Board(first["as_of"], first["model_version"], first["ledger_seq"], table)
        else:
            board = Board(self._clock(), self._version(goal), self._ledger_seq(), table)
        self._boards = MappingProxyType({**self._boards, goal: board})

    def _path(self, goal: str) -> Path:
        return self._folder / f"{goal}.parquet"


def score_all_command(store: str, agreement: Path | None, cache: Path) -> Callable[[str, Path], list[str]]:
    """Return what gives the command that writes the board of a goal: the one a person would type."""
    shared = ["--store", store, *([] if agreement is None else ["--agreement", str(agreement)])]

    def command(goal: str, path: Path) -> list[str]:
        wanted = ["--all", "--goal", goal, "--cache", str(cache), "--out", str(path)]
        return [sys.executable, "-m", "smarketing", *shared, "score", *wanted]

    return command
