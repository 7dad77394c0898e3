"""An analysis of attribution as plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from features.money import minor_per_unit

_MODELS = 6
"""Models that fit beside each other; ``--model`` shows others, ``--json`` and ``--report`` all."""
_FIRST = ("incremental", "shapley_sets", "markov", "last_non_direct", "linear", "first", "last")


def attribution_text(document: Mapping[str, Any]) -> str:
    """Return shares with their intervals by model, whether the books agree, and what a reader must know."""
    size = document["size"]
    told = [
        f"{size['converted']:,} of {size['journeys']:,} journeys reached {document['transition']}"
        f" ({size['censored']:,} are still open); by {document['by']}, as of {document['asOf']}."
    ]
    if size["converted"] and document["models"]:
        told += ["", *_table(document)]
    told += ["", *_books(document["reconciliation"])]
    told += [f"Left out: {one['count']:,} {one['reason'].replace('_', ' ')}." for one in document["leftOut"]]
    told += [f"Note: {one['text']}" for one in document["notes"]]
    return "\n".join(told)


def _table(document: Mapping[str, Any]) -> list[str]:
    models = _shown(document["models"])
    rows = [[document["by"], *(one["name"] for one in models)], ["", *(one["evidence"] for one in models)]]
    for at, player in enumerate(document["players"]):
        rows.append([player["name"], *(_share(one["players"][at]["share"]) for one in models)])
    rows.append(["no touch, or anyway", *(_share(one["rest"]["share"]) for one in models)])
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]  # fmt: skip


def _shown(models: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if len(models) <= _MODELS:
        return list(models)
    found = [next((one for one in models if one["name"].startswith(start)), None) for start in _FIRST]
    return [one for one in found if one is not None][:_MODELS]


def _share(share: Mapping[str, float | None]) -> str:
    value, low, high = share["value"], share["low"], share["high"]
    if value is None or low is None or high is None:
        return "" if value is None else f"{value:.1%}"
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def _books(found: Mapping[str, Any]) -> list[str]:
    told = []
    for title, sums in (("ledger", found["ledger"]), ("journeys", found["journeys"])):
        if sums is not None:
            told.append(f"{title}: {_sums(sums)}")
    told += [f"left out, {one['reason'].replace('_', ' ')}: {_sums(one['sums'])}" for one in found["leftOut"]]
    told.append("The books agree to the last unit." if found["isBalanced"] else "The books do not agree.")
    return told


def _sums(sums: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{one['count']:,} with {_money(one)}" for one in sums) or "nothing"


def _money(one: Mapping[str, Any]) -> str:
    unit = minor_per_unit(one["currency"])
    sign, (whole, part) = "-" if one["revenue"] < 0 else "", divmod(abs(one["revenue"]), unit)
    return f"{sign}{whole:,}{f'.{part:0{len(str(unit)) - 1}d}' if unit > 1 else ''} {one['currency']}"
