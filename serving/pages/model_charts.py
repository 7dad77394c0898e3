"""Pictures of a model: how good it is, whether it comes true, and what moves its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from serving.pages.drawing import Option, axis, bar, grid, legend, plain, share_axis, time_axis, titled
from serving.pages.words import Words


def intervals(rows: Sequence[Mapping[str, Any]], unit: str = "") -> Option:
    """Draw estimates with their intervals, one below the other.

    Parameters
    ----------
    rows : sequence of mapping
        ``label``, ``value``, ``low``, ``high``, ``name``, and whether it is the ``best``.
    unit : str, default=""
        Written behind the numbers of the axis.
    """
    spans: list[Any] = []
    for place, row in enumerate(rows):
        if row["low"] is not None:
            spans += [[row["low"], place], [row["high"], place], [None, place]]
    return plain() | {
        "grid": grid(top=8),
        "xAxis": axis("value") | {"scale": True, "axisLabel": {"color": "--muted", "formatter": f"{{value}}{unit}"}},
        "yAxis": axis("category") | {
            "inverse": True, "data": [row["label"] for row in rows], "axisLabel": {"color": "--ink"},
        },
        "series": [
            {
                "type": "line", "data": spans, "symbol": "none", "silent": True,
                "lineStyle": {"color": "--chart-seen", "width": 5, "cap": "round"},
            },
            {
                "type": "scatter", "symbolSize": 12,
                "data": [
                    {
                        "value": [row["value"], place], "name": row["name"],
                        "itemStyle": {"color": "--accent" if row["best"] else "--muted"},
                    }
                    for place, row in enumerate(rows)
                ],
            },
        ],
    }  # fmt: skip


def reliability(bins: Sequence[Mapping[str, Any]], words: Words) -> Option:
    """Draw what came true against what was said, in per cent."""
    _ = words.gettext
    top = 1.05 * max(max(one["predicted"], one["observed"], one["high"] or 0) for one in bins)
    edge = round(100 * min(1.0, top), 1)
    spans: list[Any] = []
    for one in bins:
        if one["low"] is not None:
            x = 100 * one["predicted"]
            spans += [[x, 100 * one["low"]], [x, 100 * one["high"]], [x, None]]
    said = _("said %(said)s, came true %(true)s")
    return plain() | {
        "grid": grid(top=24, bottom=36),
        "xAxis": share_axis(edge) | titled(_("said")),
        "yAxis": share_axis(edge) | {"name": _("came true"), "nameTextStyle": {"color": "--muted", "align": "left"}},
        "series": [
            {
                "type": "line", "data": [[0, 0], [edge, edge]], "symbol": "none", "silent": True,
                "lineStyle": {"color": "--muted", "type": "dashed", "width": 1},
            },
            {
                "type": "line", "data": spans, "symbol": "none", "silent": True,
                "lineStyle": {"color": "--chart-seen", "width": 3},
            },
            {
                "type": "scatter", "symbolSize": 10, "itemStyle": {"color": "--accent"},
                "data": [
                    {
                        "value": [100 * one["predicted"], 100 * one["observed"]],
                        "name": said
                        % {"said": words.percent(one["predicted"]), "true": words.percent(one["observed"])},
                    }
                    for one in bins
                ],
            },
        ],
    }  # fmt: skip


def lift(points: Sequence[Mapping[str, Any]], words: Words) -> Option:
    """Draw the share of all positives among the best so many rows."""
    _ = words.gettext
    found = {"name": _("outcomes found"), "nameTextStyle": {"color": "--muted", "align": "left"}}
    said = _("the best %(share)s hold %(captured)s of the outcomes")
    data = [{"value": [0, 0], "name": ""}] + [
        {
            "value": [100 * one["share"], 100 * one["captured"]],
            "name": said % {"share": words.percent(one["share"], 0), "captured": words.percent(one["captured"], 0)},
        }
        for one in points
    ]
    return plain() | {
        "grid": grid(top=24, bottom=36),
        "xAxis": share_axis(100) | titled(_("accounts, the best first")),
        "yAxis": share_axis(100) | found,
        "series": [
            {
                "type": "line", "data": [[0, 0], [100, 100]], "symbol": "none", "silent": True,
                "lineStyle": {"color": "--muted", "type": "dashed", "width": 1},
            },
            {
                "type": "line", "data": data, "symbol": "circle", "symbolSize": 7, "itemStyle": {"color": "--accent"},
                "lineStyle": {"color": "--accent", "width": 2}, "areaStyle": {"color": "--accent", "opacity": 0.08},
            },
        ],
    }  # fmt: skip


def importance(rows: Sequence[Mapping[str, Any]]) -> Option:
    """Draw how much each behaviour moves the score: ``label``, ``share`` in per cent, ``name``."""
    return plain() | {
        "grid": grid(top=8, right=48),
        "xAxis": axis("value") | {"show": False},
        "yAxis": axis("category") | {
            "inverse": True, "data": [row["label"] for row in rows],
            "axisLabel": {"color": "--ink", "width": 190, "overflow": "truncate"},
        },
        "series": [
            bar(
                [
                    {
                        "value": row["share"],
                        "name": f"{row['label']}: {row['text']}",
                        "label": {"formatter": row["text"]},
                    }
                    for row in rows
                ],
                color="--accent",
            ) | {"label": {"show": True, "position": "right", "color": "--ink"}}
        ],
    }  # fmt: skip


def beeswarm(rows: Sequence[Mapping[str, Any]], words: Words) -> Option:
    """Draw what each behaviour does to single accounts.

    Parameters
    ----------
    rows : sequence of mapping
        ``label``; ``factors`` of the odds; ``values``, the place of the feature's value among all, None when missing.
    """
    _ = words.gettext
    levels = (_("low value"), "", "", "", _("high value"), _("no value"))
    colors = ("--swarm-1", "--swarm-2", "--swarm-3", "--swarm-4", "--swarm-5", "--swarm-none")
    clouds: list[list[Any]] = [[] for _level in levels]
    for place, row in enumerate(rows):
        for factor, value, offset in zip(row["factors"], row["values"], _spread(row["factors"]), strict=True):
            level = 5 if value is None else min(4, int(5 * value))
            clouds[level].append([factor, len(rows) - 1 - place + offset])
    series = [
        {
            "type": "scatter", "name": name or f"{number}", "data": cloud, "symbolSize": 5,
            "itemStyle": {"color": color, "opacity": 0.85}, "silent": True, "yAxisIndex": 1,
        }
        for number, (name, color, cloud) in enumerate(zip(levels, colors, clouds, strict=True))
    ]  # fmt: skip
    return plain() | {
        "legend": legend() | {"data": [name for name in levels if name], "selectedMode": False},
        "grid": grid(top=40, bottom=36),
        "xAxis": {
            **axis("log"), "logBase": 2, "axisLabel": {"color": "--muted", "formatter": "×{value}"},
            **titled(_("odds, compared with the reference account")),
        },
        # The names stand on an axis of their own: the dots lie beside their line, which only numbers can say.
        "yAxis": [
            axis("category") | {
                "inverse": True, "data": [row["label"] for row in rows],
                "axisLabel": {"color": "--ink", "width": 190, "overflow": "truncate", "interval": 0},
            },
            axis("value") | {"min": -0.5, "max": len(rows) - 0.5, "show": False},
        ],
        "series": series,
    }  # fmt: skip


def weekly(weeks: Sequence[Mapping[str, Any]], words: Words) -> Option:
    """Draw the slope of the calibration by week: 1 is right, below it probabilities were too extreme."""
    spans: list[Any] = []
    for one in weeks:
        x = one["start"] / 1000
        spans += [[x, one["slope"]["low"]], [x, one["slope"]["high"]], [x, None]]
    points = [
        {
            "value": [one["start"] / 1000, one["slope"]["value"]],
            "name": f"{words.day(one['start'])}: {words.number(one['slope']['value'], 2)}",
        }
        for one in weeks
    ]
    return plain() | {
        "grid": grid(top=16),
        "xAxis": time_axis() | {
            "axisLabel": {
                "color": "--muted", "hideOverlap": True,
                "formatter": {"en": "{d} {MMM}", "zh": "{M}月{d}日"}[words.language],
            }
        },
        "yAxis": axis("value") | {"scale": True},
        "series": [
            {
                "type": "line", "data": spans, "symbol": "none", "silent": True,
                "lineStyle": {"color": "--chart-seen", "width": 3},
            },
            {
                "type": "scatter", "data": points, "symbolSize": 9, "itemStyle": {"color": "--accent"},
                "markLine": {
                    "symbol": "none", "silent": True, "label": {"show": False},
                    "lineStyle": {"color": "--muted", "type": "dashed"}, "data": [{"yAxis": 1}],
                },
            },
        ],
    }  # fmt: skip


def _spread(factors: Sequence[float]) -> list[float]:
    """Return how far each point stands beside its line, so that equals lie side by side."""
    seen: dict[int, int] = {}
    offsets = []
    for factor in factors:
        slot = round(12 * math.log(factor)) if factor > 0 else 0
        rank = seen[slot] = seen.get(slot, 0) + 1
        offsets.append((1 if rank % 2 else -1) * min(0.4, 0.025 * (rank // 2)))
    return offsets
