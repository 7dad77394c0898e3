"""One declared feature, and the words people read about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from features.algebra import RELATIONS, Count, Distinct, Expression, Latest, Ratio
from features.stage_names import stage_name

Dtype = Literal["count", "number", "category"]
Value = float | str | None

FAMILIES = MappingProxyType(
    {
        "recency": "engagement",
        "frequency": "engagement",
        "decayed engagement": "engagement",
        "trend": "engagement",
        "channel mix": "engagement",
        "content depth": "engagement",
        "product interest": "engagement",
        "buying group": "engagement",
        "sales effort": "sales",
        "stage": "sales",
        "history": "relationship",
        "service": "relationship",
        "fit": "fit",
    }
)
"""Families of features and the side each belongs to; scores are shown for the sides fit and engagement."""


@dataclass(frozen=True)
class Feature:
    """A feature: its names, its meaning, and the expression that forms it.

    Parameters
    ----------
    name : str
        Column name, lower snake case.
    concept : str
        Code of the behaviour it measures; all windows of one behaviour share it, and reasons are formed per concept.
    family : str
        One of `FAMILIES`, or a user's own word, which then belongs to the side engagement.
    unit : str
        "touches", "days", "hours", "people", "share", a currency, ...
    meaning : mapping of str to str
        One sentence in English ("en") and Chinese ("zh").
    saying : mapping of str to str
        How a value is told to a salesperson, with ``{n}`` for it, per language.
    absent : mapping of str to str
        What is said when the value is missing, or 0 for a count, per language.
    expression : Expression
    """

    name: str
    concept: str
    family: str
    unit: str
    meaning: Mapping[str, str]
    saying: Mapping[str, str]
    absent: Mapping[str, str]
    expression: Expression

    @property
    def side(self) -> str:
        """Side of the account the feature describes: fit, engagement, sales or relationship."""
        return FAMILIES.get(self.family, "engagement")

    @property
    def dtype(self) -> Dtype:
        """``count`` for whole numbers, ``category`` for text, else ``number``."""
        if isinstance(self.expression, Count | Distinct):
            return "count"
        if isinstance(self.expression, Latest) and self.expression.column in RELATIONS[self.expression.of]["text"]:
            return "category"
        return "number"

    def phrase(self, value: Value, language: str) -> str:
        """Say the value in words.

        Parameters
        ----------
        value : float, str or None
            As an evaluator gives it; NaN and None are missing.
        language : {"en", "zh"}

        Returns
        -------
        str
        """
        if value is None or (isinstance(value, float) and math.isnan(value)) or (value == 0 and self._is_amount):
            return self.absent[language]
        return self.saying[language].format(n=self._told(value, language))

    def _told(self, value: float | str, language: str) -> str:
        if isinstance(value, str):
            return stage_name(value, language) if self.unit == "stage" else value
        return _number(float(value))

    @property
    def _is_amount(self) -> bool:
        return not isinstance(self.expression, Latest | Ratio) and self.unit not in {"days", "hours", "share"}


def _number(value: float) -> str:
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    if 0 < value < 0.01:
        return "<0.01"
    return f"{value:,.1f}" if abs(value) >= 1 else f"{value:.2g}"
