"""Pictures of one account: the way to its score, its score over time, and who was in touch when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from serving.pages.course import Point
from serving.pages.drawing import PALETTE, Option, axis, bar, grid, legend, plain, time_axis, upright
from serving.pages.words import Words


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
    return plain() | {
        "grid": grid(top=8, bottom=8, left=8, right=24),
        "xAxis": {
            **axis("value"), "axisLabel": {"color": "--muted", "formatter": "{value}%"},
            "min": low - (0.12 * (high - low) if low < 0 else 0), "max": high + 0.12 * (high - low), "show": False,
        },
        "yAxis": {
            **axis("category"), "inverse": True, "data": [step["label"] for step in steps],
            "axisLabel": {"color": "--ink", "width": 190, "overflow": "truncate"},
        },
        "series": [
            bar([step["from"] for step in steps], color="transparent") | {"silent": True, "tooltip": {"show": False}},
            bar(bars) | {"label": {"show": True, "color": "--ink"}, "itemStyle": {"borderRadius": 2}},
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
                    "type": "line", "name": name, "data": data, "symbol": "circle", "symbolSize": 6,
                    "itemStyle": {"color": color},
                    "lineStyle": {"color": color, "type": line, "width": 2},
                }
            )  # fmt: skip
    if series:
        series[0]["markLine"] = upright([(now, _("today"))])
    return plain() | {
        "legend": legend(),
        "grid": grid(top=48),
        "xAxis": time_axis(),
        "yAxis": axis("value") | {"min": 0, "axisLabel": {"color": "--muted", "formatter": "{value}%"}},
        "series": series,
    }


def group(
    rows: Sequence[str], touches: Sequence[Mapping[str, Any]], stages: Sequence[tuple[int, str]], words: Words
) -> Option:
    """Draw who was in touch when.

    Parameters
    ----------
    rows : sequence of str
        People, from the top.
    touches : sequence of mapping
        ``at`` in microseconds, ``row``, ``channel``, ``inbound``, ``name``.
    stages : sequence of (int, str)
        When a stage was entered, and its name, in the order of time.
    words : Words
    """
    counts = Counter(touch["channel"] for touch in touches)
    often = [channel for channel, _number in counts.most_common(len(PALETTE) - 1)]
    channels: dict[str, list[Mapping[str, Any]]] = {channel: [] for channel in often}
    for touch in touches:
        name = touch["channel"] if touch["channel"] in often else words.gettext("other channels")
        channels.setdefault(name, []).append(touch)
    series = [
        {
            "type": "scatter", "name": channel, "symbolSize": 11,
            "itemStyle": {"color": color, "opacity": 0.85},
            "data": [
                {"value": [touch["at"] / 1000, touch["row"]], "name": touch["name"], "itemStyle": _hollow(touch, color)}
                for touch in channels[channel]
            ],
        }
        for color, channel in zip(PALETTE, channels, strict=False)
    ]  # fmt: skip
    if series:
        # The rows are written from the top, so a line begins there.
        series[0]["markLine"] = upright(stages, "start")
    return plain() | {
        "legend": legend() | {"type": "scroll"},
        "grid": grid(top=64),
        "xAxis": time_axis(),
        "yAxis": axis("category") | {
            "inverse": True, "data": list(rows), "splitLine": {"show": True, "lineStyle": {"color": "--line"}},
            "axisLabel": {"color": "--ink", "width": 190, "overflow": "truncate"},
        },
        "series": series,
    }  # fmt: skip


def _hollow(touch: Mapping[str, Any], color: str) -> Option:
    return {} if touch["inbound"] else {"color": "transparent", "borderColor": color, "borderWidth": 2}


def _share(probability: float | None) -> float | None:
    return None if probability is None else 100 * probability


def _said(point: Point, words: Words) -> str:
    return "" if point.probability is None else f"{words.day(point.at)}: {words.percent(point.probability)}"
