"""Pictures for the record of a run, drawn without a screen."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.metrics import ReliabilityBin


def reliability_picture(bins: Sequence[ReliabilityBin], title: str) -> bytes:
    """Return a reliability diagram as PNG: share observed against mean probability, with the diagonal.

    Parameters
    ----------
    bins : sequence of ReliabilityBin
    title : str
    """
    # The object interface leaves matplotlib's global state and its choice of a screen alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    top = 1.05 * max((max(one.predicted, one.observed) for one in bins), default=1.0)
    axes.plot([0, top], [0, top], color="0.7", linewidth=1)
    axes.plot([one.predicted for one in bins], [one.observed for one in bins], marker="o", color="#1f5fa8")
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="mean probability", ylabel="share that converted", title=title)
    axes.set_aspect("equal")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()
