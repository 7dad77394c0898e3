"""Bundles with one planted fault each: what the gates are there to refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models.bundle import Bundle
from models.calibration import Platt


class Altered:
    """A scorer that is another one but for what a subclass changes."""

    def __init__(self, scorer: Any) -> None:
        self.scorer = scorer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.scorer, name)


class Clumsy(Altered):
    """Its contributions do not sum to its margins."""

    def contributions(self, X):
        added = self.scorer.contributions(X).copy()
        added[:, 0] += 1e-6
        return added


class Confused(Altered):
    """It takes one feature for another."""

    def margin(self, X):
        return self.scorer.margin(X[:, [0, 2, 1, 3]])

    def contributions(self, X):
        return self.scorer.contributions(X[:, [0, 2, 1, 3]])


class Noisy(Altered):
    """Its margins have a random part."""

    def __init__(self, scorer: Any, error: float) -> None:
        super().__init__(scorer)
        self.error = error

    def margin(self, X):
        return self.scorer.margin(X) + np.random.default_rng(0).normal(0, self.error, len(X))


class Partial(Altered):
    """It adds a constant to the margins of one stage, in its contributions too."""

    def __init__(self, bundle: Bundle, stage: str, by: float) -> None:
        super().__init__(bundle.scorer)
        self.column = bundle.encoding.column("new_stage")
        self.code, self.by = bundle.encoding.categories["new_stage"].index(stage), by

    def margin(self, X):
        return self.scorer.margin(X) + self.by * (X[:, self.column] == self.code)

    def contributions(self, X):
        added = self.scorer.contributions(X).copy()
        added[:, self.column] += self.by * (X[:, self.column] == self.code)
        return added


def bent(bundle: Bundle, *, slope: float = 1.0, shift: float = 0.0) -> Bundle:
    """Return the bundle with other calibrated log-odds."""
    line = bundle.calibration
    return replace(bundle, calibration=Platt(line.a * slope, line.b * slope + shift))


def declared(bundle: Bundle, change: Callable[[Any], Mapping[str, Any]]) -> Bundle:
    """Return the bundle with the declaration of its first feature changed."""
    first, *others = bundle.catalogue
    return replace(bundle, catalogue=({**first, **change(first)}, *others))


def drifted(bundle: Bundle, by: float = 2.0) -> Bundle:
    """Return the bundle as if training had scored quite otherwise."""
    return replace(bundle, background=replace(bundle.background, margins=bundle.background.margins + by))


FAULTS: Mapping[str, Callable[[Bundle], Bundle]] = {
    "manifest": lambda sound: declared(sound, lambda one: {"expression": {**one["expression"], "atom": "Other"}}),
    "hold_out": lambda sound: replace(sound, scorer=Confused(sound.scorer)),
    "calibration": lambda sound: bent(sound, slope=1.6),
    "stability": drifted,
    "slices": lambda sound: replace(sound, scorer=Partial(sound, "sql", 2.0)),
    "explanations": lambda sound: replace(sound, scorer=Clumsy(sound.scorer)),
}
"""By gate, what makes a sound bundle one that it refuses."""
