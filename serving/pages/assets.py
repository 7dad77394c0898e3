"""The files pages are made with: read once, named by their content, so that a browser may keep them for ever."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
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
    content : bytes
    """

    media_type: str
    mark: str
    content: bytes

    @cached_property
    def packed(self) -> bytes:
        """The content compressed by gzip."""
        return gzip.compress(self.content, mtime=0)


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file by its name below the folder of static files; there are no others."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            mark = hashlib.sha256(content).hexdigest()[:12]
            found[path.relative_to(FOLDER).as_posix()] = Asset(_TYPES[path.suffix], mark, content)
    return MappingProxyType(found)


def address(name: str) -> str:
    """Return the address of a file; another content has another one."""
    return f"{PREFIX}{name}?v={assets()[name].mark}"
