"""Linear models in log-odds, from a constant to penalised logistic regression, as plain coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Integers
from models.encoding import Encoding
from models.fitting import Sample
from models.propensity import LIMIT, LogisticScorer, Terms

INVERSE_PENALTY = 0.05
"""`C` of the logistic regression, on standardised terms."""

FEWEST_KNOWN = 10
"""Accounts in which a feature must be known to have a term: a scale learnt from fewer is chance."""

NO_TERMS = Terms(np.zeros(0, dtype=np.int64), (), np.zeros(0), np.zeros(0), np.zeros(0))
"""The design of a constant."""

PRIOR_ROWS = 20.0
"""Rows at the base rate that are added to every stage of the stage table."""


def fit_base_rate(sample: Sample) -> LogisticScorer:
    """Return the scorer that gives every row the log-odds of the base rate."""
    nothing = np.zeros(0)
    return LogisticScorer(
        name="base_rate",
        n_features=sample.X.shape[1],
        terms=NO_TERMS,
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
    tails) and unit variance, cut at `LIMIT` standard deviations, beside an indicator of being missing; categories
    become one indicator per value, missing being a value. A feature known in fewer than `FEWEST_KNOWN` accounts has no
    term.

    Parameters
    ----------
    sample : Sample
        Tells which columns have missing values, and in how many accounts each is known.
    encoding : Encoding
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    missing = np.isnan(sample.X)
    is_known = _accounts_known(~missing, sample.groups) >= FEWEST_KNOWN
    is_category = np.isin(np.arange(sample.X.shape[1]), encoding.category_columns)
    # A column with one value says nothing, and the cost of a Newton step grows with the square of the columns.
    varies = np.max(sample.X, axis=0, where=~missing, initial=-np.inf) > np.min(
        sample.X, axis=0, where=~missing, initial=np.inf
    )
    partly_missing = missing.any(axis=0) & ~missing.all(axis=0)
    numeric = np.flatnonzero(is_known & varies & ~is_category).tolist()
    with_missing = np.flatnonzero(is_known & partly_missing & ~is_category).tolist()
    categories = np.flatnonzero(is_known & (varies | partly_missing) & is_category).tolist()
    numbers = [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("log", FunctionTransformer(_signed_log)),
        ("scale", StandardScaler()),
        ("cut", FunctionTransformer(_cut)),
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


def fit_terms(sample: Sample, encoding: Encoding, columns: Sequence[int] | None = None) -> Terms:
    """Return the terms of the logistic rung's design, learnt from a sample; the given columns alone if any are.

    There are none when no column varies.
    """
    kept = sample.X if columns is None else np.where(np.isin(np.arange(sample.X.shape[1]), columns), sample.X, np.nan)
    design = logistic_pipeline(replace(sample, X=kept), encoding)["design"]
    return _read_terms(design.fit(kept)) if design.transformers else NO_TERMS


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
    numbers = [np.array(part, dtype=np.float64) for part in (value, centre, scale)]
    return Terms(np.array(column, dtype=np.int64), transform, numbers[0], numbers[1], numbers[2])


def _signed_log(x: Floats) -> Floats:
    logged: Floats = np.sign(x) * np.log1p(np.abs(x))
    return logged


def _cut(x: Floats) -> Floats:
    return np.clip(x, -LIMIT, LIMIT)


def _accounts_known(known: NDArray[np.bool_], groups: Integers) -> Integers:
    """Return for each column in how many accounts it has a value, of shape (n_features,)."""
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(np.diff(groups[order], prepend=-1))
    counts: Integers = np.logical_or.reduceat(known[order], first, axis=0).sum(axis=0)
    return counts


def _rate(sample: Sample) -> float:
    return float(sample.weights @ sample.y / sample.weights.sum())


def _logit(rate: Any) -> Any:
    return np.log(rate) - np.log1p(-np.asarray(rate))
