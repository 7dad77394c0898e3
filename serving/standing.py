"""Where an account stands in its cycles at a moment, and whether a goal's question can be put to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from features.agreement import Goal


@dataclass(frozen=True)
class StageSpan:
    """A stretch of time over which the furthest cycle of a kind stands in one stage.

    Parameters
    ----------
    kind, stage, cycle_id : str
    since : int
        When the stage was entered, in microseconds.
    is_open : bool
        Whether that cycle is open.
    valid_from, valid_until : int
        The stretch, end excluded.
    """

    kind: str
    stage: str
    cycle_id: str
    since: int
    is_open: bool
    valid_from: int
    valid_until: int


@dataclass(frozen=True)
class Eligibility:
    """Whether a goal applies, the stage of the furthest cycle of its kind, and why not, in words by language."""

    applicable: bool
    stage: str | None
    why_not: Mapping[str, str] | None = None


def stage_spans(stages: pa.Table) -> tuple[StageSpan, ...]:
    """Return the rows of the relation ``stages`` of one account."""
    columns = ["kind", "stage", "cycle_id", "occurred_at", "is_open", "valid_from", "valid_until"]
    return tuple(
        StageSpan(kind, stage, cycle_id, since, bool(is_open), valid_from, valid_until)
        for kind, stage, cycle_id, since, is_open, valid_from, valid_until in zip(
            *(stages.column(name).to_pylist() for name in columns), strict=True
        )
    )


def stages_at(spans: tuple[StageSpan, ...], as_of: int) -> dict[str, StageSpan]:
    """Return where the furthest cycle of each kind stands as of a moment."""
    return {span.kind: span for span in spans if span.valid_from <= as_of < span.valid_until}


def eligibility(spans: tuple[StageSpan, ...], goal: Goal, as_of: int) -> Eligibility:
    """Return whether a cycle of the goal's kind is open and in one of the stages the goal asks from."""
    span = stages_at(spans, as_of).get(goal.kind)
    if span is None:
        return Eligibility(
            False,
            None,
            {"en": f"The account has no {goal.kind} cycle at this moment.", "zh": f"该账户此时没有 {goal.kind} 周期。"},
        )
    if not span.is_open:
        return Eligibility(
            False,
            span.stage,
            {
                "en": f"The account's {goal.kind} cycle has ended: its stage is {span.stage}.",
                "zh": f"该账户的 {goal.kind} 周期已结束：阶段为 {span.stage}。",
            },
        )
    if span.stage not in goal.from_:
        asked = ", ".join(goal.from_)
        return Eligibility(
            False,
            span.stage,
            {
                "en": f"The goal is about accounts in {asked}; this one is in {span.stage}.",
                "zh": f"该目标针对处于 {asked} 的账户；此账户处于 {span.stage}。",
            },
        )
    return Eligibility(True, span.stage)
