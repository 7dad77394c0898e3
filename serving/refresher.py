"""The child process that keeps the model cache filled, so that the service never imports MLflow."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_LOG = logging.getLogger("smarketing.serving")
_PATIENCE = 5.0


class Refresher:
    """A child process, started again when it ends, and ended with the service.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``python -m training.refresh``.
    restart_seconds : float, default=30.0
        Pause before a child that ended is started again.
    """

    def __init__(self, arguments: Sequence[str], *, restart_seconds: float = 30.0) -> None:
        self._command = [sys.executable, "-m", "training.refresh", *arguments]
        self._restart_seconds = restart_seconds
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="refresher", daemon=True)

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
            try:
                child.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
        self._keeper.join(_PATIENCE)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
            if self._stopping.is_set():
                self._child.terminate()
            code = self._child.wait()
            if not self._stopping.is_set():
                _LOG.warning("The model refresher ended with %d; it starts again in %gs.", code, self._restart_seconds)
            self._stopping.wait(self._restart_seconds)
