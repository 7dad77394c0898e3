"""An analysis of attribution as a reader sees it, from its document alone.

The live page and the one-file report show the same: what a reader passes on is what everybody else sees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from features.money import minor_per_unit
from serving.pages import attribution_charts as charts
from serving.pages import model_charts
from serving.pages.attribution_words import (
    ATTEMPT_NAMES,
    ATTEMPT_UNITS,
    ATTEMPTS,
    COLUMNS,
    GAPS,
    GRADE_MEANINGS,
    GRADES,
    LEFT_OUT,
    MODELS,
    REASONS,
    note,
    player,
    verdict,
)  # fmt: skip
from serving.pages.sankey import sankey
from serving.pages.words import Words
from serving.wire import moment

View = dict[str, Any]
Document = Mapping[str, Any]

_DRAWN = ("incremental", "shapley_sets", "markov", "last")
"""Beginnings of the models in the picture, at most one of each, where there are more; the table has all."""
_FEW, _MANY = 3, 9
"""Players above which the picture is higher, and higher still."""
_UNKNOWN = "unknown"
_PER = ("lead", "mql", "sql", "won")
_STATES = 10
"""Places told apart in the matrix of steps."""
_SHADES = 9


def attribution_page(document: Document, words: Words) -> View:
    """Return what the page shows of an analysis.

    Parameters
    ----------
    document : mapping
        `serving.attribution.published`.
    words : Words
    """
    return {
        "transition": step(document["transition"], words),
        "by": words.named(COLUMNS, document["by"]),
        "as_of": words.moment(moment(document["asOf"])),
        "seq": words.number(document["ledgerSeq"]),
        "span": _span(document, words),
        "notes": [note(one, words) for one in document["notes"]],
        "cards": _cards(document, words),
        "models": _models(document, words),
        "grades": _grades(document, words),
        "differences": _differences(document, words),
        "effects": _effects(document["effects"], words),
        "attempts": [_attempt(one, words) for one in document["falsifications"]],
        "ways": _ways(document, words),
        "matrix": _matrix(document["transitions"], words),
        "sourcing": _sourcing(document["sourcing"], words),
        "money": _money_table(document["money"], words),
        "books": _books(document["reconciliation"], words),
        "left_out": [(words.named(LEFT_OUT, one["reason"]), words.number(one["count"])) for one in document["leftOut"]],
        "settings": {name: document[name] for name in ("seed", "draws", "lookbackDays")},
    }


def step(transition: str, words: Words) -> str:
    """Name a transition."""
    return words.stage(transition)


def _span(document: Document, words: Words) -> tuple[str, str] | None:
    if document["from"] is None and document["to"] is None:
        return None
    first, last = (None if document[end] is None else words.day(moment(document[end])) for end in ("from", "to"))
    return first or "…", last or "…"


def _cards(document: Document, words: Words) -> View:
    size = document["size"]
    ended = size["journeys"] - size["censored"]
    found = next((one for one in document["models"] if _is_incremental(one)), None)
    return {
        "converted": words.number(size["converted"]),
        "journeys": words.number(size["journeys"]),
        "rate": words.percent(size["converted"] / ended) if ended else "–",
        "revenue": [
            _money(one["currency"], one["revenue"], words)
            for one in document["reconciliation"]["journeys"]
            if one["revenue"]
        ],
        "baseline": None if found is None else _share(found["rest"]["share"], words),
        "is_balanced": document["reconciliation"]["isBalanced"],
    }


def _models(document: Document, words: Words) -> View | None:
    models = _strongest_first(document["models"])
    if not models or not document["size"]["converted"]:
        return None
    names = [player(one["name"], words) for one in document["players"]]
    drawn = [
        {
            "label": words.named(MODELS, one["name"]),
            "rows": [
                None if _is_response(one, line, told) else _bar(one, line, words)
                for line, told in zip(one["players"], document["players"], strict=True)
            ],
        }
        for one in _chosen(models)
    ]
    currencies = sorted({amount["currency"] for one in models for line in one["players"] for amount in line["revenue"]})
    return {
        "chart": charts.shares(names, drawn),
        "size": "towering" if len(names) > _MANY else "huge" if len(names) > _FEW else "short",
        "names": [(name, one["isLever"]) for name, one in zip(names, document["players"], strict=True)],
        "tables": [
            {
                "code": one["name"],
                "name": words.named(MODELS, one["name"]),
                "grade": words.named(GRADES, one["evidence"]),
                "per_journey": one["perJourney"],
                "rows": [_row(line, currencies, words) for line in (*one["players"], one["rest"])],
            }
            for one in models
        ],
        "rows": [
            {"name": name, "is_lever": told["isLever"],
             "cells": [_share_of_player(one, one["players"][at], told, words) for one in models]}
            for at, (name, told) in enumerate(zip(names, document["players"], strict=True))
        ],
        "rest": [_share(one["rest"]["share"], words) for one in models],
        "currencies": currencies,
    }  # fmt: skip


def _is_response(model: Mapping[str, Any], line: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Tell whether a model gives this player nothing because only levers have incremental credit."""
    return _is_incremental(model) and not told["isLever"] and not line["credit"]["value"]


def _is_incremental(model: Mapping[str, Any]) -> bool:
    return bool(model["name"].startswith("incremental"))


def _share_of_player(
    model: Mapping[str, Any], line: Mapping[str, Any], told: Mapping[str, Any], words: Words
) -> View | None:
    return None if _is_response(model, line, told) else _share(line["share"], words)


def _strongest_first(models: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    grades = list(GRADES)
    return sorted(models, key=lambda one: -grades.index(one["evidence"]))


def _chosen(models: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if len(models) <= len(_DRAWN):
        return list(models)
    found = []
    for start in _DRAWN:
        found += [one for one in models if one["name"].startswith(start) and not one["name"].startswith("last_")][:1]
    return found or list(models[: len(_DRAWN)])


def _bar(model: Mapping[str, Any], line: Mapping[str, Any], words: Words) -> View:
    one = line["share"]
    said = _share(one, words)
    name = f"{player(line['name'], words)} · {words.named(MODELS, model['name'])}: {said['value']}"
    return {
        "share": 100 * one["value"],
        "low": None if one["low"] is None else 100 * one["low"],
        "high": None if one["high"] is None else 100 * one["high"],
        "name": name if said["span"] is None else f"{name} ({said['span']})",
    }


def _row(line: Mapping[str, Any], currencies: Sequence[str], words: Words) -> View:
    revenue = {one["currency"]: one for one in line["revenue"]}
    return {
        "name": player(line["name"], words),
        "share": _share(line["share"], words),
        "credit": _count(line["credit"], words),
        "first": None if line["first"] is None else words.percent(line["first"], 0),
        "revenue": [
            _money_with_span(currency, revenue[currency], words) if currency in revenue else None
            for currency in currencies
        ],
    }


def _grades(document: Document, words: Words) -> list[tuple[str, str]]:
    used = dict.fromkeys(one["evidence"] for one in document["models"])
    return [(words.named(GRADES, one), words.gettext(GRADE_MEANINGS[one])) for one in used]


def _differences(document: Document, words: Words) -> View | None:
    found = document["differences"]
    if found is None or not document["size"]["converted"]:
        return None
    rows = [player(one["name"], words) for one in document["players"]]
    order = [one["name"] for one in _strongest_first(document["models"])]
    models = sorted(found["models"], key=lambda one: order.index(one["name"]))
    return {
        "against": words.named(MODELS, found["against"]),
        "models": [
            {"name": words.named(MODELS, one["name"]), "misplaced": words.percent(one["misplaced"], 0)}
            for one in models
        ],
        "rows": [
            {
                "name": name,
                "cells": [_points(one["players"][at]["difference"], words) for one in models],
            }
            for at, name in enumerate(rows)
        ],
    }


def _effects(found: Mapping[str, Any] | None, words: Words) -> View | None:
    if found is None:
        return None
    levers = [one for one in found["channels"] if one["name"] != "(baseline)"]
    drawn = [
        {
            "label": player(one["name"], words), "best": one["conversions"]["low"] is not None
            and one["conversions"]["low"] > 0, **one["conversions"],
            "name": f"{player(one['name'], words)}: {_told(_count(one['conversions'], words))}",
        }
        for one in levers
    ]  # fmt: skip
    return {
        "chart": model_charts.intervals(drawn),
        "total": _count(found["incremental"], words),
        "tested": ", ".join(player(one["name"], words) for one in levers if one["evidence"] == "experiment-calibrated"),
        "rows": [
            {
                "name": player(one["name"], words),
                "conversions": _count(one["conversions"], words),
                "share": _share(one["share"], words),
                "grade": words.named(GRADES, one["evidence"]),
                "clipped": words.number(one["clipped"], 1) if one["clipped"] else None,
                "tipping": None if one["tipping"] is None else words.number(one["tipping"], 2),
            }
            for one in found["channels"]
        ],
    }


def _attempt(one: Mapping[str, Any], words: Words) -> View:
    kind, effect = one["kind"], one["effect"]
    # A time shift is told as the log of a ratio.
    figure = _count(effect, words) if kind == "placebo" else _cell(effect, lambda log: words.number(math.exp(log), 2))
    said = ATTEMPTS[kind, one["passed"]]
    return {
        "name": words.gettext(ATTEMPT_NAMES[kind]) % {"channel": player(one["channel"], words)},
        "figure": figure,
        "unit": words.gettext(ATTEMPT_UNITS[kind]),
        "passed": one["passed"],
        "words": words.gettext(said),
    }


def _ways(document: Document, words: Words) -> View | None:
    ways = [one for one in document["ways"] if one["steps"]]
    if not ways:
        return None
    told = [["…", *_steps(one, words)] if one["isCut"] else _steps(one, words) for one in ways]
    total = sum(one["converted"] for one in ways)
    return {
        "diagram": sankey(
            [(steps, one["converted"]) for steps, one in zip(told, ways, strict=True)],
            step(document["transition"], words),
        ),
        "covered": words.percent(total / document["size"]["converted"], 0),
        "rows": [
            {
                "steps": " → ".join(steps),
                "journeys": words.number(one["journeys"]),
                "converted": words.number(one["converted"]),
                "rate": words.percent(one["converted"] / one["journeys"]),
            }
            for steps, one in zip(told, ways, strict=True)
        ],
    }


def _steps(way: Mapping[str, Any], words: Words) -> list[str]:
    return [player("Unassigned" if one == "" else one, words) for one in way["steps"]]


def _matrix(transitions: Sequence[Mapping[str, Any]], words: Words) -> View | None:
    if not transitions:
        return None
    passed: dict[str, float] = {}
    for one in transitions:
        passed[one["from"]] = passed.get(one["from"], 0.0) + one["count"]
    states = sorted((name for name in passed if name != "(start)"), key=lambda name: (-passed[name], name))[:_STATES]
    probability = {(one["from"], one["to"]): one["probability"] for one in transitions}
    columns = [*states, "(conversion)", "(null)"]
    return {
        "columns": [player(name, words) for name in columns],
        "rows": [
            {
                "name": player(source, words),
                "cells": [_shade(probability.get((source, target), 0.0), words) for target in columns],
            }
            for source in ("(start)", *states)
        ],
    }


def _shade(probability: float, words: Words) -> View:
    # The eye tells small probabilities apart by their root better than by themselves.
    return {
        "text": words.percent(probability, 0) if probability >= 0.005 else "",
        "shade": round(_SHADES * probability**0.5),
    }


def _sourcing(found: Mapping[str, Any], words: Words) -> list[View]:
    names = (("total", words.gettext("all")), ("sourced", words.gettext("sourced by us")),
             ("influenced", words.gettext("influenced by us")))  # fmt: skip
    return [
        {
            "name": name,
            "conversions": words.number(found[code]["conversions"]),
            "revenue": [_money(one["currency"], one["revenue"], words) for one in found[code]["revenue"]],
        }
        for code, name in names
    ]


def _money_table(found: Mapping[str, Any] | None, words: Words) -> View | None:
    if found is None:
        return None
    currency = found["currency"]

    def amount(value: float | None) -> str:
        return "∞" if value is None else _money(currency, value, words)

    def estimate(one: Mapping[str, Any] | None, say: Any) -> View | None:
        return None if one is None else _cell(one, say, open_ended=True)

    return {
        "span": (words.day(moment(found["from"])), words.day(moment(found["to"]))),
        "rule": words.named(MODELS, found["rule"]),
        "worth": None if found["worth"] is None else amount(found["worth"]),
        "rows": [
            {
                "name": player(one["name"], words),
                "cost": [_money(code, value, words) for code, value in one["cost"].items()],
                "per": [estimate(one["costPer"].get(stage), amount) for stage in _PER],
                "roas": estimate(one["roas"], lambda value: words.number(value, 1)),
                "roi": estimate(one["roi"], lambda value: words.percent(value, 0)),
                "losing": _chance(one["probabilityRoasBelow1"], words),
                "gaps": [words.named(GAPS, gap) for gap in _gaps_of_revenue(one)],
            }
            for one in found["channels"]
        ],
        "stages": [words.stage(stage) for stage in _PER],
        "stops": [
            {
                "name": player(one["channel"], words),
                "cost": None if one["cost"] is None else amount(one["cost"]),
                "conversions": _count(one["incrementalConversions"], words),
                "worth": estimate(one["incrementalWorth"], amount),
                "losing": _chance(one["probabilityBelowCost"], words),
                "words": verdict(one["words"], words),
            }
            for one in found["stopList"]
        ],
        "doubled": [player(one["channel"], words) + " · " + one["campaign"] for one in found["doubled"]],
    }


def _gaps_of_revenue(one: Mapping[str, Any]) -> list[str]:
    """Return why the return on a cost is missing or is not all: other gaps can be seen in their own column."""
    has_won = one["credited"].get("won", {"value": 0})["value"] > 0
    return [gap for gap in one["gaps"] if not (gap == "nothing credited" and has_won)]


def _chance(probability: float | None, words: Words) -> str | None:
    return None if probability is None else words.percent(probability, 0)


def _books(found: Mapping[str, Any], words: Words) -> View:
    def sums(rows: Sequence[Mapping[str, Any]]) -> list[str]:
        return [
            f"{words.number(one['count'])} · {_exact(one['currency'], one['revenue'], words)}" for one in rows
        ] or ["–"]  # fmt: skip

    return {
        "is_balanced": found["isBalanced"],
        "ledger": None if found["ledger"] is None else sums(found["ledger"]),
        "journeys": sums(found["journeys"]),
        "left_out": [(words.named(REASONS, one["reason"]), sums(one["sums"])) for one in found["leftOut"]],
        "models": [
            {
                "name": words.named(MODELS, one["name"]),
                "credited": [_exact(part["currency"], part["revenue"], words) for part in one["credited"]] or ["–"],
                "rest": [_exact(part["currency"], part["revenue"], words) for part in one["rest"]] or ["–"],
            }
            for one in found["models"]
        ],
    }


def _share(one: Mapping[str, Any], words: Words) -> View:
    return _cell(one, lambda value: words.percent(value))


def _count(one: Mapping[str, Any], words: Words) -> View:
    return _cell(one, lambda value: words.number(value, 1))


def _points(difference: float, words: Words) -> View:
    kind = "up" if difference >= 0.02 else "down" if difference <= -0.02 else ""
    return {"value": words.points(100 * difference), "exact": difference, "span": None, "kind": kind}


def _cell(one: Mapping[str, Any], say: Any, *, open_ended: bool = False) -> View:
    """Return a figure and its interval in words; the upper end of an open-ended one may be missing, or both ends."""
    span = None if one["low"] is None else f"{say(one['low'])} – {say(one['high'])}"
    if one["high"] is None and not (open_ended and one["low"] is not None):
        span = None
    return {"value": say(one["value"]), "span": span, "exact": one["value"]}


def _told(cell: Mapping[str, Any]) -> str:
    return str(cell["value"]) if cell["span"] is None else f"{cell['value']} ({cell['span']})"


def _money(currency: str | None, amount: float, words: Words) -> str:
    if currency in (None, _UNKNOWN):
        return words.number(amount / 100)
    return words.money(amount / minor_per_unit(currency), str(currency))


def _exact(currency: str | None, amount: int, words: Words) -> str:
    """Write an amount with every minor unit of it."""
    unit = minor_per_unit(None if currency == _UNKNOWN else currency)
    digits = len(str(unit)) - 1
    sign = "\N{MINUS SIGN}" if amount < 0 else ""
    whole, part = divmod(abs(amount), unit)
    text = words.number(whole) + (f".{part:0{digits}d}" if digits else "")
    return f"{sign}{text} {'?' if currency in (None, _UNKNOWN) else currency}"


def _money_with_span(currency: str, one: Mapping[str, Any], words: Words) -> View:
    return _cell(one, lambda value: _money(currency, value, words))
