"""The answer to a score request: its shape for the documentation, and the one place where it is put together."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from features.feature import Value
from models.explain import Contribution as Part
from models.explain import Explained
from models.explain import Reason as Ground
from models.points import PointsReason
from models.value import Expected
from serving.language import Language
from serving.scoring import Scored
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
    percentage_points: float | None = Field(description="Null for a score by points: its text says how many")


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
    outcomes: int = Field(description="Accounts that reached the goal in training: how much speaks")


class ExpectedValue(Wire):
    """What a win would be worth."""

    amount: float = Field(description="Expected amount of a win, in units of the currency")
    low: float = Field(description="Lower end of its 90 % interval")
    high: float = Field(description="Upper end of its 90 % interval")
    currency: str
    expected_revenue: float = Field(description="Probability times amount")


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
    interval: list[float] | None = Field(description="90 % interval of the probability")
    score: int | None = Field(
        description="1 to 99: percentile among the accounts the goal applied to, at training; or by points"
    )
    percentile: float | None
    grade: str | None
    fit: SideScore
    engagement: SideScore
    base_rate: float | None = Field(description="Share of training accounts that reached the goal")
    base_probability: float | None = Field(description="Probability of the reference account")
    base_logit: float | None
    logit: float | None
    value: ExpectedValue | None = Field(description="Null where no amount of a win is known")
    points: float | None = Field(description="Points of the agreement, when they answer for want of a model")
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
    asked, explained, points, champion = scored.eligibility, scored.explained, scored.points, scored.champion
    trained_at = None if champion is None else champion.bundle.trained_at
    return {
        "accountId": scored.account_id,
        "goal": scored.goal.name,
        "asOf": rfc3339(scored.as_of),
        "applicable": asked.applicable,
        "reason": None if asked.why_not is None else asked.why_not[language],
        "stage": asked.stage,
        **_figures(explained),
        "score": scored.score,
        "grade": scored.grade,
        "points": None if scored.points is None else scored.points.points,
        "contributions": [] if explained is None else _contributions(explained, every),
        "reasons": {
            "up": _reasons(explained.up, language) if explained else _earned(points.up, language) if points else [],
            "down": _reasons(explained.down, language)
            if explained
            else _earned(points.down, language)
            if points
            else [],
        },
        "model": None
        if champion is None or trained_at is None
        else {
            "kind": champion.bundle.kind,
            "goal": champion.bundle.goal,
            "version": champion.version,
            "trainedAt": rfc3339(trained_at),
            "inSample": scored.as_of < trained_at,
            "outcomes": champion.bundle.outcomes,
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
        empty = ("probability", "interval", "percentile", "baseRate", "baseProbability", "baseLogit", "logit", "value")
        nothing: dict[str, object] = dict.fromkeys(empty)
        return nothing | {"calibrated": False, "fit": {"score": None}, "engagement": {"score": None}}
    return {
        "probability": explained.probability,
        "calibrated": True,
        "interval": None if explained.interval is None else list(explained.interval),
        "percentile": explained.percentile,
        "fit": {"score": explained.sides["fit"]},
        "engagement": {"score": explained.sides["engagement"]},
        "baseRate": explained.base_rate,
        "baseProbability": explained.base_probability,
        "baseLogit": explained.base_logit,
        "logit": explained.logit,
        "value": None if explained.value is None else _value(explained.value),
    }


def _value(value: Expected) -> dict[str, object]:
    return {
        "amount": value.amount,
        "low": value.low,
        "high": value.high,
        "currency": value.currency,
        "expectedRevenue": value.expected_revenue,
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


def _earned(grounds: Sequence[PointsReason], language: Language) -> list[dict[str, object]]:
    return [{"code": ground.code, "text": ground.texts[language], "percentagePoints": None} for ground in grounds]


def _shown(value: Value) -> Value | int:
    # 2 demo requests, not 2.0.
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
