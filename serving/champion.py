"""The models in use: loaded from the cache, watched, checked beside the event loop, and swapped whole."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from features.agreement import Agreement
from features.catalogue import Catalogue
from features.errors import BundleError, UnknownError
from models.bundle import Bundle, question_of
from models.bundle_cache import BundleCache, Current
from models.explain import Explainer

_LOG = logging.getLogger("smarketing.serving")

REFUSED = "bundle_refused"
CHANGED = "catalogue_changed"
OTHER_GOAL = "goal_changed"

_RETRY_SECONDS = 60.0
"""Pause before a refused model is tried again: a full disk or a busy machine passes, and files can be mended."""


@dataclass(frozen=True)
class Champion:
    """A model that answers, with all that an answer says of it.

    Parameters
    ----------
    bundle : Bundle
    version : str
        Version and calibration revision, e.g. "7.0".
    explainer : Explainer
    columns : tuple of int
        Place in the declared catalogue of each feature the model reads.
    """

    bundle: Bundle
    version: str
    explainer: Explainer
    columns: tuple[int, ...]


@dataclass(frozen=True)
class _Seen:
    """What the cache said of a goal when it was last read: whether it could be used, and if not, why."""

    current: Current
    refused: str | None


class _OtherGoalError(UnknownError):
    """The goal has another definition today than in training."""


_Signature = tuple[tuple[int, int] | None, ...]
"""Time and inode of the pointer of every goal; None where there is none."""


class Champions:
    """The current model of every goal.

    A model is read, checked and put in place by `refresh`; whoever took one before keeps it, so that an answer is
    wholly of one model. A model that can not be used leaves the last good one in place.

    Parameters
    ----------
    cache : BundleCache
    agreement : Agreement
        Its goals have models; models of other goals are left alone. Its grades are given.
    declared : Catalogue
        The features as this process forms them.
    """

    def __init__(self, cache: BundleCache, agreement: Agreement, declared: Catalogue) -> None:
        self._cache = cache
        self._goals = agreement.goals
        self._grades = agreement.grades
        self._declared = declared
        self._champions: Mapping[str, Champion] = MappingProxyType({})
        self._seen: Mapping[str, _Seen] = MappingProxyType({})

    def of(self, goal: str) -> Champion | None:
        """Return the model that answers a goal now, or None."""
        return self._champions.get(goal)

    def all(self) -> Mapping[str, Champion]:
        """Return the models in use, by goal."""
        return self._champions

    def of_digest(self, goal: str, digest: str, version: str) -> Champion:
        """Return a model that the cache still holds by its content, whether or not it answers now.

        Raises
        ------
        BundleError
            When the cache does not hold it, or it is damaged.
        UnknownError
            When it was trained on other definitions of its features, or of its goal.
        """
        return self._load(self._cache.held(goal, digest, version))

    def degraded(self, goal: str) -> str | None:
        """Return why the newest model of a goal is not in use, as a code; None when it is."""
        seen = self._seen.get(goal)
        return None if seen is None else seen.refused

    def refresh(self) -> None:
        """Read the cache and put in place what has changed. Blocks while a new model is checked."""
        for goal in self._goals:
            try:
                current = self._cache.current(goal)
            except BundleError as error:
                self._refuse(Current(goal, "", "", Path()), REFUSED, error)
                continue
            seen = self._seen.get(goal)
            if current is None or seen == _Seen(current, None):
                continue
            try:
                champion = self._load(current)
            except (BundleError, OSError) as error:
                self._refuse(current, REFUSED, error)
            except _OtherGoalError as error:
                self._refuse(current, OTHER_GOAL, error)
            except UnknownError as error:
                self._refuse(current, CHANGED, error)
            else:
                self._champions = MappingProxyType({**self._champions, goal: champion})
                self._seen = MappingProxyType({**self._seen, goal: _Seen(current, None)})
                _LOG.info("Model %s of %s is in use.", current.version, goal)

    async def watch(self, seconds: float) -> None:
        """Look at the cache every so many seconds, for ever, and refresh when a pointer has changed."""
        # Nothing is known at first: a pointer may have changed since the refresh that came before the watch.
        signature: _Signature | None = None
        tried = time.monotonic()
        while True:
            await asyncio.sleep(seconds)
            found = await asyncio.to_thread(self._signature)
            is_refused = any(seen.refused is not None for seen in self._seen.values())
            if found != signature or (is_refused and time.monotonic() >= tried + _RETRY_SECONDS):
                signature, tried = found, time.monotonic()
                await asyncio.to_thread(self.refresh)

    def _load(self, current: Current) -> Champion:
        bundle = self._cache.load(current)
        if bundle.question != question_of(self._goals[current.goal]):
            raise _OtherGoalError(f"Model {current.version} answers another question than {current.goal} asks today.")
        names = bundle.encoding.names
        if self._declared.subset(names).digest != bundle.catalogue_digest:
            raise UnknownError(f"Model {current.version} was trained on other definitions of its features.")
        explainer = Explainer(bundle, self._declared.features, self._grades)
        place = {name: position for position, name in enumerate(self._declared.names)}
        return Champion(bundle, current.version, explainer, tuple(place[name] for name in names))

    def _refuse(self, current: Current, reason: str, error: Exception) -> None:
        seen = _Seen(current, reason)
        if self._seen.get(current.goal) != seen:
            _LOG.error("Model %s of %s is refused: %s", current.version or "?", current.goal, error)
        self._seen = MappingProxyType({**self._seen, current.goal: seen})

    def _signature(self) -> _Signature:
        found: list[tuple[int, int] | None] = []
        for goal in self._goals:
            try:
                status = self._cache.pointer(goal).stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_ino))
        return tuple(found)
