"""Making a version the champion, in the registry and in the cache that answers: only through the gates."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from features.errors import BundleError
from features.ledger import now_micros
from models.bundle import Bundle, load_bundle
from models.bundle_cache import BundleCache
from training.dataset import shown
from training.registry import PREVIOUS, Registered, Registry
from training.verdict import Verdict


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
    """Return who approves and when, as tags of a version."""
    return {
        "smarketing.approved_by": _user(),
        "smarketing.approved_at": shown(now_micros()),
        "smarketing.approved_because": why,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return str(os.getuid())
