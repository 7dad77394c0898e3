"""What people call the stages, in both languages."""

from __future__ import annotations

from types import MappingProxyType

_NAMES = MappingProxyType(
    {
        "lead": {"en": "Lead", "zh": "线索"},
        "mql": {"en": "MQL", "zh": "MQL"},
        "bql": {"en": "BQL", "zh": "BQL"},
        "sql": {"en": "SQL", "zh": "SQL"},
        "deal": {"en": "Deal", "zh": "商机"},
        "won": {"en": "Won", "zh": "赢单"},
        "lost": {"en": "Lost", "zh": "丢单"},
        "churned": {"en": "Churned", "zh": "流失"},
        "disqualified": {"en": "Disqualified", "zh": "不合格"},
    }
)


def stage_name(stage: str, language: str) -> str:
    """Return what a stage is called; one of the user's own is called by its code.

    Parameters
    ----------
    stage : str
    language : {"en", "zh"}

    Examples
    --------
    >>> stage_name("deal", "zh"), stage_name("mql", "en"), stage_name("in_trial", "en")
    ('商机', 'MQL', 'in trial')
    """
    return _NAMES[stage][language] if stage in _NAMES else stage.replace("_", " ")
