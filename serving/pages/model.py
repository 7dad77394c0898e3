"""The model as a reader sees it, from its bundle alone: how good it is, whether it may be believed, and its limits.

The layout of what a bundle carries is in docs/report.md; a part that is absent is left out of the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from serving.champion import Champion
from serving.pages import model_charts as charts
from serving.pages.card import card
from serving.pages.words import N_, Words

View = dict[str, Any]

PARTS = MappingProxyType(
    {
        "use": N_("as the scores are used"),
        "grid": N_("on fixed days"),
        "event": N_("just after an event"),
        "unseen": N_("accounts the model has never seen"),
    }
)
RUNGS = MappingProxyType(
    {
        "base_rate": N_("the same for all"),
        "stage_table": N_("by stage alone"),
        "points": N_("your rule: the points of the agreement"),
        "shrunk": N_("your rule, corrected by what happened"),
        "logistic": N_("logistic regression"),
        "lightgbm": N_("boosted trees"),
    }
)
SLICES = MappingProxyType(
    {
        "segment": N_("segment"), "size": N_("size"), "channel": N_("channel of origin"),
        "language": N_("language"), "seen": N_("seen by the model"),
    }
)  # fmt: skip
VALUES = (
    N_("1 to 9 people"), N_("10 to 49 people"), N_("50 to 249 people"), N_("250 to 999 people"),
    N_("1,000 people and more"), N_("not known"), N_("seen in training"), N_("never seen in training"),
)  # fmt: skip
"""Values of slices that have a translation; any other is shown as it is."""

_ANSWERS = MappingProxyType(
    {
        "yes": N_("Yes: it beats your rule."),
        "no": N_("No: your rule is better."),
        "unsure": N_("Not sure: the difference to your rule is within chance."),
        "too_few": N_("Not known yet: there were too few outcomes to tell."),
        "is_rule": N_("The rule itself is the best there is for now."),
    }
)
_DIFFERENCES = MappingProxyType(
    {
        "log_loss": N_("log loss, lower is better"),
        "brier": N_("Brier score, lower is better"),
        "auc": N_("AUC, higher is better"),
    }
)
_MEASURES = ("auc", "pr_auc", "brier", "log_loss", "ece", "calibration_slope")
_SWARM = 150
"""Accounts drawn for each behaviour."""


def model_page(champion: Champion, words: Words) -> View:
    """Return what the page shows of a model.

    Parameters
    ----------
    champion : Champion
    words : Words
    """
    bundle = champion.bundle
    found: Mapping[str, Any] = bundle.metrics
    return {
        "rung": words.named(RUNGS, bundle.rung),
        "version": champion.version,
        "trained": words.day(bundle.trained_at),
        "data": (words.day(bundle.data_from), words.day(bundle.data_until)),
        "outcomes": found.get("outcomes_train"),
        "base_rate": words.percent(bundle.background.base_rate),
        "rule": _rule(found.get("beats_rule"), words),
        "ladder": _ladder(found, words),
        "reliability": _reliability(found.get("reliability") or {}, words),
        "lift": _lift(found.get("lift") or [], words),
        "importance": _importance(found.get("importance"), words),
        "weekly": _weekly(found.get("weekly") or [], words),
        "slices": _slices(found.get("slices") or [], words),
        "card": card(found.get("card") or [], words),
    }


def _rule(found: Mapping[str, Any] | None, words: Words) -> View | None:
    if found is None or found["answer"] not in _ANSWERS:
        return None
    differences = found.get("difference") or {}
    return {
        "answer": words.named(_ANSWERS, found["answer"]),
        "is_good": found["answer"] == "yes",
        "rows": [
            {"measure": words.gettext(name), **_difference(one, words)}
            for measure, name in _DIFFERENCES.items()
            if (one := differences.get(measure)) and one["value"] is not None
        ],
    }


def _ladder(found: Mapping[str, Any], words: Words) -> View | None:
    rungs = [rung for rung in found.get("rungs") or [] if rung.get("parts", {}).get("use")]
    if not rungs:
        return None
    measured = [
        {
            "label": words.named(RUNGS, rung["name"]),
            "best": rung["name"] == found.get("best"),
            "cells": [_cell(rung["parts"]["use"].get(name), words) for name in _MEASURES],
            "floor": _number(rung["parts"]["use"].get("ece_floor_95"), words),
            "auc": rung["parts"]["use"]["auc"],
        }
        for rung in rungs
    ]
    drawn = [
        {
            "label": one["label"], "value": one["auc"]["value"], "low": one["auc"]["low"], "high": one["auc"]["high"],
            "best": one["best"], "name": f"{one['label']}: {_estimate(one['auc'], words, 3)}",
        }
        for one in measured
        if one["auc"]["value"] is not None
    ]  # fmt: skip
    return {"rows": measured, "chart": charts.intervals(drawn)}


def _reliability(found: Mapping[str, Any], words: Words) -> list[View]:
    return [
        {
            "code": part,
            "part": words.named(PARTS, part),
            "chart": charts.reliability(bins, words),
            "rows": [
                {
                    "weight": words.percent(one["weight"] / total),
                    "predicted": words.percent(one["predicted"]),
                    "observed": words.percent(one["observed"]),
                    "interval": _range(one, words),
                }
                for total in [math.fsum(one["weight"] for one in bins)]
                for one in bins
            ],
        }
        for part, bins in found.items()
        if bins and part in PARTS
    ]


def _lift(points: list[Mapping[str, Any]], words: Words) -> View | None:
    if not points:
        return None
    return {
        "chart": charts.lift(points, words),
        "rows": [
            {
                "share": words.percent(one["share"], 0),
                "lift": _cell(one["lift"], words, 2),
                "precision": words.percent(one["precision"]),
                "captured": words.percent(one["captured"]),
            }
            for one in points
        ],
    }


def _importance(found: Mapping[str, Any] | None, words: Words) -> View | None:
    if not found or not found.get("concepts"):
        return None
    total = math.fsum(one["mean_abs"] for one in found["concepts"]) or 1.0
    rows = [
        {
            "label": words.term(one["concept"]),
            "share": 100 * one["mean_abs"] / total,
            "text": words.percent(one["mean_abs"] / total),
        }
        for one in found["concepts"][:12]
    ]
    swarm = [
        {
            "label": words.term(one["concept"]),
            "factors": [math.exp(value) for value in one["contributions"][:_SWARM]],
            "values": one["values"][:_SWARM],
        }
        for one in found.get("beeswarm") or []
    ]
    return {
        "rows": rows,
        "chart": charts.importance(rows),
        "swarm": charts.beeswarm(swarm, words) if swarm else None,
        "spread": [
            {
                "label": one["label"],
                "low": _factor(one["factors"], 0.05, words),
                "middle": _factor(one["factors"], 0.5, words),
                "high": _factor(one["factors"], 0.95, words),
            }
            for one in swarm
        ],
    }


def _weekly(weeks: list[Mapping[str, Any]], words: Words) -> View | None:
    told = [one for one in weeks if one.get("slope") and one["slope"]["low"] is not None]
    if not told:
        return None
    return {
        "chart": charts.weekly(told, words),
        "rows": [
            {
                "week": words.day(one["start"]),
                "rows": words.number(one["rows"]),
                "observed": words.percent(one["observed"]),
                "predicted": words.percent(one["predicted"]),
                "slope": _cell(one["slope"], words, 2),
            }
            for one in told
        ],
    }


def _slices(found: list[Mapping[str, Any]], words: Words) -> list[View]:
    return [
        {
            "slice": words.named(SLICES, one["slice"]),
            "value": words.term(str(one["value"])),
            "rows": words.number(one["rows"]),
            "outcomes": words.number(one["outcomes"]),
            "observed": words.percent(one["observed"]),
            "predicted": words.percent(one["predicted"]),
            "auc": None if not one["measures"] else _cell(one["measures"].get("auc"), words),
        }
        for one in found
    ]


def _estimate(one: Mapping[str, Any], words: Words, digits: int) -> str:
    value = _number(one, words, digits)
    if one["low"] is None:
        return value
    return f"{value} ({words.number(one['low'], digits)} – {words.number(one['high'], digits)})"


def _difference(one: Mapping[str, Any], words: Words) -> View:
    value, low, high = (None if one[end] is None else words.points(one[end], 3) for end in ("value", "low", "high"))
    return {"exact": one["value"], "text": value, "span": None if low is None else f"{low} – {high}"}


def _cell(one: Mapping[str, Any] | None, words: Words, digits: int = 3) -> View | None:
    if one is None or one["value"] is None:
        return None
    span = None if one["low"] is None else f"{words.number(one['low'], digits)} – {words.number(one['high'], digits)}"
    return {"value": words.number(one["value"], digits), "span": span, "exact": one["value"]}


def _number(one: Mapping[str, Any] | None, words: Words, digits: int = 3) -> str:
    return "" if one is None or one["value"] is None else words.number(one["value"], digits)


def _range(one: Mapping[str, Any], words: Words) -> str:
    return "" if one["low"] is None else f"{words.percent(one['low'])} – {words.percent(one['high'])}"


def _factor(factors: list[float], share: float, words: Words) -> str:
    place = min(len(factors) - 1, int(share * len(factors)))
    return f"×{words.number(sorted(factors)[place], 2)}"
