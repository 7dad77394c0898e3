"""Keep the cache of bundles filled with the registry's champions: ``python -m training.refresh``.

`smarketing serve` runs this as a child process, so that no request ever waits for the registry and the service never
imports MLflow. A registry that does not answer costs one line in the log and a longer pause; the cache stays as it is.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from features.errors import BundleError, SmarketingError, StoreError, UnknownError
from models.bundle_cache import BundleCache, Current
from training.registry import Registered, Registry

LOG = logging.getLogger("smarketing.refresh")
LONGEST_PAUSE = 600.0
"""Seconds between attempts, at most, while the registry does not answer."""
_TIDYING = 1.0
"""Seconds that a process told to end has for removing what it was about to write."""


@dataclass(frozen=True)
class Refreshed:
    """What one look at the registry did.

    Parameters
    ----------
    switched : tuple of Registered
        Champions that are now current and were not before, or were damaged.
    refused : tuple of str
        Messages about champions that could not be used; the goals keep what they had.
    """

    switched: tuple[Registered, ...]
    refused: tuple[str, ...]


def refresh(registry: Registry, cache: BundleCache) -> Refreshed:
    """Make every champion of the registry the current bundle of its goal.

    A bundle that the cache holds whole is not copied again, and a damaged one is; a copy is checked in a child process
    before it is used.

    Raises
    ------
    StoreError
        When the registry does not answer.
    """
    registry.check()
    switched: list[Registered] = []
    refused: list[str] = []
    for champion in registry.champions():
        version = f"{champion.version}.0"
        try:
            current = _readable(cache, champion.goal)
            if current is not None and _is_this(champion, current) and cache.holds(current):
                continue
            digest = _hold(registry, cache, champion)
            cache.switch(champion.goal, digest, version)
            switched.append(champion)
        except (BundleError, UnknownError) as error:
            refused.append(f"Version {champion.version} of {champion.model!r} is not used: {error}")
    return Refreshed(tuple(switched), tuple(refused))


def keep_fresh(registry: Registry, cache: BundleCache, *, every: float, stopping: threading.Event) -> None:
    """Look at the registry every so many seconds until told to stop."""
    pause, silent = every, False
    said: frozenset[str] = frozenset()
    while not stopping.is_set():
        try:
            done = refresh(registry, cache)
            pause, silent = every, False
            _report(done, said)
            said = frozenset(done.refused)
        except StoreError as error:
            pause = min(2 * pause, LONGEST_PAUSE)
            if not silent:
                LOG.warning("%s The cache serves on; looking again in %gs and then less often.", error, pause)
            silent = True
        stopping.wait(pause)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of this module and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.refresh", description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="smarketing.db", help="the ledger; the registry is looked for beside it")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the bundles")
    parser.add_argument("--every", type=float, default=20.0, help="seconds between looks")
    parser.add_argument("--once", action="store_true", help="look once and end")
    told = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # It reports every retry; this module says once that the registry is silent.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    registry, cache = Registry.beside(told.store), BundleCache(told.cache)
    if told.once:
        try:
            done = refresh(registry, cache)
        except SmarketingError as error:
            LOG.error("%s", error)
            return 1
        _report(done, frozenset())
        return 1 if done.refused else 0
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end(stopping))
    _watch_parent(stopping)
    keep_fresh(registry, cache, every=told.every, stopping=stopping)
    return 0


def _end(stopping: threading.Event) -> None:
    # At once, even in the seconds of MLflow's import: whoever stops the service waits. A library may swallow the exit,
    # so a second later it is enforced; the cache bears an end anywhere, since folders and pointers appear whole.
    if not stopping.is_set():
        stopping.set()
        enforced = threading.Timer(_TIDYING, os._exit, (0,))
        enforced.daemon = True
        enforced.start()
        raise SystemExit(0)


def _readable(cache: BundleCache, goal: str) -> Current | None:
    # A pointer that can not be read points at nothing: the switch writes it anew.
    try:
        return cache.current(goal)
    except BundleError:
        return None


def _is_this(champion: Registered, current: Current) -> bool:
    # A later revision (7.1) is an online recalibration of the same champion, of other content.
    version, _, revision = current.version.partition(".")
    return current.digest == champion.digest or (version == str(champion.version) and revision != "0")


def _hold(registry: Registry, cache: BundleCache, champion: Registered) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        digest = cache.put(registry.fetch(champion, Path(scratch, "bundle")))
    if champion.digest and digest != champion.digest:
        raise BundleError(f"Its content {digest} is not what was registered, {champion.digest}.")
    return digest


def _report(done: Refreshed, said: frozenset[str]) -> None:
    for champion in done.switched:
        LOG.info("Version %d of %s is now answering %s.", champion.version, champion.model, champion.goal)
    for message in done.refused:
        if message not in said:
            LOG.warning("%s", message)


def _watch_parent(stopping: threading.Event) -> None:
    # A service that is killed can not end its child: the child notices that it has been given to another parent.
    parent = os.getppid()

    def watch() -> None:
        while not stopping.wait(2.0):
            if os.getppid() != parent:
                stopping.set()

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
