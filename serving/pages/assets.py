"""The files pages are made with: read once, named by their content, so that a browser may keep them for ever."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static/"

_TYPES = MappingProxyType(
    {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
)


@dataclass(frozen=True)
class Asset:
    """A file as it is sent.

    Parameters
    ----------
    media_type : str
    mark : str
        Start of the SHA-256 of its content: part of its address.
    plain, packed : bytes
        As it is, and compressed by gzip.
    """

    media_type: str
    mark: str
    plain: bytes
    packed: bytes


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file by its name below the folder of static files; there are no others."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            mark = hashlib.sha256(content).hexdigest()[:12]
            packed = gzip.compress(content, mtime=0)
            found[path.relative_to(FOLDER).as_posix()] = Asset(_TYPES[path.suffix], mark, content, packed)
    return MappingProxyType(found)


def address(name: str) -> str:
    """Return the address of a file; another content has another one."""
    return f"{PREFIX}{name}?v={assets()[name].mark}"
