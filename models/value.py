"""What a win would be worth: the expected amount, with a 90 % interval.

The logarithm of the amount is a ridge regression on who the account is and the amounts already known of it. The penalty
is chosen out of fold from a path that ends in the plain mean, so that few wins give the mean. The expected amount is
``exp(mu) * E exp(r)`` over the out-of-fold residuals r (*smearing*), and nine of ten amounts lie in ``exp(mu -+ t s)``
with s the spread of these residuals and t the 95th percentile of Student's distribution with one degree of freedom
fewer than there are winning accounts. Residuals beyond that are cut to it before smearing: one amount typed with three
zeros too many must not move all the others.

References
----------
N. Duan, Smearing estimate: a nonparametric retransformation method, Journal of the American Statistical Association 78,
1983.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from features.errors import BundleError
from models.arrays import Floats, Integers
from models.encoding import Encoding
from models.fitting import Sample
from models.linear import fit_terms
from models.propensity import Terms
from models.uncertainty import student

if TYPE_CHECKING:
    from features.feature import Feature

FEWEST = 3
"""Winning accounts with a known amount below which nothing is said."""

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e9)
"""Path of ridge penalties on standardised terms, in winning accounts; the last leaves the mean alone."""

_FOLDS = 5
_MONEY = frozenset({"currency", "reporting currency"})


@dataclass(frozen=True)
class Expected:
    """The amount to be expected of an account, given that it wins.

    Parameters
    ----------
    amount : float
        Expected amount, in units of `currency`.
    low, high : float
        Nine of ten such amounts lie between them.
    expected_revenue : float
        Probability of the win times `amount`.
    currency : str
        ISO 4217 code.
    """

    amount: float
    low: float
    high: float
    expected_revenue: float
    currency: str


@dataclass(frozen=True)
class ValueModel:
    """Log-normal amounts around a linear model of their logarithm.

    Parameters
    ----------
    n_features : int
        Columns of the rows it reads.
    terms : Terms
    money : array of int
        Features that are amounts, where 0 means that none is known.
    coefficient : array of shape (n_terms,)
    intercept : float
    smear : float
        Log of the mean factor between an amount and ``exp(mu)``.
    half_width : float
        Of the 90 % interval, in log amount.
    currency : str
        ISO 4217 code of the amounts.
    """

    n_features: int
    terms: Terms
    money: Integers
    coefficient: Floats
    intercept: float
    smear: float
    half_width: float
    currency: str

    def expected(self, X: Floats, probability: ArrayLike) -> list[Expected]:
        """Return the expected amount of every row.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Encoded features.
        probability : array of shape (n,)
            Calibrated probability of the win.
        """
        middle = self.intercept + self.terms.design(known_amounts(X, self.money)) @ self.coefficient
        ends = (np.exp(middle + shift) for shift in (self.smear, -self.half_width, self.half_width))
        columns = zip(*(end.tolist() for end in ends), np.asarray(probability).tolist(), strict=True)
        return [Expected(amount, low, high, p * amount, self.currency) for amount, low, high, p in columns]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "n_features": self.n_features,
            "terms": self.terms.to_json(),
            "money": self.money.tolist(),
            "coefficient": self.coefficient.tolist(),
            "intercept": self.intercept,
            "smear": self.smear,
            "half_width": self.half_width,
            "currency": self.currency,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ValueModel:
        """Return the model that `to_json` described.

        Raises
        ------
        BundleError
            When its parts do not fit one another.
        """
        n_features = int(document["n_features"])
        terms = Terms.from_json(document["terms"], n_features)
        money = np.array(document["money"], dtype=np.int64)
        coefficient = np.array(document["coefficient"], dtype=np.float64)
        if coefficient.shape != terms.column.shape or not set(money.tolist()) <= set(range(n_features)):
            raise BundleError("The parts of the value model do not fit one another.")
        return cls(
            n_features,
            terms,
            money,
            coefficient,
            float(document["intercept"]),
            float(document["smear"]),
            float(document["half_width"]),
            str(document["currency"]),
        )


def fit_value(
    X: Floats,
    amount: ArrayLike,
    groups: ArrayLike,
    encoding: Encoding,
    features: Sequence[Feature],
    *,
    currency: str,
    seed: int,
) -> ValueModel | None:
    """Fit the amount of a win.

    Parameters
    ----------
    X : array of shape (n, n_features)
        Encoded features.
    amount : array of shape (n,)
        What was won, in units of `currency`; NaN where nothing was, or nobody knows. Only amounts above 0 count.
    groups : array of shape (n,)
        Account of each row; the snapshots of an account together count as one.
    encoding : Encoding
    features : sequence of Feature
        Declarations in the order of the columns.
    currency : str
        ISO 4217 code.
    seed : int
        Of the folds.

    Returns
    -------
    ValueModel or None
        None when fewer than `FEWEST` accounts have an amount.
    """
    amounts = np.asarray(amount, dtype=np.float64)
    rows = np.flatnonzero(np.nan_to_num(amounts) > 0)
    of_row = np.unique(np.asarray(groups)[rows], return_inverse=True)[1]
    accounts = int(of_row.max(initial=-1)) + 1
    if accounts < FEWEST:
        return None
    money = np.array([column for column, one in enumerate(features) if one.unit in _MONEY], dtype=np.int64)
    known, y = known_amounts(X[rows], money), np.log(amounts[rows])
    w = 1.0 / np.bincount(of_row)[of_row]
    columns = [column for column, one in enumerate(features) if one.side == "fit" or column in money]
    terms = fit_terms(Sample(known, y, w, of_row), encoding, columns)
    Z = terms.design(known)
    fold = np.random.default_rng(seed).permutation(accounts)[of_row] % min(_FOLDS, accounts)
    residuals = np.stack([y - _out_of_fold(Z, y, w, fold, penalty) for penalty in PENALTIES])
    best = int(np.argmin(residuals**2 @ w))
    coefficient, intercept = _ridge(Z, y, w, PENALTIES[best])
    half = student(accounts - 1) * float(np.sqrt(np.average(residuals[best] ** 2, weights=w)))
    smear = float(np.log(np.average(np.exp(np.clip(residuals[best], -half, half)), weights=w)))
    return ValueModel(X.shape[1], terms, money, coefficient, intercept, smear, half, currency)


def known_amounts(X: Floats, money: Integers) -> Floats:
    """Return the rows with an amount of 0 made missing: a sum over no deal is no small amount."""
    known = X.copy()
    known[:, money] = np.where(known[:, money] == 0, np.nan, known[:, money])
    return known


def _out_of_fold(Z: Floats, y: Floats, w: Floats, fold: Any, penalty: float) -> Floats:
    said = np.empty_like(y)
    for one in np.unique(fold):
        coefficient, intercept = _ridge(Z[fold != one], y[fold != one], w[fold != one], penalty)
        said[fold == one] = intercept + Z[fold == one] @ coefficient
    return said


def _ridge(Z: Floats, y: Floats, w: Floats, penalty: float) -> tuple[Floats, float]:
    centre, level = np.average(Z, axis=0, weights=w), float(np.average(y, weights=w))
    D = Z - centre
    coefficient = np.asarray(
        np.linalg.solve((D.T * w) @ D + penalty * np.eye(Z.shape[1]), (D.T * w) @ (y - level)), dtype=np.float64
    )
    return coefficient, level - float(centre @ coefficient)
