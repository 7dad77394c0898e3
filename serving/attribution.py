"""Analyses of attribution for the service: made by one child process at a time, kept in files, served from memory.

An analysis is what ``smarketing attribute --json`` writes, with the credit of every touch beside it. Which one is meant
is said by its question; it is made again when the ledger has moved, and until the new one is there, the old one is
served, with its own moment and position. Scoring never waits for it: it is another process, and yields to all others.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from features.agreement import Agreement
from features.console import ExitCode
from features.errors import RowError, UnknownError
from models.attribution.question import Question
from serving.wire import rfc3339

if TYPE_CHECKING:
    from models.attribution.analysis import Analysis

_LOG = logging.getLogger("smarketing.serving")
_PATIENCE = 5.0
_RETRY_SECONDS = 60.0
_NICE = 10
_KEPT = 32
"""Analyses kept; who asks for one more makes the one longest unasked for forgotten."""
_FORMAT = 1
"""Of the answers kept on disk; with another one, none of them is read again."""
_QUEUED = 8
"""Questions that wait for their first answer; one more is told to come again."""
_WAITERS = 4
"""Requests that wait at a time: each holds a thread that scores are given by."""


def published(analysis: Analysis) -> dict[str, Any]:
    """Return the document of an analysis with its moments as text, as everybody outside sees it."""
    found = analysis.document()
    told = found["money"]
    if told is not None:
        found["money"] = told | {name: rfc3339(told[name]) for name in ("from", "to")}
    return found | {name: rfc3339(found[name]) for name in ("asOf", "dataFrom", "from", "to")}


@dataclass(frozen=True)
class Asked:
    """A question, as the command line takes it.

    Parameters
    ----------
    transition : str
    by : str
    from_, to : int or None
        Conversions from the first moment on and before the second, in microseconds; None for no limit.
    model : str or None
        The only model that is wanted; None for those that answer unless one is named.
    """

    transition: str
    by: str = "channel"
    from_: int | None = None
    to: int | None = None
    model: str | None = None

    @property
    def key(self) -> str:
        """What the question is kept under."""
        asked = asdict(self) | {"format": _FORMAT}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:24]

    @property
    def arguments(self) -> list[str]:
        """The question as options of the command."""
        told = ["--transition", self.transition, "--by", self.by]
        told += [] if self.model is None else ["--model", self.model]
        for option, moment in (("--from", self.from_), ("--to", self.to)):
            told += [] if moment is None else [option, str(rfc3339(moment))]
        return told


@dataclass(frozen=True)
class Answer:
    """An analysis as it was made.

    Parameters
    ----------
    document : mapping
        `published`.
    credit : Path
        Parquet file of the credit of every touch, by every model.
    """

    document: Mapping[str, Any]
    credit: Path

    @property
    def ledger_seq(self) -> int:
        """Position of the ledger that it rests on."""
        return int(self.document["ledgerSeq"])


class Attributions:
    """The analyses that somebody has asked for, made one after the other by a thread.

    Parameters
    ----------
    agreement : Agreement
    folder : Path
        Where the files are kept; they are served at the next start until there are newer ones.
    command : callable
        Gives the command that answers a question: JSON on its stdout, the credit in a file.
    ledger_seq : callable
        Gives the position of the ledger.
    every_seconds : float
        Age from which an analysis is made again when it is asked for and the ledger has moved.
    """

    def __init__(
        self,
        agreement: Agreement,
        folder: Path,
        command: Callable[[Asked, Path], list[str]],
        ledger_seq: Callable[[], int],
        every_seconds: float,
    ) -> None:
        self._agreement = agreement
        self._folder = folder
        self._command = command
        self._ledger_seq = ledger_seq
        self._every = every_seconds
        self._answers: OrderedDict[Asked, Answer] = OrderedDict()
        self._made: dict[Asked, float] = {}
        self._tried: dict[Asked, float] = {}
        self._wanted: OrderedDict[Asked, None] = OrderedDict()
        self._changed = threading.Condition()
        self._waiting = 0
        self._stopping = False
        self._child: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="attributions", daemon=True)

    def asked(
        self, transition: str | None = None, by: str = "channel", from_: int | None = None, to: int | None = None
    ) -> Asked:
        """Return a question that can be put.

        Raises
        ------
        RowError
            With the parameter at fault and the nearest name.
        """
        found = Asked(transition or self._agreement.attribution.transition, by, from_, to)
        self.check("transition", transition=found.transition)
        self.check("by", by=by)
        self.check("to", from_=from_, to=to)
        if by == "team":
            message = "Teams are known to the command line only: smarketing attribute --by team --teams FILE."
            raise RowError("by", "choice", message)
        return found

    def check(self, parameter: str, **told: Any) -> None:
        """Refuse a part of a question that the agreement does not know, as `asked` does."""
        try:
            Question(**told).check(self._agreement)
        except UnknownError as error:
            raise RowError(parameter, "choice", str(error)) from None

    def of(self, asked: Asked, wait_seconds: float = 0.0) -> Answer | None:
        """Return the newest answer to a question; None when there is none yet.

        Parameters
        ----------
        asked : Asked
        wait_seconds : float, default=0
            How long the first answer is waited for.
        """
        with self._changed:
            if asked not in self._answers:
                self._recall(asked)
            if self._is_stale(asked) and (asked in self._answers or len(self._wanted) < _QUEUED):
                self._wanted[asked] = None
                self._changed.notify_all()
            if asked in self._wanted and asked not in self._answers and self._waiting < _WAITERS:
                self._waiting += 1
                self._changed.wait_for(lambda: asked in self._answers or asked not in self._wanted, wait_seconds)
                self._waiting -= 1
            found = self._answers.get(asked)
            if found is not None:
                self._answers.move_to_end(asked)
            return found

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopping = True
            if self._child is not None and self._child.poll() is None:
                self._child.terminate()
            self._changed.notify_all()
        self._keeper.join(_PATIENCE)

    def _is_stale(self, asked: Asked) -> bool:
        if asked in self._tried and time.monotonic() < self._tried[asked] + _RETRY_SECONDS:
            return False
        found = self._answers.get(asked)
        if found is None:
            return True
        is_old = time.monotonic() >= self._made.get(asked, -self._every) + self._every
        return is_old and self._ledger_seq() != found.ledger_seq

    def _keep(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._stopping)
                if self._stopping:
                    return
                asked = next(iter(self._wanted))
            answer = self._try(asked)
            with self._changed:
                self._wanted.pop(asked, None)
                if answer is None:
                    self._tried[asked] = time.monotonic()
                else:
                    self._tried.pop(asked, None)
                    self._put(asked, answer)
                self._changed.notify_all()

    def _try(self, asked: Asked) -> Answer | None:
        try:
            return self._make(asked)
        except Exception as error:
            # The thread must outlive a full disk and a store that does not answer.
            _LOG.error("The attribution of %s could not be made: %s", asked.transition, type(error).__name__)
            return None

    def _make(self, asked: Asked) -> Answer | None:
        self._folder.mkdir(parents=True, exist_ok=True)
        document, credit = self._paths(asked)
        fresh = credit.with_suffix(".fresh.parquet")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with self._changed:
            if self._stopping:
                return None
            self._child = subprocess.Popen(
                ["nice", "-n", str(_NICE), *self._command(asked, fresh)],
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        told, said = self._child.communicate()
        if self._child.returncode != ExitCode.OK:
            if not self._stopping:
                last = said.decode(errors="replace").strip().splitlines()[-1:]
                _LOG.error("No attribution (exit %d): %s", self._child.returncode, " ".join(last))
            return None
        found = json.loads(told)
        written = document.with_suffix(".fresh.json")
        written.write_bytes(told)
        fresh.replace(credit)
        written.replace(document)
        return Answer(found, credit)

    def _put(self, asked: Asked, answer: Answer) -> None:
        self._answers[asked] = answer
        self._made[asked] = time.monotonic()
        self._answers.move_to_end(asked)
        while len(self._answers) > _KEPT:
            forgotten, _ = self._answers.popitem(last=False)
            self._made.pop(forgotten, None)
            for path in self._paths(forgotten):
                path.unlink(missing_ok=True)

    def _recall(self, asked: Asked) -> None:
        document, credit = self._paths(asked)
        try:
            found = json.loads(document.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            _LOG.warning("A kept attribution can not be read (%s); it is made anew.", type(error).__name__)
            return
        if credit.exists():
            self._answers[asked] = Answer(found, credit)

    def _paths(self, asked: Asked) -> tuple[Path, Path]:
        return self._folder / f"{asked.key}.json", self._folder / f"{asked.key}.parquet"


def attribute_command(store: str, agreement: Path | None) -> Callable[[Asked, Path], list[str]]:
    """Return what gives the command that answers a question: the one a person would type."""
    shared = ["--store", store, *([] if agreement is None else ["--agreement", str(agreement)])]

    def command(asked: Asked, credit: Path) -> list[str]:
        return [
            sys.executable, "-m", "smarketing", *shared, "attribute", *asked.arguments, "--out", str(credit), "--json",
        ]  # fmt: skip

    return command
