"""Scores of every account that a goal applies to, as of one moment, by the offline evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from features.agreement import Agreement, Goal
from features.catalogue import Catalogue
from features.catalogue.assemble import points_features
from features.offline import evaluate_parts
from features.relations import Relations, Tables, build
from models.explain import Explained, Reason
from models.points import PointsReason, points_score
from serving.champion import Champion
from serving.scorebook import POINTS
from serving.scoring import grade_of, points_digest
from serving.standing import eligibility, standings_at, timelines

SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string()),
        pa.field("name", pa.string()),
        pa.field("goal", pa.string()),
        pa.field("as_of", pa.int64()),
        pa.field("stage", pa.string()),
        pa.field("probability", pa.float64()),
        pa.field("logit", pa.float64()),
        pa.field("interval_low", pa.float64()),
        pa.field("interval_high", pa.float64()),
        pa.field("score", pa.int64()),
        pa.field("percentile", pa.float64()),
        pa.field("grade", pa.string()),
        pa.field("fit", pa.int64()),
        pa.field("engagement", pa.int64()),
        pa.field("expected_amount", pa.float64()),
        pa.field("expected_revenue", pa.float64()),
        pa.field("currency", pa.string()),
        *(
            pa.field(f"top_{way}_{part}", pa.float64() if part == "points" else pa.string())
            for way in ("up", "down")
            for part in ("code", "en", "zh", "points")
        ),
        pa.field("model_version", pa.string()),
        pa.field("model_digest", pa.string()),
        pa.field("trained_at", pa.int64()),
        pa.field("in_sample", pa.bool_()),
        pa.field("ledger_seq", pa.int64()),
    ]
)
"""Columns of the table: those of an answer, and of its reasons the strongest each way. `top_up_points` and
`top_down_points` are percentage points of probability, or of a score by points its points. `in_sample` says that the
model was trained after the moment, and may have learnt from what came next."""

_AT_ONCE = 500
"""Accounts whose explanations are Python objects at the same time: each holds hundreds of contributions."""


def score_all(
    tables: Tables,
    agreement: Agreement,
    declared: Catalogue,
    champion: Champion | None,
    goal: Goal,
    as_of: int,
    *,
    ledger_seq: int,
    advance: Callable[[int], None] = lambda accounts: None,
) -> pa.Table:
    """Return the scores of all accounts that a goal applies to at a moment.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        As `Ledger.tables` gives them.
    agreement : Agreement
    declared : Catalogue
    champion : Champion or None
        The model of the goal; None for the points of the agreement.
    goal : Goal
    as_of : int
        Microseconds; past, present or future.
    ledger_seq : int
        Position of the ledger at which the tables were read.
    advance : callable
        Told after each part how many accounts it had.

    Returns
    -------
    pyarrow.Table
        Of `SCHEMA`, in the order of the ids: what `ScoreService.score` says of each account, to 1e-9.
    """
    relations = build(tables, agreement)
    stages = _stages(tables, relations, agreement, goal, as_of)
    accounts = sorted(stages)
    names = dict(zip(*(tables["accounts"][column].to_pylist() for column in ("account_id", "name")), strict=True))
    common = {"goal": goal.name, "as_of": as_of, "ledger_seq": ledger_seq, **_source(champion, agreement, as_of)}
    parts = []
    for batch, figures in _scored(relations, accounts, as_of, agreement, declared, champion):
        rows = [
            {"account_id": account_id, "name": names.get(account_id), "stage": stages[account_id], **common, **found}
            for account_id, found in zip(batch, figures, strict=True)
        ]
        parts.append(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
        advance(len(rows))
    return pa.Table.from_batches(parts, schema=SCHEMA)


def _source(champion: Champion | None, agreement: Agreement, as_of: int) -> dict[str, Any]:
    if champion is None:
        return {"model_version": POINTS, "model_digest": points_digest(agreement)}
    trained_at = champion.bundle.trained_at
    return {
        "model_version": champion.version,
        "model_digest": champion.bundle.digest,
        "trained_at": trained_at,
        "in_sample": as_of < trained_at,
    }


def _stages(
    tables: Tables, relations: Relations, agreement: Agreement, goal: Goal, as_of: int
) -> dict[str, str | None]:
    """Return the stage of each account that the goal applies to."""
    found = {}
    for account_id, of_account in timelines(tables, relations, agreement).items():
        asked = eligibility(standings_at(of_account, as_of).get(goal.kind), goal)
        if asked.applicable:
            found[account_id] = asked.stage
    return found


def _scored(
    relations: Relations,
    accounts: Sequence[str],
    as_of: int,
    agreement: Agreement,
    declared: Catalogue,
    champion: Champion | None,
) -> Iterator[tuple[Sequence[str], Iterator[dict[str, Any]]]]:
    """Yield accounts and their figures, some hundreds at a time."""
    if champion is not None:
        read = declared.subset(champion.bundle.encoding.names)
        for batch, features in _features(relations, accounts, as_of, read):
            yield batch, _by_model(features, champion)
    elif agreement.points.weights:
        read = declared.subset(list(points_features(agreement)))
        for batch, features in _features(relations, accounts, as_of, read):
            yield batch, _by_points(features, read, agreement)
    else:
        yield accounts, ({} for _ in accounts)


def _features(
    relations: Relations, accounts: Sequence[str], as_of: int, read: Catalogue
) -> Iterator[tuple[Sequence[str], pa.Table]]:
    """Yield accounts and their features, some hundreds at a time."""
    moments = np.full(len(accounts), as_of, dtype=np.int64)
    for rows, part in evaluate_parts(relations, accounts, moments, read):
        for begin in range(0, len(rows), _AT_ONCE):
            batch = [accounts[row] for row in rows[begin : begin + _AT_ONCE].tolist()]
            yield batch, part.slice(begin, _AT_ONCE)


def _by_model(features: pa.Table, champion: Champion) -> Iterator[dict[str, Any]]:
    X = champion.bundle.encoding.matrix(features)
    return map(_figures, champion.explainer.explain_batch(_values(features), X))


def _by_points(features: pa.Table, read: Catalogue, agreement: Agreement) -> Iterator[dict[str, Any]]:
    for values in _values(features):
        found = points_score(agreement, read.features, values)
        yield {
            "score": found.score,
            "grade": grade_of(found, agreement),
            **_top("up", [(reason, reason.points) for reason in found.up]),
            **_top("down", [(reason, reason.points) for reason in found.down]),
        }


def _values(features: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in features.columns), strict=True))


def _figures(explained: Explained) -> dict[str, Any]:
    low, high = explained.interval or (None, None)
    value = explained.value
    return {
        "probability": explained.probability,
        "logit": explained.logit,
        "interval_low": low,
        "interval_high": high,
        "score": explained.score,
        "percentile": explained.percentile,
        "grade": explained.grade,
        "fit": explained.sides["fit"],
        "engagement": explained.sides["engagement"],
        "expected_amount": None if value is None else value.amount,
        "expected_revenue": None if value is None else value.expected_revenue,
        "currency": None if value is None else value.currency,
        **_top("up", [(reason, reason.percentage_points) for reason in explained.up]),
        **_top("down", [(reason, reason.percentage_points) for reason in explained.down]),
    }


def _top(way: str, reasons: Sequence[tuple[Reason | PointsReason, float]]) -> dict[str, Any]:
    if not reasons:
        return {}
    top, points = reasons[0]
    return {
        f"top_{way}_code": top.code,
        f"top_{way}_en": top.texts["en"],
        f"top_{way}_zh": top.texts["zh"],
        f"top_{way}_points": points,
    }
