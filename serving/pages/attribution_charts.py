"""Pictures of an analysis of attribution: shares by model with their intervals, and signed effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.pages.drawing import PALETTE, Option, axis, grid, legend, plain


def shares(players: Sequence[str], models: Sequence[Mapping[str, Any]]) -> Option:
    """Draw the share of each player by several models: bars that lie side by side, each with its interval.

    Parameters
    ----------
    players : sequence of str
    models : sequence of mapping
        ``label`` and ``rows``, one per player: ``share``, ``low``, ``high`` in per cent, and ``name``; None for a
        player that the model can not credit.
    """
    series: list[Option] = []
    for number, model in enumerate(models):
        colour = PALETTE[number % len(PALETTE)]
        bars: list[Any] = []
        spans: list[Any] = []
        dots: list[Any] = []
        for place, row in enumerate(model["rows"]):
            if row is None:
                continue
            y = len(players) - 1 - place + _offset(number, len(models))
            bars += [[0, y], [row["share"], y], [None, y]]
            if row["low"] is not None:
                spans += [[row["low"], y], [row["high"], y], [None, y]]
            dots.append({"value": [row["share"], y], "name": row["name"]})
        drawn = {"type": "line", "symbol": "none", "silent": True, "yAxisIndex": 1, "name": model["label"]}
        series += [
            drawn | {"data": bars, "lineStyle": {"color": colour, "width": 7, "opacity": 0.35, "cap": "butt"},
                     "itemStyle": {"color": colour}},
            drawn | {"data": spans, "lineStyle": {"color": colour, "width": 2}, "itemStyle": {"color": colour}},
            {
                "type": "scatter", "symbolSize": 8, "data": dots, "yAxisIndex": 1, "name": model["label"],
                "itemStyle": {"color": colour},
            },
        ]  # fmt: skip
    return plain() | {
        "legend": legend() | {"data": [model["label"] for model in models], "type": "scroll"},
        "grid": grid(top=40, bottom=8),
        "xAxis": axis("value") | {"axisLabel": {"color": "--muted", "formatter": "{value}%"}},
        "yAxis": [
            axis("category") | {
                "inverse": True, "data": list(players),
                "axisLabel": {"color": "--ink", "width": 120, "overflow": "truncate", "interval": 0},
            },
            # The names stand on an axis of their own: bars lie side by side, which only numbers can say.
            axis("value") | {"min": -0.5, "max": len(players) - 0.5, "show": False},
        ],
        "series": series,
    }  # fmt: skip


def _offset(number: int, of: int) -> float:
    return 0.8 * ((of - 1) / 2 - number) / max(of, 1)
