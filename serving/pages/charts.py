"""Pictures as ECharts options: plain values, where a text that starts with ``--`` names a colour of the style sheet.

Whatever a picture says in words or numbers is written here, in the reader's language; the script of the page only draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.pages.course import Point
from serving.pages.words import Words

Option = dict[str, Any]

PALETTE = tuple(f"--chart-{number}" for number in range(1, 9))


def waterfall(steps: Sequence[Mapping[str, Any]], words: Words) -> Option:
    """Draw the way from the reference account to this one.

    Parameters
    ----------
    steps : sequence of mapping
        ``label``, ``from`` and ``to`` in per cent, ``kind`` (end, up, down), ``text``.
    """
    # One stack of all signs: a way may lead below nought before it comes back.
    bars = [
        {
            "value": step["to"] - step["from"],
            "name": f"{step['label']}: {step['text']}",
            "itemStyle": {"color": {"end": "--chart-end", "up": "--up", "down": "--down"}[step["kind"]]},
            "label": {"position": "right" if step["to"] >= step["from"] else "left", "formatter": step["text"]},
        }
        for step in steps
    ]
    low = min(0.0, *(min(step["from"], step["to"]) for step in steps))
    high = max(max(step["from"], step["to"]) for step in steps)
    return _plain() | {
        "grid": _grid(top=8, bottom=8, left=8, right=24),
        "xAxis": {
            **_axis("value"), "axisLabel": {"color": "--muted", "formatter": "{value}%"},
            "min": low - (0.12 * (high - low) if low < 0 else 0), "max": high + 0.12 * (high - low), "show": False,
        },
        "yAxis": {
            **_axis("category"), "inverse": True, "data": [step["label"] for step in steps],
            "axisLabel": {"color": "--ink", "width": 190, "overflow": "truncate"},
        },
        "series": [
            _bar([step["from"] for step in steps], color="transparent") | {"silent": True, "tooltip": {"show": False}},
            _bar(bars) | {"label": {"show": True, "color": "--ink"}, "itemStyle": {"borderRadius": 2}},
        ],
    }  # fmt: skip


def over_time(points: Sequence[Point], now: int, words: Words) -> Option:
    """Draw the probability week by week, past and future."""
    _ = words.gettext
    named = {
        "seen": _("the model has learnt from what came later"),
        "past": _("until today"),
        "future": _("if nothing more is heard"),
    }
    looks = {"seen": ("--chart-seen", "solid"), "past": ("--accent", "solid"), "future": ("--accent", "dotted")}
    series = []
    for number, (period, name) in enumerate(named.items()):
        color, line = looks[period]
        data = [
            {"value": [one.at / 1000, _share(one.probability)], "name": _said(one, words)}
            for place, one in enumerate(points)
            # Neighbouring lines share a point, so that no week is missing between them.
            if one.period == period or (place + 1 < len(points) and number and points[place + 1].period == period)
        ]
        if any(one["value"][1] is not None for one in data):
            series.append(
                {
                    "type": "line", "name": name, "data": data, "symbolSize": 6, "itemStyle": {"color": color},
                    "lineStyle": {"color": color, "type": line, "width": 2}, "animation": False,
                }
            )  # fmt: skip
    if series:
        series[0]["markLine"] = _upright([(now, _("today"))])
    return _plain() | {
        "legend": _legend(),
        "grid": _grid(top=48),
        "xAxis": _time_axis(),
        "yAxis": _axis("value") | {"min": 0, "axisLabel": {"color": "--muted", "formatter": "{value}%"}},
        "series": series,
    }


def group(rows: Sequence[str], touches: Sequence[Mapping[str, Any]], stages: Sequence[tuple[int, str]]) -> Option:
    """Draw who was in touch when.

    Parameters
    ----------
    rows : sequence of str
        People, from the top.
    touches : sequence of mapping
        ``at`` in microseconds, ``row``, ``channel``, ``inbound``, ``name``.
    stages : sequence of (int, str)
        When a stage was entered, and its name.
    """
    channels: dict[str, list[Mapping[str, Any]]] = {}
    for touch in touches:
        channels.setdefault(touch["channel"], []).append(touch)
    often = sorted(channels, key=lambda channel: -len(channels[channel]))
    series = [
        {
            "type": "scatter", "name": channel, "symbolSize": 11, "animation": False,
            "itemStyle": {"color": PALETTE[number % len(PALETTE)], "opacity": 0.8},
            "data": [
                {
                    "value": [touch["at"] / 1000, touch["row"]], "name": touch["name"],
                    "symbol": "circle" if touch["inbound"] else "emptyCircle",
                }
                for touch in channels[channel]
            ],
        }
        for number, channel in enumerate(often)
    ]  # fmt: skip
    if series:
        series[0]["markLine"] = _upright(stages)
    return _plain() | {
        "legend": _legend() | {"type": "scroll"},
        "grid": _grid(top=64),
        "xAxis": _time_axis(),
        "yAxis": _axis("category") | {
            "inverse": True, "data": list(rows), "splitLine": {"show": True, "lineStyle": {"color": "--line"}},
            "axisLabel": {"color": "--ink", "width": 150, "overflow": "truncate"},
        },
        "series": series,
    }  # fmt: skip


def intervals(rows: Sequence[Mapping[str, Any]], unit: str = "") -> Option:
    """Draw estimates with their intervals, one below the other: ``label``, ``value``, ``low``, ``high``, ``name``, ``best``."""
    spans: list[Any] = []
    for place, row in enumerate(rows):
        if row["low"] is not None:
            spans += [[row["low"], place], [row["high"], place], [None, place]]
    return _plain() | {
        "grid": _grid(top=8),
        "xAxis": _axis("value") | {"scale": True, "axisLabel": {"color": "--muted", "formatter": f"{{value}}{unit}"}},
        "yAxis": _axis("category") | {
            "inverse": True, "data": [row["label"] for row in rows], "axisLabel": {"color": "--ink"},
        },
        "series": [
            {
                "type": "line", "data": spans, "symbol": "none", "silent": True, "animation": False,
                "lineStyle": {"color": "--chart-seen", "width": 5, "cap": "round"},
            },
            {
                "type": "scatter", "symbolSize": 12, "animation": False,
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
    return _plain() | {
        "grid": _grid(top=24, bottom=36),
        "xAxis": _share_axis(edge) | _titled(_("said")),
        "yAxis": _share_axis(edge) | {"name": _("came true"), "nameTextStyle": {"color": "--muted", "align": "left"}},
        "series": [
            {
                "type": "line", "data": [[0, 0], [edge, edge]], "symbol": "none", "silent": True, "animation": False,
                "lineStyle": {"color": "--muted", "type": "dashed", "width": 1},
            },
            {
                "type": "line", "data": spans, "symbol": "none", "silent": True, "animation": False,
                "lineStyle": {"color": "--chart-seen", "width": 3},
            },
            {
                "type": "scatter", "symbolSize": 10, "itemStyle": {"color": "--accent"}, "animation": False,
                "data": [
                    {
                        "value": [100 * one["predicted"], 100 * one["observed"]],
                        "name": said % {"said": words.percent(one["predicted"]), "true": words.percent(one["observed"])},
                    }
                    for one in bins
                ],
            },
        ],
    }  # fmt: skip


def lift(points: Sequence[Mapping[str, Any]], words: Words) -> Option:
    """Draw the share of all positives among the best so many rows."""
    _ = words.gettext
    said = _("the best %(share)s hold %(captured)s of the outcomes")
    data = [{"value": [0, 0], "name": ""}] + [
        {
            "value": [100 * one["share"], 100 * one["captured"]],
            "name": said % {"share": words.percent(one["share"], 0), "captured": words.percent(one["captured"], 0)},
        }
        for one in points
    ]
    return _plain() | {
        "grid": _grid(top=24, bottom=36),
        "xAxis": _share_axis(100) | _titled(_("accounts, the best first")),
        "yAxis": _share_axis(100) | {"name": _("outcomes found"), "nameTextStyle": {"color": "--muted", "align": "left"}},
        "series": [
            {
                "type": "line", "data": [[0, 0], [100, 100]], "symbol": "none", "silent": True, "animation": False,
                "lineStyle": {"color": "--muted", "type": "dashed", "width": 1},
            },
            {
                "type": "line", "data": data, "symbolSize": 7, "itemStyle": {"color": "--accent"}, "animation": False,
                "lineStyle": {"color": "--accent", "width": 2}, "areaStyle": {"color": "--accent", "opacity": 0.08},
            },
        ],
    }  # fmt: skip


def importance(rows: Sequence[Mapping[str, Any]]) -> Option:
    """Draw how much each behaviour moves the score: ``label``, ``share`` in per cent, ``name``."""
    return _plain() | {
        "grid": _grid(top=8, right=48),
        "xAxis": _axis("value") | {"show": False},
        "yAxis": _axis("category") | {
            "inverse": True, "data": [row["label"] for row in rows],
            "axisLabel": {"color": "--ink", "width": 190, "overflow": "truncate"},
        },
        "series": [
            _bar(
                [
                    {"value": row["share"], "name": f"{row['label']}: {row['text']}", "label": {"formatter": row["text"]}}
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
            "type": "scatter", "name": name or f"{number}", "data": cloud, "symbolSize": 5, "animation": False,
            "itemStyle": {"color": color, "opacity": 0.85}, "silent": True,
        }
        for number, (name, color, cloud) in enumerate(zip(levels, colors, clouds, strict=True))
    ]  # fmt: skip
    return _plain() | {
        "legend": _legend() | {"data": [name for name in levels if name], "selectedMode": False},
        "grid": _grid(top=40, left=200, bottom=36) | {"outerBoundsMode": "none"},
        "xAxis": {
            **_axis("log"), "logBase": 2, "axisLabel": {"color": "--muted", "formatter": "×{value}"},
            "splitLine": {"lineStyle": {"color": "--line"}}, **_titled(_("odds, compared with the reference account")),
        },
        "yAxis": {
            **_axis("value"), "min": -0.5, "max": len(rows) - 0.5, "interval": 1, "axisLabel": {"show": False},
            "splitLine": {"show": False},
        },
        "series": series,
        "graphic": [],
    } | {"labels": [row["label"] for row in rows]}  # fmt: skip


def weekly(weeks: Sequence[Mapping[str, Any]], words: Words) -> Option:
    """Draw the slope of the calibration by week: 1 is right, below it the model says too much."""
    spans: list[Any] = []
    for one in weeks:
        x = one["from"] / 1000
        spans += [[x, one["slope"]["low"]], [x, one["slope"]["high"]], [x, None]]
    points = [
        {
            "value": [one["from"] / 1000, one["slope"]["value"]],
            "name": f"{words.day(one['from'])}: {words.number(one['slope']['value'], 2)}",
        }
        for one in weeks
    ]
    return _plain() | {
        "grid": _grid(top=16),
        "xAxis": _time_axis(),
        "yAxis": _axis("value") | {"scale": True},
        "series": [
            {
                "type": "line", "data": spans, "symbol": "none", "silent": True, "animation": False,
                "lineStyle": {"color": "--chart-seen", "width": 3},
            },
            {
                "type": "scatter", "data": points, "symbolSize": 9, "itemStyle": {"color": "--accent"}, "animation": False,
                "markLine": {
                    "symbol": "none", "silent": True, "animation": False, "label": {"show": False},
                    "lineStyle": {"color": "--muted", "type": "dashed"}, "data": [{"yAxis": 1}],
                },
            },
        ],
    }  # fmt: skip


def _plain() -> Option:
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit", "color": "--ink"},
        # Drawn, not written as HTML: that would need styles in attributes, which the pages forbid.
        "tooltip": {
            "trigger": "item", "renderMode": "richText", "formatter": "{b}", "confine": True,
            "backgroundColor": "--card", "borderColor": "--line", "textStyle": {"color": "--ink", "fontSize": 13},
        },
    }  # fmt: skip


def _grid(*, top: int, bottom: int = 8, left: int = 8, right: int = 24) -> Option:
    return {"top": top, "bottom": bottom, "left": left, "right": right}


def _legend() -> Option:
    return {"top": 0, "left": 0, "textStyle": {"color": "--ink"}, "icon": "circle", "itemHeight": 10}


def _axis(kind: str) -> Option:
    return {
        "type": kind,
        "axisLine": {"lineStyle": {"color": "--line"}},
        "axisTick": {"show": False},
        "axisLabel": {"color": "--muted"},
        "splitLine": {"show": kind != "category", "lineStyle": {"color": "--line"}},
    }


def _time_axis() -> Option:
    return _axis("time") | {"splitLine": {"show": False}, "axisLabel": {"color": "--muted", "hideOverlap": True}}


def _share_axis(edge: float) -> Option:
    return _axis("value") | {
        "min": 0,
        "max": edge,
        "axisLabel": {"color": "--muted", "formatter": "{value}%", "showMaxLabel": False},
    }


def _titled(title: str) -> Option:
    return {"name": title, "nameLocation": "middle", "nameGap": 26, "nameTextStyle": {"color": "--muted"}}


def _bar(data: Sequence[Any], color: str = "--accent") -> Option:
    return {
        "type": "bar", "stack": "way", "stackStrategy": "all", "barMaxWidth": 18, "animation": False,
        "data": list(data), "itemStyle": {"color": color},
    }  # fmt: skip


def _upright(moments: Sequence[tuple[int, str]]) -> Option:
    return {
        "symbol": "none", "silent": True, "animation": False,
        "lineStyle": {"color": "--muted", "type": "dashed", "width": 1},
        "label": {"color": "--muted", "formatter": "{b}", "position": "end"},
        "data": [{"xAxis": at / 1000, "name": name} for at, name in moments],
    }  # fmt: skip


def _share(probability: float | None) -> float | None:
    return None if probability is None else 100 * probability


def _said(point: Point, words: Words) -> str:
    return "" if point.probability is None else f"{words.day(point.at)}: {words.percent(point.probability)}"


def _spread(factors: Sequence[float]) -> list[float]:
    """Return how far each point stands beside its line, so that equals lie side by side."""
    import math

    seen: dict[int, int] = {}
    offsets = []
    for factor in factors:
        slot = round(12 * math.log(factor)) if factor > 0 else 0
        rank = seen[slot] = seen.get(slot, 0) + 1
        offsets.append((1 if rank % 2 else -1) * min(0.4, 0.025 * (rank // 2)))
    return offsets
