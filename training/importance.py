"""What moves a model's score: contributions in calibrated log-odds on a sample of the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.feature import Feature
from models.calibration import Platt
from models.propensity import Scorer
from training.ladder_report import Importance, Mover, Swarm

SAMPLE = 250
"""Test rows whose contributions are computed."""

MOST_CONCEPTS, MOST_FEATURES = 12, 40

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Explained:
    """Contributions of m sampled rows.

    Parameters
    ----------
    features : tuple of Feature
    X : ndarray of shape (m, n_features)
        Encoded values.
    added : ndarray of shape (m, n_features)
        What each feature adds to the calibrated log-odds.
    base : float
        Calibrated log-odds of the reference account.
    """

    features: tuple[Feature, ...]
    X: _Floats
    added: _Floats
    base: float

    @property
    def concepts(self) -> tuple[str, ...]:
        """Concepts, that which moves the score most first."""
        names = list(dict.fromkeys(feature.concept for feature in self.features))
        strength = {name: float(np.abs(self.of_concept(name)).mean()) for name in names}
        return tuple(sorted(names, key=lambda name: -strength[name]))

    def of_concept(self, concept: str) -> _Floats:
        """Return what the features of a concept add together, of shape (m,)."""
        summed: _Floats = self.added[:, self._columns(concept)].sum(axis=1)
        return summed

    def strongest(self, concept: str) -> int:
        """Return the column of the feature of a concept that moves the score most."""
        columns = self._columns(concept)
        return int(columns[np.argmax(np.abs(self.added[:, columns]).mean(axis=0))])

    def places(self, column: int) -> _Floats:
        """Return where each row's value stands among the sampled ones, 0 lowest to 1 highest.

        NaN is missing; so is every value of a category, which has no order.
        """
        values = self.X[:, column]
        given = ~np.isnan(values)
        places = np.full(len(values), np.nan)
        if self.features[column].dtype != "category" and given.any():
            known = np.sort(values[given])
            low, high = (np.searchsorted(known, values[given], side) for side in ("left", "right"))
            places[given] = (low + high) / (2 * len(known))
        return places

    def _columns(self, concept: str) -> npt.NDArray[np.int64]:
        return np.flatnonzero([feature.concept == concept for feature in self.features])


def explain_sample(
    scorer: Scorer,
    calibration: Platt,
    X: _Floats,
    features: Sequence[Feature],
    weights: _Floats,
    seed: int,
) -> Explained:
    """Explain rows drawn by their weights, without repetition.

    Parameters
    ----------
    scorer : Scorer
    calibration : Platt
    X : ndarray of shape (n, n_features)
        Encoded test rows.
    features : sequence of Feature
        In the order of the columns.
    weights : ndarray of shape (n,)
    seed : int
    """
    random, possible = np.random.default_rng(seed), int((weights > 0).sum())
    drawn = np.sort(random.choice(len(X), min(SAMPLE, possible), replace=False, p=weights / weights.sum()))
    added = calibration.a * scorer.contributions(X[drawn])
    return Explained(tuple(features), X[drawn], added[:, :-1], float(added[0, -1] + calibration.b))


def importance(explained: Explained) -> Importance:
    """Return the concepts and features that move the score most, and the sample behind a beeswarm plot."""
    family = {feature.concept: feature.family for feature in explained.features}
    strength = np.abs(explained.added).mean(axis=0)
    columns = np.argsort(-strength, kind="stable")[:MOST_FEATURES]
    named = [explained.features[column] for column in columns]
    return Importance(
        rows=len(explained.X),
        concepts=tuple(
            Mover(name, name, family[name], float(np.abs(explained.of_concept(name)).mean()))
            for name in explained.concepts
        ),
        features=tuple(
            Mover(feature.name, feature.concept, feature.family, float(strength[column]))
            for feature, column in zip(named, columns, strict=True)
        ),
        beeswarm=tuple(_swarm(explained, name) for name in explained.concepts[:MOST_CONCEPTS]),
    )


def _swarm(explained: Explained, concept: str) -> Swarm:
    column = explained.strongest(concept)
    return Swarm(
        concept,
        explained.features[column].name,
        tuple(explained.of_concept(concept).tolist()),
        tuple(None if np.isnan(place) else float(place) for place in explained.places(column)),
    )
