"""Fitted scorers: from a row of features to a margin in log-odds, and to what each feature adds to it.

A scorer is all that a bundle keeps of a model. It needs numpy, and LightGBM for a boosted one; nothing of what fitted
it (`models.rungs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from features.errors import BundleError
from models import treeshap
from models.arrays import Floats, Integers
from models.booster import load_booster
from models.points import PointsScorer

TRANSFORMS = ("log", "linear", "missing", "level")

LIMIT = 5.0
"""Standard deviations beyond which a standardised term says no more: nobody has seen what a line would say there."""


class Scorer(Protocol):
    """A fitted model of any kind. Rows of `X` are encoded features, missing values NaN."""

    @property
    def kind(self) -> str:
        """How it is stored: ``points``, ``logistic`` or ``lightgbm``."""

    @property
    def name(self) -> str:
        """Rung of the ladder it comes from."""

    @property
    def n_features(self) -> int:
        """Number of columns it reads."""

    def margin(self, X: Floats) -> Floats:
        """Return uncalibrated log-odds, of shape (n,)."""

    def contributions(self, X: Floats) -> Floats:
        """Return what each feature adds, of shape (n, n_features + 1); the last column is the base."""

    def files(self) -> dict[str, bytes]:
        """Return the content of the files that keep it, by name."""


@dataclass(frozen=True)
class Terms:
    """Columns of a linear design, each made from one feature.

    Parameters
    ----------
    column : array of int, shape (n_terms,)
        The feature each term reads.
    transform : tuple of str
        ``log``: ``(sign(x) log(1 + |x|) - centre) / scale`` with a missing x replaced by `value`, cut to
        ``[-limit, limit]``; ``linear``: ``(x - centre) / scale``, likewise but not cut;
        ``missing``: 1 where x is missing; ``level``: 1 where x is `value`, and NaN is a level like another.
    value, centre, scale : array of shape (n_terms,)
    limit : float, default=LIMIT
    """

    column: Integers
    transform: tuple[str, ...]
    value: Floats
    centre: Floats
    scale: Floats
    limit: float = LIMIT

    def design(self, X: Floats) -> Floats:
        """Return the design matrix, of shape (n, n_terms)."""
        x = X[:, self.column]
        missing = np.isnan(x)
        filled = np.where(missing, self.value, x)
        logged = (np.sign(filled) * np.log1p(np.abs(filled)) - self.centre) / self.scale
        level = (x == self.value) | (missing & np.isnan(self.value))
        chosen = np.select(
            [self._is["missing"], self._is["level"], self._is["linear"]],
            [missing, level, (filled - self.centre) / self.scale],
            np.clip(logged, -self.limit, self.limit),
        )
        return np.asarray(chosen, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "column": self.column.tolist(),
            "transform": list(self.transform),
            "value": [None if np.isnan(value) else value for value in self.value.tolist()],
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "limit": self.limit,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], n_features: int) -> Terms:
        """Return the terms that `to_json` described, of rows with so many features.

        Raises
        ------
        BundleError
            When its parts do not fit one another.
        """
        column, transform = np.array(document["column"], dtype=np.int64), tuple(document["transform"])
        value, centre, scale = (
            np.array([np.nan if one is None else one for one in document[key]], dtype=np.float64)
            for key in ("value", "centre", "scale")
        )
        shapes = {array.shape for array in (column, value, centre, scale)} | {(len(transform),)}
        if len(shapes) != 1 or not set(transform) <= set(TRANSFORMS):
            raise BundleError("The terms of the linear model do not fit one another.")
        if len(column) and not (column.min() >= 0 and column.max() < n_features):
            raise BundleError(f"The linear model reads a feature beyond its {n_features}.")
        limit = float(document["limit"])
        if not limit > 0:
            raise BundleError(f"`limit` of the linear model must be above 0. Got {limit} instead.")
        return cls(column, transform, value, centre, scale, limit)

    @cached_property
    def _is(self) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
        return {name: np.array([one == name for one in self.transform], dtype=bool) for name in TRANSFORMS}


@dataclass(frozen=True)
class LogisticScorer:
    """A linear model in log-odds; base rate and stage table are its simplest forms.

    Parameters
    ----------
    name : str
    n_features : int
    terms : Terms
    coefficient : array of shape (n_terms,)
    mean : array of shape (n_terms,)
        Training mean of each term: a contribution is ``coefficient * (term - mean)``, summed per feature.
    base : float
        Log-odds of the row whose terms are all at their means.
    """

    name: str
    n_features: int
    terms: Terms
    coefficient: Floats
    mean: Floats
    base: float
    kind = "logistic"
    file = "model.json"

    def margin(self, X: Floats) -> Floats:
        """Return uncalibrated log-odds, of shape (n,)."""
        margins: Floats = self.base + (self.terms.design(X) - self.mean) @ self.coefficient
        return margins

    def contributions(self, X: Floats) -> Floats:
        """Return what each feature adds, of shape (n, n_features + 1); the last column is the base."""
        added = (self.terms.design(X) - self.mean) * self.coefficient
        summed = np.empty((len(X), self.n_features + 1))
        summed[:, :-1] = added @ self._feature_of_term
        summed[:, -1] = self.base
        return summed

    @cached_property
    def _feature_of_term(self) -> Floats:
        members: Floats = (self.terms.column[:, None] == np.arange(self.n_features)).astype(np.float64)
        return members

    def files(self) -> dict[str, bytes]:
        """Return the content of the files that keep it, by name."""
        document = {
            "name": self.name,
            "n_features": self.n_features,
            "base": self.base,
            **self.terms.to_json(),
            "coefficient": self.coefficient.tolist(),
            "mean": self.mean.tolist(),
        }
        return {self.file: json.dumps(document, allow_nan=False, indent=1).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], name: str) -> LogisticScorer:
        """Return the scorer that `files` described.

        Raises
        ------
        BundleError
            When its parts do not fit one another.
        """
        document = json.loads(files[cls.file])
        n_features = int(document["n_features"])
        terms = Terms.from_json(document, n_features)
        coefficient, mean = (np.array(document[key], dtype=np.float64) for key in ("coefficient", "mean"))
        if not coefficient.shape == mean.shape == terms.column.shape or document["name"] != name:
            raise BundleError("The coefficients of the linear model do not fit its terms.")
        return cls(name, n_features, terms, coefficient, mean, float(document["base"]))


@dataclass(frozen=True)
class LightgbmScorer:
    """A boosted tree ensemble, kept as LightGBM's own text.

    Parameters
    ----------
    name : str
    text : str
    """

    name: str
    text: str
    kind = "lightgbm"
    file = "model.txt"

    @cached_property
    def booster(self) -> Any:
        """The `lightgbm.Booster` of the text, loaded once."""
        return load_booster(self.text)

    @property
    def n_features(self) -> int:
        """Number of columns it reads."""
        return int(self.booster.num_feature())

    def margin(self, X: Floats) -> Floats:
        """Return uncalibrated log-odds, of shape (n,)."""
        return treeshap.margins(self.booster, X)

    def contributions(self, X: Floats) -> Floats:
        """Return what each feature adds, of shape (n, n_features + 1); the last column is the base."""
        return treeshap.contributions(self.booster, X)

    def files(self) -> dict[str, bytes]:
        """Return the content of the files that keep it, by name."""
        return {self.file: self.text.encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], name: str) -> LightgbmScorer:
        """Return the scorer that `files` described.

        Raises
        ------
        BundleError
            When LightGBM refuses the text.
        """
        scorer = cls(name, files[cls.file].decode())
        scorer.booster  # noqa: B018  a text that can not be read is refused here, not at the first score
        return scorer


SCORERS: Mapping[str, type[PointsScorer] | type[LogisticScorer] | type[LightgbmScorer]] = {
    scorer.kind: scorer for scorer in (PointsScorer, LogisticScorer, LightgbmScorer)
}
"""Scorers by the kind that a manifest names."""


def scorer_from_files(files: Mapping[str, bytes], kind: str, name: str) -> Scorer:
    """Return the scorer kept in the files.

    Raises
    ------
    BundleError
        When the kind is not known or the content is damaged.
    """
    if kind not in SCORERS:
        raise BundleError(f"Model kind must be one of {', '.join(SCORERS)}. Got {kind!r} instead.")
    try:
        return SCORERS[kind].from_files(files, name)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"The {kind} model can not be read: {error!r}.") from error
