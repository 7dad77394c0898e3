"""API keys: ``<prefix>_<id>_<secret>``, kept as hashes, each with its scopes."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from features.errors import AgreementError, StoreError

PREFIX = "smk"
SCOPES = ("ingest", "score", "read", "admin")
_MIN_LENGTH = 16


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept; the key itself is known to its holder only.

    Parameters
    ----------
    key_id : str
    digest : str
        SHA-256 of the whole key. The secret part is random, so that no slow hash is needed.
    scopes : frozenset of str
        Some of `SCOPES`.
    created_at, expires_at : int or None
        Microseconds since the epoch; None means unknown, and never.
    """

    key_id: str
    digest: str
    scopes: frozenset[str]
    created_at: int | None = None
    expires_at: int | None = None


class KeyRing:
    """The keys that are accepted.

    Parameters
    ----------
    keys : tuple of ApiKey
    clock : callable
        Gives the present moment in microseconds.
    """

    def __init__(self, keys: tuple[ApiKey, ...], clock: Callable[[], int]) -> None:
        self._keys = keys
        self._clock = clock

    @classmethod
    def open(cls, path: Path, clock: Callable[[], int], *, given: str | None = None) -> tuple[KeyRing, str | None]:
        """Read the file of keys; make it, with a first key, when there is none and none is given.

        Parameters
        ----------
        path : Path
        clock : callable
        given : str or None
            A key from the environment, accepted beside those on file and never written.

        Returns
        -------
        ring : KeyRing
        made : str or None
            The first key, when it has just been made: to be shown once.

        Raises
        ------
        AgreementError
            When the given key is too short to be safe.
        StoreError
            When the file can not be read or written.
        """
        keys: tuple[ApiKey, ...] = ()
        made = None
        if given is not None:
            if len(given) < _MIN_LENGTH:
                raise AgreementError(
                    f"SMARKETING_API_KEY must have at least {_MIN_LENGTH} characters. Got {len(given)} instead."
                )
            keys = (ApiKey("environment", _digest(given), frozenset(SCOPES)),)
        if path.exists():
            keys += _read(path)
        elif given is None:
            made, first = _make(clock())
            keys = (first,)
            _write(path, keys)
        return cls(keys, clock), made

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, or None; the time taken does not depend on how near a guess is."""
        digest = _digest(presented)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        if found is not None and found.expires_at is not None and found.expires_at <= self._clock():
            return None
        return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _make(now: int) -> tuple[str, ApiKey]:
    key_id = secrets.token_hex(4)
    key = f"{PREFIX}_{key_id}_{secrets.token_hex(24)}"
    return key, ApiKey(key_id, _digest(key), frozenset(SCOPES), created_at=now)


def _read(path: Path) -> tuple[ApiKey, ...]:
    try:
        stored = orjson.loads(path.read_bytes())
        return tuple(
            ApiKey(item["id"], item["digest"], frozenset(item["scopes"]), item["createdAt"], item["expiresAt"])
            for item in stored["keys"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"The file of API keys {str(path)!r} can not be read ({type(error).__name__}).",
            hint="Put it back from a backup, or move it away: a new first key is then made.",
        ) from None


def _write(path: Path, keys: tuple[ApiKey, ...]) -> None:
    stored = {
        "keys": [
            {
                "id": key.key_id,
                "digest": key.digest,
                "scopes": sorted(key.scopes),
                "createdAt": key.created_at,
                "expiresAt": key.expires_at,
            }
            for key in keys
        ]
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(orjson.dumps(stored, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise StoreError(f"The file of API keys {str(path)!r} can not be written: {error.strerror}.") from error
