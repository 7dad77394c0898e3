"""The answer to a score request: its shape for the documentation, and the one place where it is put together."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from features.feature import Value
from models.explain import Contribution as Part
from models.explain import Explained
from models.explain import Reason as Ground
from serving.language import Language
from serving.service import Scored
from serving.wire import Wire, rfc3339

LISTED = 10
"""Contributions listed unless all are asked for."""


class SideScore(Wire):
    """The score of one side of the account."""

    score: int | None = Field(description="1 to 99: percentile of the side's summed log-odds at training")


class Contribution(Wire):
    """What one feature adds to the log-odds of the answer."""

    feature: str = Field(description="Name in the catalogue; `other` is the sum of those not listed")
    concept: str | None = Field(description="The behaviour it measures")
    family: str | None = Field(description="Family of features")
    value: float | str | None = Field(description="Value of the feature; null when missing")
    logit: float = Field(description="In log-odds; baseLogit plus all of them is logit")
    percentage_points: float = Field(description="Of probability; 100 baseProbability plus all is 100 probability")


class Reason(Wire):
    """What a concept does to the probability, in words."""

    code: str = Field(description="The concept")
    text: str = Field(description="In the language asked for")
    percentage_points: float


class Reasons(Wire):
    """The greatest reasons each way, three at most."""

    up: list[Reason]
    down: list[Reason]


class ModelUsed(Wire):
    """The model that gave the answer."""

    kind: str
    goal: str
    version: str = Field(description="Version and calibration revision")
    trained_at: str
    in_sample: bool = Field(description="Whether the model was trained on data later than asOf")


class ScoreAnswer(Wire):
    """How likely an account is to reach a goal, and why."""

    account_id: str
    goal: str
    as_of: str
    applicable: bool = Field(description="Whether the account is in a stage the goal asks from")
    reason: str | None = Field(description="Why the goal does not apply; null when it does")
    stage: str | None = Field(description="Stage of the account's furthest cycle of the goal's kind")
    probability: float | None
    calibrated: bool
    interval: list[float] | None = Field(description="90 % interval; null until there is a method")
    score: int | None = Field(description="1 to 99: percentile among the accounts the goal applied to, at training")
    percentile: float | None
    grade: str | None
    fit: SideScore
    engagement: SideScore
    base_rate: float | None = Field(description="Share of training accounts that reached the goal")
    base_probability: float | None = Field(description="Probability of the reference account")
    base_logit: float | None
    logit: float | None
    contributions: list[Contribution]
    reasons: Reasons
    model: ModelUsed | None
    events_folded: int = Field(description="Touches of the last 365 days that the answer rests on")
    newest_event: str | None
    ledger_seq: int = Field(description="Position of the ledger; (asOf, ledgerSeq, model version) replays the answer")
    degraded: bool
    degraded_reasons: list[str]
    request_id: str


def render(scored: Scored, language: Language, request_id: str, *, every: bool = False) -> dict[str, object]:
    """Return the answer as plain JSON values, every float as computed.

    Parameters
    ----------
    scored : Scored
    language : {"en", "zh"}
    request_id : str
    every : bool, default=False
        Whether every contribution is listed; else the largest, and one row for the rest.
    """
    asked, explained, champion = scored.eligibility, scored.explained, scored.champion
    trained_at = None if champion is None else champion.bundle.trained_at
    return {
        "accountId": scored.account_id,
        "goal": scored.goal.name,
        "asOf": rfc3339(scored.as_of),
        "applicable": asked.applicable,
        "reason": None if asked.why_not is None else asked.why_not[language],
        "stage": asked.stage,
        **_figures(explained),
        "contributions": [] if explained is None else _contributions(explained, every),
        "reasons": {
            "up": _reasons(() if explained is None else explained.up, language),
            "down": _reasons(() if explained is None else explained.down, language),
        },
        "model": None
        if champion is None or trained_at is None
        else {
            "kind": champion.bundle.kind,
            "goal": champion.bundle.goal,
            "version": champion.version,
            "trainedAt": rfc3339(trained_at),
            "inSample": scored.as_of < trained_at,
        },
        "eventsFolded": scored.events_folded,
        "newestEvent": rfc3339(scored.newest_event),
        "ledgerSeq": scored.ledger_seq,
        "degraded": bool(scored.degraded),
        "degradedReasons": list(scored.degraded),
        "requestId": request_id,
    }


def _figures(explained: Explained | None) -> dict[str, object]:
    if explained is None:
        empty = ("probability", "interval", "score", "percentile", "grade", "baseRate", "baseProbability", "baseLogit")
        nothing: dict[str, object] = dict.fromkeys((*empty, "logit"))
        return nothing | {"calibrated": False, "fit": {"score": None}, "engagement": {"score": None}}
    return {
        "probability": explained.probability,
        "calibrated": True,
        "interval": None,
        "score": explained.score,
        "percentile": explained.percentile,
        "grade": explained.grade,
        "fit": {"score": explained.sides["fit"]},
        "engagement": {"score": explained.sides["engagement"]},
        "baseRate": explained.base_rate,
        "baseProbability": explained.base_probability,
        "baseLogit": explained.base_logit,
        "logit": explained.logit,
    }


def _contributions(explained: Explained, every: bool) -> list[dict[str, object]]:
    if every:
        return [_contribution(part) for part in explained.contributions]
    listed, rest = explained.largest(LISTED)
    other: dict[str, object] = {
        "feature": "other",
        "concept": None,
        "family": None,
        "value": None,
        "logit": rest.logit,
        "percentagePoints": rest.percentage_points,
    }
    return [*(_contribution(part) for part in listed), *([other] if rest.features else [])]


def _contribution(part: Part) -> dict[str, object]:
    return {
        "feature": part.feature,
        "concept": part.concept,
        "family": part.family,
        "value": _shown(part.value),
        "logit": part.logit,
        "percentagePoints": part.percentage_points,
    }


def _reasons(grounds: Sequence[Ground], language: Language) -> list[dict[str, object]]:
    return [
        {"code": ground.code, "text": ground.texts[language], "percentagePoints": ground.percentage_points}
        for ground in grounds
    ]


def _shown(value: Value) -> Value | int:
    # 2 demo requests, not 2.0.
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
