"""The report of an analysis of attribution: the page of the service as one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from serving.language import Language
from serving.pages.assets import assets
from serving.pages.attribution import attribution_page, step
from serving.pages.attribution_words import COLUMNS
from serving.pages.render import render
from serving.pages.words import words

_STYLES = ("vendor/pico.min.css", "pages.css")
_SCRIPTS = ("vendor/echarts.common.min.js", "charts.js")


def attribution_report(document: Mapping[str, Any], language: Language) -> str:
    """Return the report.

    Parameters
    ----------
    document : mapping
        `serving.attribution.published`.
    language : {"en", "zh"}
    """
    spoken = words(language)
    scripts = _SCRIPTS if language == "en" else (_SCRIPTS[0], "vendor/echarts.zh.js", _SCRIPTS[1])
    return render(
        "attribution.html",
        language,
        {
            "layout": "alone.html",
            "styles": _inline("style", _STYLES),
            "scripts": _inline("script", scripts),
            "shown": attribution_page(document, spoken),
            "step": step(document["transition"], spoken),
            "by": spoken.named(COLUMNS, document["by"]),
        },
    )


def _inline(tag: str, names: tuple[str, ...]) -> Markup:
    # Our own files: none of them holds the end of a script or a style, which a test sees to.
    return Markup("\n").join(Markup(f"<{tag}>{assets()[name].content.decode()}</{tag}>") for name in names)
