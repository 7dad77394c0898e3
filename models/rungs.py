"""The rungs of the ladder: how each kind of scorer is fitted.

From the simplest: the base rate, a win rate per stage, logistic regression, boosted trees. Their settings are sensible
defaults for some ten thousand snapshots of a few thousand accounts; no test period has seen them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from models.arrays import Floats, Integers
from models.encoding import Encoding
from models.propensity import LightgbmScorer, LogisticScorer, Scorer, Terms

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

INVERSE_PENALTY = 0.05
"""`C` of the logistic regression, on standardised terms."""

PRIOR_ROWS = 20.0
"""Rows at the base rate that are added to every stage of the stage table."""


@dataclass(frozen=True)
class Sample:
    """Rows to fit on: features, labels in {0, 1} and weights."""

    X: Floats
    y: Floats
    weights: Floats

    def take(self, rows: Integers) -> Sample:
        """Return the sample of these rows."""
        return Sample(self.X[rows], self.y[rows], self.weights[rows])


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


def ladder_rungs(encoding: Encoding, stage: str, params: Mapping[str, Any] | None = None) -> tuple[Rung, ...]:
    """Return the four rungs from the simplest to LightGBM.

    Parameters
    ----------
    encoding : Encoding
    stage : str
        The feature that holds the stage of the goal's kind, for the stage table.
    params : mapping, optional
        Replaces or adds to `LIGHTGBM`.

    Raises
    ------
    UnknownError
        When the encoding has no such feature.
    """
    column = encoding.column(stage)
    return (
        PlainRung("base_rate", lambda sample: fit_base_rate(sample)),
        PlainRung("stage_table", lambda sample: fit_stage_table(sample, column)),
        PlainRung("logistic", lambda sample: fit_logistic(sample, encoding)),
        LightgbmRung(encoding, dict(params or {})),
    )


def fit_base_rate(sample: Sample) -> LogisticScorer:
    """Return the scorer that gives every row the log-odds of the base rate."""
    nothing = np.zeros(0)
    return LogisticScorer(
        name="base_rate",
        n_features=sample.X.shape[1],
        terms=Terms(np.zeros(0, dtype=np.int64), (), nothing, nothing, nothing),
        coefficient=nothing,
        mean=nothing,
        base=_logit(_rate(sample)),
    )


def fit_stage_table(sample: Sample, column: int) -> LogisticScorer:
    """Return the scorer that gives every row the log-odds of the win rate of its stage.

    Rates are shrunk to the base rate by `PRIOR_ROWS` rows; a stage not seen has the base rate.
    """
    of_row = sample.X[:, column]
    stages = np.unique(of_row)
    base_rate = _rate(sample)
    members = (of_row[:, None] == stages) | (np.isnan(of_row)[:, None] & np.isnan(stages))
    weight = sample.weights @ members
    rate = (sample.weights * sample.y @ members + PRIOR_ROWS * base_rate) / (weight + PRIOR_ROWS)
    terms = Terms(
        np.full(len(stages), column, dtype=np.int64),
        ("level",) * len(stages),
        stages,
        np.zeros(len(stages)),
        np.ones(len(stages)),
    )
    coefficient = _logit(rate) - _logit(base_rate)
    mean = weight / weight.sum()
    base = float(_logit(base_rate) + mean @ coefficient)
    return LogisticScorer("stage_table", sample.X.shape[1], terms, coefficient, mean, base)


def fit_logistic(sample: Sample, encoding: Encoding) -> LogisticScorer:
    """Fit penalised logistic regression and return it as plain coefficients.

    `logistic_pipeline` fits it; the coefficients give the same margins with numpy alone.
    """
    pipeline = logistic_pipeline(sample, encoding)
    if not pipeline["design"].transformers:
        return replace(fit_base_rate(sample), name="logistic")
    pipeline.fit(sample.X, sample.y, regression__sample_weight=sample.weights / sample.weights.mean())
    regression = pipeline["regression"]
    terms = _read_terms(pipeline["design"])
    coefficient = np.asarray(regression.coef_[0], dtype=np.float64)
    mean = np.average(terms.design(sample.X), axis=0, weights=sample.weights)
    base = float(regression.intercept_[0] + mean @ coefficient)
    return LogisticScorer("logistic", sample.X.shape[1], terms, coefficient, mean, base)


def logistic_pipeline(sample: Sample, encoding: Encoding) -> Any:
    """Return the unfitted scikit-learn pipeline of the logistic rung.

    Numbers get their median where missing, a signed ``log(1 + |x|)`` (counts, recencies, decays and money all have long
    tails) and unit variance, beside an indicator of being missing; categories become one indicator per value, missing
    being a value.

    Parameters
    ----------
    sample : Sample
        Tells which columns have missing values.
    encoding : Encoding
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    missing = np.isnan(sample.X)
    is_category = np.isin(np.arange(sample.X.shape[1]), encoding.category_columns)
    # A column with one value says nothing, and the cost of a Newton step grows with the square of the columns.
    varies = np.max(sample.X, axis=0, where=~missing, initial=-np.inf) > np.min(
        sample.X, axis=0, where=~missing, initial=np.inf
    )
    partly_missing = missing.any(axis=0) & ~missing.all(axis=0)
    numeric = np.flatnonzero(varies & ~is_category).tolist()
    with_missing = np.flatnonzero(partly_missing & ~is_category).tolist()
    categories = np.flatnonzero((varies | partly_missing) & is_category).tolist()
    numbers = [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("log", FunctionTransformer(_signed_log)),
        ("scale", StandardScaler()),
    ]
    blocks = [
        ("numbers", Pipeline(numbers), numeric),
        ("missing", MissingIndicator(features="all"), with_missing),
        ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
    ]
    # lbfgs can stop almost at its start on weighted, rare outcomes; Newton does not.
    regression = LogisticRegression(C=INVERSE_PENALTY, solver="newton-cholesky", tol=1e-6, max_iter=200)
    return Pipeline(
        [("design", ColumnTransformer([block for block in blocks if block[2]])), ("regression", regression)]
    )


def _read_terms(design: Any) -> Terms:
    terms: list[tuple[int, str, float, float, float]] = []
    for name, block, columns in design.transformers_:
        if name == "numbers":
            scale = block["scale"]
            learned = zip(columns, block["impute"].statistics_, scale.mean_, scale.scale_, strict=True)
            terms += [(column, "log", median, centre, unit) for column, median, centre, unit in learned]
        elif name == "missing":
            terms += [(column, "missing", 0.0, 0.0, 1.0) for column in columns]
        elif name == "categories":
            for column, levels in zip(columns, block.categories_, strict=True):
                terms += [(column, "level", level, 0.0, 1.0) for level in levels]
    column, transform, value, centre, scale = zip(*terms, strict=True)
    return Terms(
        np.array(column, dtype=np.int64),
        transform,
        *(np.array(part, dtype=np.float64) for part in (value, centre, scale)),
    )


def _signed_log(x: Floats) -> Floats:
    logged: Floats = np.sign(x) * np.log1p(np.abs(x))
    return logged


def _rate(sample: Sample) -> float:
    return float(sample.weights @ sample.y / sample.weights.sum())


def _logit(rate: Any) -> Any:
    return np.log(rate) - np.log1p(-np.asarray(rate))
