"""Making a version the champion, in the registry and in the cache that answers: only through the gates."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from features.errors import BundleError
from features.ledger import now_micros
from models.bundle import Bundle, load_bundle
from models.bundle_cache import BundleCache
from training.registry import PREVIOUS, Registered, Registry
from training.verdict import Verdict

APPROVAL = "smarketing.approval."
"""Begins the name of a tag that says who approved a version and why; the moment follows."""


def bring(registry: Registry, cache: BundleCache, version: Registered) -> Bundle:
    """Copy the bundle of a version into the cache, checked in a process of its own, and return it.

    Raises
    ------
    BundleError
        When it is damaged, or not what was registered.
    StoreError
        When the registry can not be reached.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = registry.fetch(version, Path(scratch, "bundle"))
        digest = cache.put(folder)
        if version.digest and digest != version.digest:
            raise BundleError(f"Its content {digest} is not what was registered, {version.digest}.")
        return load_bundle(folder)


def standing(registry: Registry, cache: BundleCache, champion: Registered) -> Bundle | None:
    """Return the bundle of a champion, or None when this version of the project can not read it any more.

    Raises
    ------
    StoreError
        When the registry can not be reached.
    """
    try:
        return bring(registry, cache, champion)
    except BundleError:
        return None


def promote(registry: Registry, cache: BundleCache, version: Registered, verdict: Verdict) -> bool:
    """Keep the verdict with the version's run, and make the version the champion if it passed; return whether it is.

    The bundle must be in the cache (`bring`): what can not be answered with is not promoted.

    Raises
    ------
    StoreError
        When the registry can not be reached or refuses; the champion is then the one it was.
    """
    registry.attach(version, {"gates.json": verdict.document()}, {"gates.html": verdict.page()})
    if not verdict.passed:
        return False
    registry.promote(version, approval("the gates passed"))
    cache.switch(version.goal, version.digest, version.shown)
    return True


def answer_with(registry: Registry, cache: BundleCache, champion: Registered) -> None:
    """Make the cache answer with the champion of the registry: what is left to do of a promotion that broke off there.

    A later calibration of the same champion stays.

    Raises
    ------
    BundleError
        When its bundle is damaged, or the cache can not be read.
    StoreError
        When the registry can not be reached.
    """
    current = cache.current(champion.goal)
    if current is not None and current.version.partition(".")[0] == str(champion.version) and cache.holds(current):
        return
    bring(registry, cache, champion)
    cache.switch(champion.goal, champion.digest, champion.shown)


def rollback(registry: Registry, cache: BundleCache, goal: str) -> Registered:
    """Let the previous champion answer again, and return it.

    Raises
    ------
    UnknownError
        When there is no previous champion.
    BundleError
        When its bundle is damaged; the champion is then the one it was.
    StoreError
        When the registry can not be reached or refuses; the champion is then the one it was.
    """
    previous = registry.find(goal, PREVIOUS).registered
    digest = bring(registry, cache, previous).digest
    registry.rollback(goal, approval("a rollback"))
    cache.switch(goal, digest, previous.shown)
    return previous


def approval(why: str) -> Mapping[str, str]:
    """Return who approves, when and why, as a tag of a version that no later approval overwrites."""
    at = datetime.fromtimestamp(now_micros() / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {f"{APPROVAL}{at}": f"{_user()}: {why}"}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return str(os.getuid())
