"""The files of a bundle: read without trust, written all or nothing, and fingerprinted."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.errors import BundleError

LARGEST = 512 * 2**20
"""Bytes that one file of a bundle may have."""


def to_bytes(document: Any) -> bytes:
    """Return plain JSON values as text; a number that is not finite is a ValueError."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, indent=1).encode()


def read_json(content: bytes) -> Any:
    """Return the values of a JSON text.

    Raises
    ------
    BundleError
        When it holds a number that is not finite.
    """
    return json.loads(content, parse_constant=_refuse_constant)


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own digest; through its hashes it names the whole bundle."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return sha256(json.dumps(rest, allow_nan=False, sort_keys=True).encode())


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_plain(folder: Path, name: str) -> bytes:
    """Return the content of a plain file, following no link.

    Raises
    ------
    BundleError
        When it is absent, a link, no plain file, or larger than `LARGEST`.
    """
    # O_NOFOLLOW and fstat on the open file: what is checked is what is read. O_NONBLOCK: a pipe must not hold us up.
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                raise BundleError(f"{name} in {folder} must be a plain file of at most {LARGEST} bytes.")
            with os.fdopen(handle, "rb", closefd=False) as file:
                return file.read(LARGEST)
        finally:
            os.close(handle)
    except OSError as error:
        raise BundleError(f"{name} can not be read in {folder}: {error.strerror}.") from error


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder that does not exist yet, which then appears in one step.

    Raises
    ------
    BundleError
        When the folder exists.
    """
    if folder.exists():
        raise BundleError(f"{folder} exists already. A bundle is written into a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bundle-") as temporary:
        written = Path(temporary) / "bundle"
        written.mkdir()
        for name, content in files.items():
            with (written / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        written.rename(folder)


def _refuse_constant(text: str) -> float:
    raise BundleError(f"A bundle holds finite numbers only. Got {text} instead.")
