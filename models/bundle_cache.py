"""Bundles on the local disk, and which of them answers each goal."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from features.errors import BundleError
from models.bundle import MANIFEST, Bundle, load_bundle, read_sealed, verify_in_child
from models.bundle_files import read_json, to_bytes


@dataclass(frozen=True)
class Current:
    """What a goal is, or was, answered with.

    Parameters
    ----------
    goal, digest : str
    version : str
        Version shown in answers, e.g. "7.0".
    folder : Path
    """

    goal: str
    digest: str
    version: str
    folder: Path


class BundleCache:
    """Bundles on the local disk by digest, and which is current for each goal.

    One process may fill it while others read: folders appear whole, and the current one is switched in one step.

    Parameters
    ----------
    root : Path
        Made when it does not exist.

    Raises
    ------
    BundleError
        When the folder can not be made.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._bundles = root / "bundles"
        self._verified = root / "verified"
        try:
            for folder in (self._bundles, self._verified):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BundleError(
                f"The folder of models {str(root)!r} can not be made: {error.strerror}.",
                hint="Name another: --cache or SMARKETING_CACHE.",
            ) from error

    def put(self, folder: Path, *, timeout: float = 60.0) -> str:
        """Copy a bundle into the cache once it has passed every check, and return its digest.

        Raises
        ------
        BundleError
            When it fails a check; the cache is then as before.
        """
        sealed = read_sealed(folder)
        kept = self._bundles / sealed.digest
        if (self._verified / sealed.digest).exists() and self._is_whole(kept):
            return sealed.digest
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".incoming-") as temporary:
            copy = Path(temporary) / "bundle"
            copy.mkdir()
            for name in (*sealed.files, MANIFEST):
                shutil.copyfile(folder / name, copy / name)
            if read_sealed(copy).digest != sealed.digest:
                raise BundleError(f"The bundle {folder} changed while it was copied.")
            verify_in_child(copy, timeout)
            if kept.exists():
                kept.rename(Path(temporary) / "replaced")
            copy.rename(kept)
        self._remember(sealed.digest)
        return sealed.digest

    def switch(self, goal: str, digest: str, version: str) -> None:
        """Make a cached bundle the current one of its goal.

        Raises
        ------
        BundleError
            When the cache does not hold it whole, or it answers another goal.
        """
        sealed = read_sealed(self._bundles / digest)
        if sealed.goal != goal:
            raise BundleError(f"The bundle answers the goal {sealed.goal!r}, not {goal!r}.")
        target = self.pointer(goal)
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".incoming-") as temporary:
            pointer = Path(temporary) / "pointer"
            with pointer.open("wb") as file:
                file.write(to_bytes({"goal": goal, "digest": digest, "version": version}))
                file.flush()
                os.fsync(file.fileno())
            pointer.replace(target)

    def pointer(self, goal: str) -> Path:
        """Return the file that names the current bundle of a goal; a change of it is a change of champion."""
        if not goal or not all(character.isalnum() or character in "_-" for character in goal):
            raise BundleError(f"A goal's name has letters, digits, '_' and '-' only. Got {goal!r} instead.")
        return self._root / f"CURRENT.{goal}"

    def current(self, goal: str) -> Current | None:
        """Return what the goal is answered with, or None when nothing has been promoted.

        Raises
        ------
        BundleError
            When the pointer can not be read.
        """
        path = self.pointer(goal)
        try:
            pointer = read_json(path.read_bytes())
            digest, version = str(pointer["digest"]), str(pointer["version"])
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise BundleError(f"{path} can not be read: {error!r}.") from error
        if not _is_digest(digest):
            raise BundleError(f"{path} names no bundle.")
        return Current(goal, digest, version, self._bundles / digest)

    def held(self, goal: str, digest: str, version: str) -> Current:
        """Return a bundle by its content, current or not: whatever has been in use stays in the cache.

        Raises
        ------
        BundleError
            When the cache does not hold it.
        """
        folder = self._bundles / digest
        if not _is_digest(digest) or not folder.is_dir():
            raise BundleError(f"The cache holds no model of the content {digest!r}, version {version} of {goal}.")
        return Current(goal, digest, version, folder)

    def holds(self, current: Current) -> bool:
        """Return whether the files of a current bundle are all there, with the content that its digest names."""
        return self._is_whole(current.folder)

    def load(self, current: Current, *, timeout: float = 60.0) -> Bundle:
        """Return a bundle of the cache; its check in a child process is done once and remembered.

        What is remembered is the digest, and the files are hashed against it each time: these very bytes passed.

        Raises
        ------
        BundleError
            When it is damaged.
        """
        sealed = read_sealed(current.folder)
        if sealed.digest != current.digest:
            raise BundleError(f"The folder {current.folder} holds another bundle: {sealed.digest}.")
        if not (self._verified / current.digest).exists():
            # First elsewhere: a damaged model can take the process that opens it with it.
            verify_in_child(current.folder, timeout)
            self._remember(current.digest)
        return load_bundle(current.folder)

    def _is_whole(self, folder: Path) -> bool:
        try:
            return read_sealed(folder).digest == folder.name
        except BundleError:
            return False

    def _remember(self, digest: str) -> None:
        (self._verified / digest).touch()


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
