"""Who reads the pages: a person with a session, opened by an API key of the scope `read` or by a link for one use."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from serving.keys import ApiKey

COOKIE = "smarketing_session"
SCOPE = "read"
HOURS = 12
"""Life of a session; the holder of a key opens another."""

_MOST = 10_000


@dataclass(frozen=True)
class Session:
    """An open session.

    Parameters
    ----------
    key_id : str
        The key that opened it, or ``link``.
    expires_at : int
        Microseconds.
    """

    key_id: str
    expires_at: int


class Sessions:
    """The open sessions of this process: random tokens, kept as hashes, gone with the process.

    Parameters
    ----------
    clock : callable
        Gives the present moment in microseconds.
    ticket : str or None, default=None
        Opens one session, once: what a link printed at the start carries.
    """

    def __init__(self, clock: Callable[[], int], ticket: str | None = None) -> None:
        self._clock = clock
        self._ticket = None if ticket is None else _digest(ticket)
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, key: ApiKey) -> str | None:
        """Open a session for the holder of a key and return its token; None when the key lacks the scope."""
        if SCOPE not in key.scopes:
            return None
        return self._add(key.key_id, key.expires_at)

    def redeem(self, ticket: str) -> str | None:
        """Open a session for the holder of the ticket and return its token; None when it is wrong or used."""
        with self._lock:
            if self._ticket is None or not secrets.compare_digest(self._ticket, _digest(ticket)):
                return None
            self._ticket = None
        return self._add("link", None)

    def find(self, token: str | None) -> Session | None:
        """Return the open session of a token, or None."""
        if token is None:
            return None
        with self._lock:
            found = self._open.get(_digest(token))
        return found if found is not None and self._clock() < found.expires_at else None

    def close(self, token: str | None) -> None:
        """End a session, if it is one."""
        if token is not None:
            with self._lock:
                self._open.pop(_digest(token), None)

    def _add(self, key_id: str, key_expires_at: int | None) -> str:
        token = secrets.token_urlsafe(32)
        end = self._clock() + HOURS * 3_600_000_000
        session = Session(key_id, end if key_expires_at is None else min(end, key_expires_at))
        with self._lock:
            self._open[_digest(token)] = session
            while len(self._open) > _MOST:
                self._open.popitem(last=False)
        return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
