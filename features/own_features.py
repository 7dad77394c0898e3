"""From a user's ``[features.NAME]`` to a declared feature, in the algebra of the built-in ones."""

from __future__ import annotations

from features.algebra import (
    EVERYTHING,
    LOOKBACK_DAYS,
    RELATIONS,
    Atom,
    Cadence,
    Count,
    Decayed,
    Distinct,
    Expression,
    Gap,
    Latest,
    Mean,
    Ratio,
    Recency,
    RelationName,
    Sum,
    TopShare,
    Waiting,
    Where,
    check,
    where,
)
from features.errors import AgreementError, nearest
from features.feature import Feature
from features.toml_section import Section

_SPELLINGS: dict[str, RelationName] = {
    "touchpoints": "touches",
    "touches": "touches",
    "deals": "deals",
    "stage_changes": "stages",
    "stages": "stages",
    "attributes": "attributes",
    "members": "members",
}
"""What a user may call a relation: the tables of the contract, and the relations formed from them."""

_KINDS = ("count", "sum", "mean", "distinct", "top_share", "decayed", "recency", "latest", "gap", "waiting", "cadence")
_TOUCHES_ONLY = frozenset({"decayed", "gap", "waiting"})


def read_feature(name: str, section: Section) -> Feature:
    """Read one feature of a user's own.

    Parameters
    ----------
    name : str
    section : Section
        The table ``[features.name]``; it is closed.

    Raises
    ------
    AgreementError
        When it is no expression of the algebra, or reads a column that its relation does not have.
    """
    expression: Expression
    if "numerator" in section or "denominator" in section:
        over, under = section.section("numerator"), section.section("denominator")
        expression = Ratio(_atom(over), _atom(under), section.number("scale", 1.0, above=0))
        over.close()
        under.close()
    else:
        expression = _atom(section)
    family = section.text("family")
    concept = section.text("concept", name)
    meaning = _meaning(section.section("meaning"))
    section.close()
    check(expression, name=name)
    # Braces of the user's text are not places for the value.
    escaped = {language: text.replace("{", "{{").replace("}", "}}") for language, text in meaning.items()}
    return Feature(
        name=name,
        concept=concept,
        family=family,
        unit=_unit(expression),
        meaning=meaning,
        saying={"en": f"{escaped['en']}: {{n}}", "zh": f"{escaped['zh']}：{{n}}"},
        absent={"en": f"{meaning['en']}: none", "zh": f"{meaning['zh']}：无"},
        expression=expression,
    )


def _atom(section: Section) -> Atom:
    kinds = [kind for kind in _KINDS if kind in section]
    if len(kinds) != 1:
        found = " and ".join(kinds) if kinds else "none of them"
        raise AgreementError(f"`{section.path}` must have exactly one of {', '.join(_KINDS)}. Got {found} instead.")
    kind = kinds[0]
    of = _SPELLINGS[section.text(kind, choices=tuple(_SPELLINGS))]
    if kind in _TOUCHES_ONLY and of != "touches":
        raise section.wrong(kind, "can only read touchpoints", of)
    condition = _where(section, of)
    if kind == "decayed":
        return Decayed(section.number("half_life_days", above=0), condition)
    if kind == "latest":
        return Latest(of, section.text("column"), condition)
    if kind == "cadence":
        return Cadence(of, condition, section.text("at", "occurred_at"))
    days = section.whole("window_days") if "window_days" in section else None
    if kind == "count":
        return Count(of, condition, days)
    if kind == "recency":
        return Recency(of, condition, section.text("at", "occurred_at"), days)
    if kind in {"gap", "waiting"}:
        return (Gap if kind == "gap" else Waiting)(condition, LOOKBACK_DAYS if days is None else days)
    column = section.text("column")
    if kind == "sum":
        return Sum(of, column, condition, days)
    if kind == "mean":
        return Mean(of, column, condition, days)
    return (Distinct if kind == "distinct" else TopShare)(of, column, condition, days)


def _where(section: Section, of: RelationName) -> Where:
    if "where" not in section:
        return EVERYTHING
    conditions = section.section("where")
    known = {column: conditions.texts(column) for column in RELATIONS[of]["text"] if column in conditions}
    for column in conditions.unread():
        allowed = RELATIONS[of]["text"]
        raise AgreementError(
            f"`{conditions.name(column)}`: {of} has no text column of that name.{nearest(column, allowed)}"
            f" Allowed: {', '.join(allowed)}."
        )
    return where(**known)


def _meaning(section: Section) -> dict[str, str]:
    meaning = {"en": section.text("en"), "zh": section.text("zh")}
    section.close()
    return meaning


def _unit(expression: Expression) -> str:
    if isinstance(expression, Ratio):
        return "ratio"
    if isinstance(expression, Recency | Cadence | Waiting):
        return "days"
    if isinstance(expression, Gap):
        return "hours"
    if isinstance(expression, TopShare):
        return "share"
    return expression.of if isinstance(expression, Count | Decayed) else expression.column
