"""What the pictures have in common: ECharts options as plain values.

A text that starts with ``--`` names a colour of the style sheet. Whatever a picture says in words or numbers is written
in these modules, in the reader's language; the script of the page only draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Option = dict[str, Any]

PALETTE = tuple(f"--chart-{number}" for number in range(1, 9))


def plain() -> Option:
    """Return what every picture has: no movement, and a line of text under the pointer."""
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit", "color": "--ink"},
        # Drawn, not written as HTML: that would need styles in attributes, which the pages forbid.
        "tooltip": {
            "trigger": "item", "renderMode": "richText", "formatter": "{b}", "confine": True,
            "backgroundColor": "--card", "borderColor": "--line", "textStyle": {"color": "--ink", "fontSize": 13},
        },
    }  # fmt: skip


def grid(*, top: int, bottom: int = 8, left: int = 8, right: int = 24) -> Option:
    """Return the margins of a picture, in pixels."""
    return {"top": top, "bottom": bottom, "left": left, "right": right}


def legend() -> Option:
    """Return the legend, above the picture."""
    return {"top": 0, "left": 0, "textStyle": {"color": "--ink"}, "icon": "circle", "itemHeight": 10}


def axis(kind: str) -> Option:
    """Return an axis of a kind: value, log, category or time."""
    return {
        "type": kind,
        "axisLine": {"lineStyle": {"color": "--line"}},
        "axisTick": {"show": False},
        "axisLabel": {"color": "--muted"},
        "splitLine": {"show": kind != "category", "lineStyle": {"color": "--line"}},
    }


def time_axis() -> Option:
    """Return an axis of time."""
    return axis("time") | {"splitLine": {"show": False}, "axisLabel": {"color": "--muted", "hideOverlap": True}}


def share_axis(edge: float) -> Option:
    """Return an axis of per cent from 0."""
    return axis("value") | {
        "min": 0,
        "max": edge,
        "axisLabel": {"color": "--muted", "formatter": "{value}%", "showMaxLabel": False},
    }


def titled(title: str) -> Option:
    """Return the title of an axis."""
    return {"name": title, "nameLocation": "middle", "nameGap": 26, "nameTextStyle": {"color": "--muted"}}


def bar(data: Sequence[Any], color: str = "--accent") -> Option:
    """Return bars in one stack of all signs."""
    return {
        "type": "bar", "stack": "way", "stackStrategy": "all", "barMaxWidth": 18,
        "data": list(data), "itemStyle": {"color": color},
    }  # fmt: skip


def upright(moments: Sequence[tuple[int, str]], position: str = "end") -> Option:
    """Return dashed lines at moments, each with its name."""
    return {
        "symbol": "none", "silent": True,
        "lineStyle": {"color": "--muted", "type": "dashed", "width": 1},
        "label": {"color": "--muted", "formatter": "{b}", "position": position},
        # Names of moments that lie close together stand in two lines.
        "data": [
            {"xAxis": at / 1000, "name": name, "label": {"distance": 4 + 14 * (number % 2)}}
            for number, (at, name) in enumerate(moments)
        ],
    }  # fmt: skip
