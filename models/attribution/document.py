"""An analysis as plain JSON values: what the command prints, the service answers, and the pages are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from models.attribution.choice import Chosen
from models.attribution.incremental import Effects
from models.attribution.notes import Note
from models.attribution.paths import Way
from models.attribution.reconciliation import Reconciliation, Sums
from models.attribution.result import Line, Result
from models.attribution.sourcing import Sourcing, Totals
from models.bootstrap import Estimate

if TYPE_CHECKING:
    from models.attribution.analysis import Analysis

Json = dict[str, Any]

_COMPARED = ("incremental_by_stage", "incremental", "shapley_sets", "last")
"""With which model the others are compared: the first of these that answers."""


def document(analysis: Analysis) -> Json:
    """Return what `Analysis.document` does."""
    question, journeys = analysis.question, analysis.credited
    return {
        "asOf": analysis.as_of,
        "ledgerSeq": analysis.ledger_seq,
        "dataFrom": analysis.data_from,
        "transition": question.transition,
        "kind": question.kind,
        "by": question.by,
        "from": question.from_,
        "to": question.to,
        "lookbackDays": question.lookback_days,
        "seed": question.seed,
        "draws": question.draws,
        "size": {
            "journeys": int(analysis.journeys.count.sum()),
            "converted": int(journeys.count[journeys.converted].sum()),
            "censored": int(analysis.journeys.count[analysis.journeys.censored].sum()),
            "touches": int(analysis.journeys.touches.num_rows),
            "accounts": len(np.unique(analysis.journeys.account)),
        },
        "leftOut": [{"reason": reason, "count": count} for reason, count in analysis.journeys.left_out.items()],
        "players": [
            {"name": name, "isLever": is_lever}
            for name, is_lever in zip(analysis.players.names, analysis.players.is_lever, strict=True)
        ],
        "models": [_model(one) for one in analysis.results],
        "differences": _differences(analysis.results),
        "effects": _effects(analysis.chosen.effects),
        "order": _order(analysis.chosen),
        "transitions": _transitions(analysis.chosen),
        "ways": [_way(way) for way in analysis.ways],
        "sourcing": _sourcing(analysis.sourcing),
        "reconciliation": _reconciliation(analysis.reconciliation),
        "money": None if analysis.money is None else analysis.money.document(),
        "falsifications": [
            {
                "kind": one.kind,
                "channel": one.channel,
                "effect": estimate(one.effect),
                "passed": one.passed,
                "verdict": one.verdict,
            }
            for one in analysis.falsifications
        ],
        "liftTests": [
            {"channel": test.channel, "estimate": test.estimate, "standardError": test.standard_error}
            for test in question.lift_tests
        ],
        "notes": [_note(note) for note in analysis.notes],
    }


def estimate(one: Estimate | None) -> Json | None:
    """Return a figure with the ends of its interval, null where there is none."""
    return None if one is None else {"value": one.value, "low": one.low, "high": one.high}


def _model(one: Result) -> Json:
    return {
        "name": one.model,
        "evidence": one.evidence.value,
        "perJourney": one.per_journey,
        "players": [_line(line) for line in one.lines],
        "rest": _line(one.rest),
    }


def _line(line: Line) -> Json:
    return {
        "name": line.player,
        "credit": estimate(line.credit),
        "share": estimate(line.share),
        "first": line.first,
        "revenue": [{"currency": currency, **_must(amount)} for currency, amount in line.revenue.items()],
    }


def _must(one: Estimate) -> Json:
    return {"value": one.value, "low": one.low, "high": one.high}


def _differences(results: tuple[Result, ...]) -> Json | None:
    """Return by how much of all conversions each model differs from the one that deserves most belief."""
    by_name = {one.model: one for one in results}
    against = next((by_name[name] for name in _COMPARED if name in by_name), None)
    if against is None or len(results) < 2:
        return None
    share = {line.player: line.share.value for line in against.lines}
    return {
        "against": against.model,
        "models": [
            {
                "name": one.model,
                "misplaced": sum(abs(line.share.value - share[line.player]) for line in one.lines) / 2
                + abs(one.rest.share.value - against.rest.share.value) / 2,
                "players": [
                    {"name": line.player, "difference": line.share.value - share[line.player]} for line in one.lines
                ],
            }
            for one in results
            if one is not against
        ],
    }


def _effects(effects: Effects | None) -> Json | None:
    if effects is None:
        return None
    return {
        "incremental": estimate(effects.incremental),
        "channels": [
            {
                "name": one.channel,
                "conversions": estimate(one.conversions),
                "share": estimate(one.share),
                "revenue": [{"currency": currency, **_must(amount)} for currency, amount in one.revenue.items()],
                "evidence": one.evidence.value,
                "clipped": one.clipped,
                "tipping": one.tipping,
            }
            for one in effects.rows
        ],
    }


def _order(chosen: Chosen) -> Json | None:
    if chosen.order is None:
        return None
    losses = [{"order": order, "loss": estimate(loss)} for order, loss in chosen.order.loss.items()]
    return {"best": chosen.order.order, "losses": losses}


def _transitions(chosen: Chosen) -> list[Json]:
    if chosen.transitions is None:
        return []
    return [
        {"from": row["from"], "to": row["to"], "probability": row["probability"], "count": row["count"]}
        for row in chosen.transitions.to_pylist()
    ]


def _way(way: Way) -> Json:
    return {"steps": list(way.steps), "isCut": way.is_cut, "journeys": way.journeys, "converted": way.converted}


def _sourcing(found: Sourcing) -> Json:
    return {
        "total": _totals(found.total),
        "sourced": _totals(found.sourced),
        "influenced": _totals(found.influenced),
        "channels": found.by_channel.to_pylist(),
    }


def _totals(totals: Totals) -> Json:
    return {"conversions": totals.conversions, "revenue": _amounts(totals.revenue)}


def _reconciliation(found: Reconciliation) -> Json:
    return {
        "isBalanced": found.is_balanced,
        "ledger": None if found.ledger is None else _sums(found.ledger),
        "journeys": _sums(found.journeys),
        "leftOut": [{"reason": reason, "sums": _sums(sums)} for reason, sums in found.left_out.items()],
        "models": [
            {"name": name, "credited": _amounts(found.credited[name]), "rest": _amounts(found.rest[name])}
            for name in found.credited
        ],
    }


def _sums(sums: Sums) -> list[Json]:
    return [{"currency": currency, "count": many, "revenue": amount} for currency, (many, amount) in sums.items()]


def _amounts(revenue: Mapping[str, int]) -> list[Json]:
    return [{"currency": name.removeprefix("revenue_"), "revenue": amount} for name, amount in revenue.items()]


def _note(note: Note) -> Json:
    return {"code": note.code, "text": note.text, "values": dict(note.values)}
