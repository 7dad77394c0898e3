"""Short ways to declare a feature in the two languages.

A *subject* is what is counted, as a plural noun phrase in English and a noun phrase in Chinese. The sentences of all
windows and half-lives of one subject are formed from it, so that they can not drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.algebra import EVERYTHING, Count, Decayed, Distinct, Expression, Recency, RelationName, Where
from features.feature import Feature


@dataclass(frozen=True)
class Subject:
    """Something touches are counted of.

    Parameters
    ----------
    code : str
        Stem of the feature names, lower snake case.
    en, zh : str
        What it is: "inbound touches", "客户主动接触".
    where : Where
        The touches it consists of.
    concept : str, default=""
        Concept of its features; `en` when empty.
    """

    code: str
    en: str
    zh: str
    where: Where = EVERYTHING
    concept: str = ""

    @property
    def group(self) -> str:
        """Concept under which its features are summed."""
        return self.concept or self.en


def feature(
    name: str,
    concept: str,
    family: str,
    unit: str,
    expression: Expression,
    *,
    meaning: tuple[str, str],
    saying: tuple[str, str],
    absent: tuple[str, str],
) -> Feature:
    """Declare one feature; texts are (English, Chinese)."""
    return Feature(
        name, concept, family, unit,
        {"en": meaning[0], "zh": meaning[1]},
        {"en": saying[0], "zh": saying[1]},
        {"en": absent[0], "zh": absent[1]},
        expression,
    )  # fmt: skip


def count(subject: Subject, days: int, family: str) -> Feature:
    """Declare how many touches of a subject fell into the last `days` days."""
    en, zh = subject.en, subject.zh
    return feature(
        f"{subject.code}_{days}d", subject.group, family, "touches", Count("touches", subject.where, days),
        meaning=(f"{en} in {days} days", f"{days} 天内{zh}次数"),
        saying=(f"{{n}} {en} in {days} days", f"{days} 天内 {{n}} 次{zh}"),
        absent=(f"no {en} in {days} days", f"{days} 天内没有{zh}"),
    )  # fmt: skip


def decayed(subject: Subject, half_life: float, family: str = "decayed engagement") -> Feature:
    """Declare the sum of a subject's touches, each counting half after every `half_life` days."""
    en, zh = subject.en, subject.zh
    return feature(
        f"{subject.code}_decay_{half_life}d", subject.group, family, "touches", Decayed(half_life, subject.where),
        meaning=(f"{en}, each counting half after {half_life} days", f"{zh}，每 {half_life} 天权重减半"),
        saying=(f"recent {en} add up to {{n}} (halved every {half_life} days)", f"近期{zh}折合 {{n}} 次（每 {half_life} 天减半）"),
        absent=(f"no {en} in a year", f"一年内没有{zh}"),
    )  # fmt: skip


def recency(subject: Subject, family: str = "recency") -> Feature:
    """Declare the days since the latest touch of a subject."""
    en, zh = subject.en, subject.zh
    return feature(
        f"{subject.code}_days_since", subject.group, family, "days", Recency("touches", subject.where),
        meaning=(f"days since the latest of the {en}", f"距最近一次{zh}的天数"),
        saying=(f"{en}: the latest {{n}} days ago", f"最近一次{zh}在 {{n}} 天前"),
        absent=(f"no {en} in a year", f"一年内没有{zh}"),
    )  # fmt: skip


def distinct(
    name: str,
    concept: str,
    family: str,
    of: RelationName,
    column: str,
    words: tuple[str, str],
    *,
    where: Where = EVERYTHING,
    days: int | None = None,
    unit: str = "people",
) -> Feature:
    """Declare how many different values of a column there are; `words` is (English plural, Chinese noun)."""
    en, zh = words
    span_en, span_zh = (f" in {days} days", f"{days} 天内") if days else ("", "")
    return feature(
        name, concept, family, unit, Distinct(of, column, where, days),
        meaning=(f"number of {en}{span_en}", f"{span_zh}{zh}的数量"),
        saying=(f"{{n}} {en}{span_en}", f"{span_zh}{zh}：{{n}}"),
        absent=(f"no {en}{span_en}", f"{span_zh}没有{zh}"),
    )  # fmt: skip
