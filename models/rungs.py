"""The rungs of the ladder: how each kind of scorer is fitted.

From the simplest: the base rate, a win rate per stage, the points of the agreement, logistic regression shrunk towards
them, free logistic regression, boosted trees. Their settings are sensible defaults for some ten thousand snapshots of a
few thousand accounts; no test period has seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.encoding import Encoding
from models.fitting import Grown, PlainRung, Rung, Sample
from models.linear import fit_base_rate, fit_logistic, fit_stage_table
from models.points import make_points
from models.propensity import LightgbmScorer, Scorer
from models.shrunk import fit_shrunk

LIGHTGBM: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 80,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 20.0,
    "cat_smooth": 30.0,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
"""Parameters of LightGBM: small slow trees with large leaves, because an account's snapshots repeat one another.

One thread: trees this small gain little from a second, and on a busy machine its waiting costs ten times the work."""

MOST_TREES = 1500
PATIENCE = 60
"""Rounds without a better held-out log loss after which boosting stops."""


@dataclass(frozen=True)
class LightgbmRung:
    """Boosted trees with early stopping.

    Parameters
    ----------
    encoding : Encoding
    params : mapping, default={}
        Replaces or adds to `LIGHTGBM`.
    name : str, default="lightgbm"
    """

    encoding: Encoding
    params: Mapping[str, Any] = field(default_factory=dict)
    name: str = "lightgbm"

    def grow(self, train: Sample, held_out: Sample, seed: int) -> Grown:
        """Boost until the log loss of the held-out rows stops falling."""
        import lightgbm

        booster = lightgbm.train(
            self._params(seed),
            self._dataset(train),
            num_boost_round=MOST_TREES,
            valid_sets=[self._dataset(held_out)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        return Grown(booster.best_iteration, lambda size: self._scorer(booster, size))

    def fit(self, sample: Sample, size: int, seed: int) -> Scorer:
        """Grow `size` trees on all rows."""
        import lightgbm

        return self._scorer(lightgbm.train(self._params(seed), self._dataset(sample), num_boost_round=size), size)

    def _params(self, seed: int) -> dict[str, Any]:
        return {**LIGHTGBM, **self.params, "seed": seed, "metric": "binary_logloss"}

    def _dataset(self, sample: Sample) -> Any:
        import lightgbm

        return lightgbm.Dataset(
            sample.X,
            label=sample.y,
            weight=sample.weights,
            feature_name=[f"f{column}" for column in range(sample.X.shape[1])],
            categorical_feature=list(self.encoding.category_columns),
            params={"verbosity": -1, "max_bin": self._params(0)["max_bin"]},
            free_raw_data=True,
        )

    def _scorer(self, booster: Any, size: int) -> Scorer:
        return LightgbmScorer(self.name, booster.model_to_string(num_iteration=size))


def ladder_rungs(
    encoding: Encoding, stage: str, points: Mapping[str, float], params: Mapping[str, Any] | None = None
) -> tuple[Rung, ...]:
    """Return the six rungs from the simplest to LightGBM.

    Parameters
    ----------
    encoding : Encoding
    stage : str
        The feature that holds the stage of the goal's kind, for the stage table.
    points : mapping of str to float
        Points of the agreement by feature (`features.catalogue.assemble.points_features`).
    params : mapping, optional
        Replaces or adds to `LIGHTGBM`.

    Raises
    ------
    UnknownError
        When the encoding lacks one of these features.
    """
    rule = make_points(encoding, points)
    column = encoding.column(stage)
    return (
        PlainRung("base_rate", lambda sample: fit_base_rate(sample)),
        PlainRung("stage_table", lambda sample: fit_stage_table(sample, column)),
        PlainRung("points", lambda sample: rule),
        PlainRung("shrunk", lambda sample: fit_shrunk(sample, encoding, points, column)),
        PlainRung("logistic", lambda sample: fit_logistic(sample, encoding)),
        LightgbmRung(encoding, dict(params or {})),
    )
