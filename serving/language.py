"""Which language a client prefers, of those the reasons are written in."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "zh"]


def preferred(accept_language: str) -> Language:
    """Return the language to answer in: the best of the header ``Accept-Language`` that we speak, else English.

    Examples
    --------
    >>> preferred("fr, zh-CN;q=0.8, en;q=0.5"), preferred("zh;q=0, *"), preferred("")
    ('zh', 'en', 'en')
    """
    best: tuple[float, Language] = (0.0, "en")
    for part in accept_language[:200].split(","):
        tag, _, weight = part.partition(";")
        quality = _quality(weight)
        language = tag.strip().lower().partition("-")[0]
        if language == "zh" and quality > best[0]:
            best = (quality, "zh")
        elif language == "en" and quality > best[0]:
            best = (quality, "en")
    return best[1]


def _quality(weight: str) -> float:
    name, _, value = weight.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
