"""What fitting a rung of the ladder means: rows to learn from in, a scorer out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from models.arrays import Floats, Integers
from models.propensity import Scorer


@dataclass(frozen=True)
class Sample:
    """Rows to fit on: features, labels in {0, 1}, weights, and the account of each row."""

    X: Floats
    y: Floats
    weights: Floats
    groups: Integers

    def take(self, rows: Integers) -> Sample:
        """Return the sample of these rows."""
        return Sample(self.X[rows], self.y[rows], self.weights[rows], self.groups[rows])


@dataclass(frozen=True)
class Grown:
    """A scorer fitted in a fold, before its size is settled.

    Parameters
    ----------
    size : int
        Number of trees that served the held-out rows best; 0 for a scorer without a size.
    scorer : callable of int
        Gives the scorer cut to a size.
    """

    size: int
    scorer: Callable[[int], Scorer]


class Rung(Protocol):
    """A way to fit a scorer."""

    @property
    def name(self) -> str:
        """Name in the ladder."""

    def grow(self, train: Sample, held_out: Sample, seed: int) -> Grown:
        """Fit on the rows of some folds, watching those of the other."""

    def fit(self, sample: Sample, size: int, seed: int) -> Scorer:
        """Fit on all rows, at the size the folds settled on."""


@dataclass(frozen=True)
class PlainRung:
    """A rung whose scorer has no size to settle.

    Parameters
    ----------
    name : str
    fitter : callable
        From a sample to the scorer.
    """

    name: str
    fitter: Callable[[Sample], Scorer]

    def grow(self, train: Sample, held_out: Sample, seed: int) -> Grown:
        """Fit on `train`; the held-out rows are not looked at."""
        scorer = self.fitter(train)
        return Grown(0, lambda _: scorer)

    def fit(self, sample: Sample, size: int, seed: int) -> Scorer:
        """Fit on all rows."""
        return self.fitter(sample)
