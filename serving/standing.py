"""Where an account stands in its cycles at a moment, and whether a goal's question can be put to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.agreement import Agreement, Goal
from features.cycles import Standing
from features.relations import Relations, Tables, account_codes
from features.relations.stages import stage_timelines
from features.stage_names import stage_name

Timelines = Mapping[str, Sequence[Standing]]
"""Where the cycles of one account stand over time, by kind of business."""

_KINDS_ZH = {"new": "新业务", "expansion": "增购", "renewal": "续约"}


@dataclass(frozen=True)
class Eligibility:
    """Whether a goal applies, the stage of the furthest cycle of its kind, and why not, in words by language."""

    applicable: bool
    stage: str | None
    why_not: Mapping[str, str] | None = None


def timelines(tables: Tables, relations: Relations, agreement: Agreement) -> dict[str, Timelines]:
    """Return where the cycles of each account stand over time, as labels see it; accounts without one are left out.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        As `Ledger.tables` or `Ledger.account_tables` gives them.
    relations : Relations
        Built from these tables.
    agreement : Agreement
    """
    codes = account_codes(tables, relations.account_ids)
    found: dict[str, dict[str, Sequence[Standing]]] = {}
    for account, kind, timeline in stage_timelines(
        tables["stage_changes"], codes["stage_changes"], tables["deals"], codes["deals"],
        relations.tables["touches"], relations.account_ids, agreement,
    ):  # fmt: skip
        found.setdefault(relations.account_ids[account], {})[kind] = timeline
    return dict(found)


def standings_at(of_account: Timelines, as_of: int) -> dict[str, Standing]:
    """Return how the cycles of each kind stand as of a moment; kinds without a cycle are left out."""
    return {
        kind: standing
        for kind, timeline in of_account.items()
        for standing in timeline
        if standing.valid_from <= as_of < standing.valid_until
    }


def eligibility(standing: Standing | None, goal: Goal) -> Eligibility:
    """Return whether some cycle is open and in one of the stages the goal asks from.

    Parameters
    ----------
    standing : Standing or None
        Of the cycles of the goal's kind; None when there is no such cycle.
    goal : Goal
    """
    kind_zh = _KINDS_ZH[goal.kind]
    if standing is None:
        return Eligibility(
            False,
            None,
            {"en": f"The account has no {goal.kind} cycle at this moment.", "zh": f"该客户此时没有{kind_zh}周期。"},
        )
    furthest = standing.furthest
    if any(cycle.is_open and cycle.stage in goal.from_ for cycle in standing.cycles):
        return Eligibility(True, furthest.stage)
    if not furthest.is_open:
        return Eligibility(
            False,
            furthest.stage,
            {
                "en": f"The account's {goal.kind} cycle has ended: its stage is {stage_name(furthest.stage, 'en')}.",
                "zh": f"该客户的{kind_zh}周期已结束：阶段为“{stage_name(furthest.stage, 'zh')}”。",
            },
        )
    asked_en = ", ".join(stage_name(stage, "en") for stage in goal.from_)
    asked_zh = "、".join(stage_name(stage, "zh") for stage in goal.from_)
    return Eligibility(
        False,
        furthest.stage,
        {
            "en": f"The goal is about accounts in {asked_en}; this one is in {stage_name(furthest.stage, 'en')}.",
            "zh": f"该目标针对处于 {asked_zh} 的客户；此客户处于“{stage_name(furthest.stage, 'zh')}”。",
        },
    )
