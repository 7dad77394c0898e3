"""Pictures of a report, drawn without a screen: reliability, lift, calibration by week, and what moves the score."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.dataset import shown
from training.importance import MOST_CONCEPTS, Explained
from training.ladder_report import Bin, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, INK, PALE = "#1f5fa8", "#333333", "#b8bec6"

MOST_SHOWN = 15
"""Features in a picture."""

_PARTS = {"use": "declared use", "grid": "grid", "event": "just after an event", "unseen": "unseen accounts"}


@dataclass(frozen=True)
class Picture:
    """A drawing, ready to be written."""

    figure: Figure

    @property
    def png(self) -> bytes:
        """As PNG."""
        return self._written("png", dpi=130)

    @property
    def svg(self) -> str:
        """As SVG without a prologue, to stand inside a page; the same drawing gives the same text."""
        text = self._written("svg", metadata={"Date": None, "Creator": None}).decode()
        return text[text.index("<svg") :]

    def _written(self, form: str, **options: Any) -> bytes:
        from matplotlib import rc_context

        out = io.BytesIO()
        title = self.figure.get_label()
        # Names of parts of an SVG come from the salt: pictures of one page must not share them.
        with rc_context({"svg.hashsalt": title, "svg.fonttype": "path"}):
            self.figure.savefig(out, format=form, bbox_inches="tight", pad_inches=0.08, **options)
        return out.getvalue()


def report_pictures(report: Report, explained: Explained) -> dict[str, Picture]:
    """Return the pictures of a report by name.

    Parameters
    ----------
    report : Report
    explained : Explained
        Contributions of the best rung on sampled test rows.
    """
    found: dict[str, Picture] = {}
    if report.is_measured:
        found |= {"reliability": reliability_picture(report.diagnosis.reliability), "lift": _lift(report)}
    if any(week.slope is not None for week in report.diagnosis.weekly):
        found["weekly_slope"] = _weekly(report)
    concepts = _by_concept(explained)
    features = _by_feature(explained)
    return found | {
        "concepts_bar": _bar("concepts_bar", concepts),
        "concepts_beeswarm": _beeswarm("concepts_beeswarm", concepts),
        "features_bar": _bar("features_bar", features),
        "features_beeswarm": _beeswarm("features_beeswarm", features),
    }


def reliability_picture(parts: Mapping[str, tuple[Bin, ...]]) -> Picture:
    """Return reliability curves: share observed against mean probability with the diagonal, a panel for each part."""
    figure = _figure("reliability", 3.2 * len(parts) + 0.6, 4.0)
    top = 1.04 * max(max(one.predicted, one.high) for bins in parts.values() for one in bins)
    panels = np.atleast_1d(figure.subplots(1, len(parts), sharey=True))
    for axes, (part, bins) in zip(panels, parts.items(), strict=True):
        x, y = [one.predicted for one in bins], [one.observed for one in bins]
        error = [[one.observed - one.low for one in bins], [one.high - one.observed for one in bins]]
        axes.plot([0, top], [0, top], color=PALE, linewidth=1)
        axes.errorbar(x, y, yerr=error, marker="o", markersize=4, color=BLUE, linewidth=1.2, elinewidth=1)
        axes.set(xlim=(0, top), ylim=(0, top), xlabel="mean probability", title=_PARTS[part])
        axes.set_aspect("equal")
    panels[0].set_ylabel("share that reached the goal")
    return Picture(figure)


def _lift(report: Report) -> Picture:
    figure = _figure("lift", 6.2, 3.4)
    axes = figure.subplots()
    gains = report.diagnosis.lift
    share = [100 * one.share for one in gains]
    low, high = zip(*(one.lift.bounds for one in gains), strict=True)
    axes.axhline(1, color=PALE, linewidth=1)
    axes.fill_between(share, low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(share, [one.lift.value for one in gains], marker="o", markersize=4, color=BLUE)
    axes.set(xlabel="best % of the snapshots", ylabel="times the base rate", xlim=(0, 101), ylim=(0, None))
    return Picture(figure)


def _weekly(report: Report) -> Picture:
    figure = _figure("weekly_slope", 6.2, 3.2)
    axes = figure.subplots()
    weeks = [(week, week.slope) for week in report.diagnosis.weekly if week.slope is not None]
    place = range(len(weeks))
    axes.axhspan(0.9, 1.1, color=PALE, alpha=0.3, linewidth=0)
    axes.axhline(1, color=PALE, linewidth=1)
    value = [slope.value for _, slope in weeks]
    error = [slope.half for _, slope in weeks]
    axes.errorbar(place, value, yerr=error, fmt="o", markersize=5, color=BLUE, elinewidth=1.2, capsize=3)
    axes.set(ylabel="calibration slope", xlim=(-0.6, len(weeks) - 0.4))
    # Every label would overlap its neighbour on a long test.
    step = -(-len(weeks) // 6)
    axes.set_xticks(list(place)[::step], [shown(week.start)[:10] for week, _ in weeks][::step], fontsize=8)
    return Picture(figure)


@dataclass(frozen=True)
class _Swarm:
    names: list[str]
    added: Any
    values: Any
    base: float


def _by_concept(explained: Explained) -> _Swarm:
    names = explained.concepts[:MOST_CONCEPTS]
    added = np.stack([explained.of_concept(name) for name in names], axis=1)
    values = np.stack([explained.places(explained.strongest(name)) for name in names], axis=1)
    return _Swarm(list(names), added, values, explained.base)


def _by_feature(explained: Explained) -> _Swarm:
    columns = np.argsort(-np.abs(explained.added).mean(axis=0), kind="stable")[:MOST_SHOWN]
    names = [explained.features[column].name for column in columns]
    values = np.stack([explained.places(column) for column in columns], axis=1)
    return _Swarm(names, explained.added[:, columns], values, explained.base)


def _beeswarm(name: str, swarm: _Swarm) -> Picture:
    options = {
        "order": np.arange(len(swarm.names)),
        "plot_size": None,
        "s": 9,
        "color_bar_label": "value",
        "group_remaining_features": False,
    }
    return _drawn_by_shap("beeswarm", name, swarm, "contribution in calibrated log-odds", options)


def _bar(name: str, swarm: _Swarm) -> Picture:
    return _drawn_by_shap("bar", name, swarm, "mean |contribution| in calibrated log-odds", {})


def _drawn_by_shap(kind: str, name: str, swarm: _Swarm, label: str, options: Mapping[str, Any]) -> Picture:
    figure = _figure(name, 7.6, 0.34 * len(swarm.names) + 1.1)
    axes = figure.subplots()
    with warnings.catch_warnings(), _seeded():
        # shap uses what matplotlib and numpy are about to give up; its version is locked.
        warnings.simplefilter("ignore")
        import shap

        base = np.full(len(swarm.added), swarm.base)
        explained = shap.Explanation(swarm.added, base_values=base, data=swarm.values, feature_names=swarm.names)
        getattr(shap.plots, kind)(explained, max_display=len(swarm.names), ax=axes, show=False, **options)
    axes.set_xlabel(label, fontsize=9)
    axes.tick_params(labelsize=9)
    return Picture(figure)


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Give numpy's global generator a seed for a while: shap spreads its dots by it."""
    before = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(before)


def _figure(name: str, width: float, height: float) -> Figure:
    # The object interface leaves matplotlib's global state and its choice of a screen alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), label=name)
    FigureCanvasAgg(figure)
    return figure
