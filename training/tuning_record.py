"""What the registry is told about a search for parameters: its table, its picture, and a run for each trial."""

from __future__ import annotations

import io
from dataclasses import asdict

from training.config import TrainingConfig
from training.run_record import RunRecord
from training.tuning import Trial, Tuned


def records_of(tuned: Tuned, config: TrainingConfig) -> list[RunRecord]:
    """Return the record of the search, followed by those of its trials.

    Parameters
    ----------
    tuned : Tuned
    config : TrainingConfig
        What the search was told.
    """
    goal = config.goal.name
    losses = [trial.log_loss for trial in tuned.trials if trial.log_loss is not None]
    improvement = {name: value for name, value in asdict(tuned.improvement).items() if value is not None}
    search = RunRecord(
        goal,
        {**config.flat(), **{f"tuned.{name}": value for name, value in tuned.params.items()}},
        {
            "trials": len(tuned.trials),
            "tuning.log_loss": min(losses),
            "tuning.log_loss_before": losses[0],
            **{f"tuning.improvement.{name}": value for name, value in improvement.items()},
        },
        {"smarketing.goal": goal, "smarketing.kind": "tune", "smarketing.folds": tuned.folds},
        documents={"trials.json": {"trials": [asdict(trial) for trial in tuned.trials]}},
        pages={"tuned.toml": tuned.toml()},
        pictures={"trials.png": trials_picture(tuned.trials, f"{goal}: log loss of {len(tuned.trials)} trials")},
    )
    return [search, *(_record(trial, goal) for trial in tuned.trials)]


def trials_picture(trials: tuple[Trial, ...], title: str) -> bytes:
    """Return the log loss of every whole trial, and the best so far, as PNG."""
    # The object interface leaves matplotlib's global state and its choice of a screen alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    found = [(at, trial.log_loss) for at, trial in enumerate(trials) if trial.log_loss is not None]
    at, losses = [number for number, _ in found], [loss for _, loss in found]
    best = [min(losses[: last + 1]) for last in range(len(losses))]
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(at, losses, "o", color="#8fb4dd", label="trial")
    axes.step(at, best, where="post", color="#1f5fa8", label="best so far")
    axes.set(xlabel="trial", ylabel="log loss, mean over folds", title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()


def _record(trial: Trial, goal: str) -> RunRecord:
    measured = {} if trial.log_loss is None else {"tuning.log_loss": trial.log_loss}
    state = "given up" if trial.log_loss is None else "whole"
    return RunRecord(
        goal,
        trial.params,
        {**measured, "seconds": trial.seconds},
        {"smarketing.goal": goal, "smarketing.kind": "trial", "smarketing.state": state},
    )
