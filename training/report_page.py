"""The report of a run as one page that needs nothing else: no script, no request, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.dataset import shown
from training.report_text import TITLES, short

if TYPE_CHECKING:
    from training.pictures import Picture

COLUMNS = (
    ("auc", "AUC", 3),
    ("pr_auc", "PR-AUC", 3),
    ("brier", "Brier", 4),
    ("brier_skill", "skill", 3),
    ("log_loss", "log loss", 4),
    ("ece", "ECE", 4),
    ("ece_floor_median", "floor, median", 4),
    ("ece_floor_95", "floor, 95 %", 4),
    ("calibration_slope", "slope", 2),
    ("calibration_intercept", "intercept", 2),
    ("lift_at_10", "lift@10 %", 2),
    ("precision_at_capacity", "precision at capacity", 3),
)
"""Measures of the ladder, their headings and digits."""

DIFFERENCES = tuple(column for column in COLUMNS if column[0] in ("auc", "pr_auc", "brier", "log_loss", "ece"))
SLICES = tuple(
    column
    for column in COLUMNS
    if column[0] in ("auc", "brier", "ece", "ece_floor_median", "ece_floor_95", "calibration_slope")
)

Estimate = Mapping[str, float | None] | None
"""An estimate in a document."""

_SECTIONS = {
    "data": "Data",
    "intended": "What it is for",
    "not_intended": "What it is not for",
    "limits": "Limits",
    "intervals": "How intervals were made",
}
# As many points as these have would make an SVG of megabytes.
_AS_PNG = ("concepts_beeswarm", "features_beeswarm")
_TEMPLATES = Path(__file__).with_name("templates")


def report_page(document: Mapping[str, Any], pictures: Mapping[str, Picture]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    document : mapping
        `Report.document`, of a run or of a bundle's manifest.
    pictures : mapping of str to Picture
        From `training.pictures`; a picture that is not there is left out, its table stays.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"point": point, "bounds": bounds, "signed": signed, "day": _day, "percent": _percent}
    return environment.get_template("report.html").render(
        report=document,
        pictures={name: _inside(name, picture) for name, picture in pictures.items()},
        titles=TITLES,
        columns=COLUMNS,
        differences=DIFFERENCES,
        slice_columns=SLICES,
        sections=_SECTIONS,
    )


def point(estimate: Estimate, digits: int) -> str:
    """Return the figure of an estimate; nothing where there is none.

    Examples
    --------
    >>> point({"value": 0.785, "low": 0.771, "high": 0.799}, 3), point(None, 3)
    ('.785', '')
    """
    return "" if estimate is None or estimate["value"] is None else short(estimate["value"], digits)


def bounds(estimate: Estimate, digits: int) -> str:
    """Return the interval of an estimate; nothing where there is none.

    Examples
    --------
    >>> bounds({"value": 0.785, "low": 0.771, "high": 0.799}, 3)
    '.771 to .799'
    """
    if estimate is None or estimate["low"] is None or estimate["high"] is None:
        return ""
    return f"{short(estimate['low'], digits)} to {short(estimate['high'], digits)}"


def signed(estimate: Estimate, digits: int) -> str:
    """Return a difference with its interval, and a star where that excludes 0.

    Examples
    --------
    >>> signed({"value": 0.01, "low": 0.002, "high": 0.018}, 3)
    '+.010 [+.002, +.018] *'
    """
    if estimate is None:
        return ""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return ""
    star = " *" if low > 0 or high < 0 else ""
    return f"{_with_sign(value, digits)} [{_with_sign(low, digits)}, {_with_sign(high, digits)}]{star}"


def _with_sign(value: float, digits: int) -> str:
    text = short(value, digits)
    return text if text.startswith("-") else f"+{text}"


def _day(moment: int) -> str:
    return shown(moment)[:10]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _inside(name: str, picture: Picture) -> Any:
    from markupsafe import Markup

    if name in _AS_PNG:
        encoded = base64.b64encode(picture.png).decode()
        return Markup('<img alt="" src="data:image/png;base64,{}">').format(encoded)
    return Markup(picture.svg)
