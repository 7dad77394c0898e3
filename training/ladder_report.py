"""What a training run found, as one record: for the screen, for JSON, for the registry and for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.bootstrap import CONFIDENCE, DRAWS, Estimate
from training.dataset import Counts

LAYOUT = 1
RULE = "points"
"""Rung that is the agreement's own table of points."""

Estimates = Mapping[str, Estimate]


@dataclass(frozen=True)
class PartReport:
    """Which rows a part of the test holds; `outcomes` are accounts with a positive row.

    `is_measured` is False with too few accounts with the outcome or without it.
    """

    rows: int
    accounts: int
    outcomes: int
    base_rate: float
    is_measured: bool


@dataclass(frozen=True)
class RungReport:
    """Measures of one rung.

    Parameters
    ----------
    name : str
    trees : int
        0 for a rung without trees.
    parts : mapping of str to mapping of str to Estimate
        By part of the test, every measure; none in a part that is not measured.
    difference : mapping of str to mapping of str to Estimate
        By part, this rung's measures minus the best rung's, on the same draws; empty for the best rung.
    log_loss, excess, excess_error : float or None
        Log loss out of fold, inside training; that minus the default rung's, and its paired standard error. None for a
        model that was not trained in this run, and where a single winning account left nothing to hold out.
    out_of_fold : Estimate or None
        That log loss minus the best rung's; None for the best rung, and where there is no such log loss.
    """

    name: str
    trees: int
    parts: Mapping[str, Estimates]
    difference: Mapping[str, Estimates]
    log_loss: float | None = None
    excess: float | None = None
    excess_error: float | None = None
    out_of_fold: Estimate | None = None

    @property
    def test(self) -> dict[str, float]:
        """The measures in the declared use, without their intervals."""
        return {name: estimate.value for name, estimate in self.parts["use"].items()}


@dataclass(frozen=True)
class Bin:
    """A bin of a reliability curve, with the 90 % interval of the observed share."""

    weight: float
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Gain:
    """A point of the lift curve: of the best `share` of rows, and of all positives what they capture."""

    share: float
    lift: Estimate
    precision: float
    captured: float


@dataclass(frozen=True)
class Slice:
    """Measures of the best rung on some of the test rows; `measures` is None with too few outcomes."""

    slice: str
    value: str
    rows: int
    accounts: int
    outcomes: int
    observed: float
    predicted: float
    measures: Estimates | None


@dataclass(frozen=True)
class Week:
    """Calibration of the best rung in a week of the test, UTC microseconds; estimates None with too few outcomes."""

    start: int
    until: int
    rows: int
    accounts: int
    outcomes: int
    observed: float
    predicted: float
    slope: Estimate | None
    intercept: Estimate | None


@dataclass(frozen=True)
class Diagnosis:
    """What is shown of the best rung beside its measures."""

    reliability: Mapping[str, tuple[Bin, ...]]
    lift: tuple[Gain, ...]
    weekly: tuple[Week, ...]
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Mover:
    """A concept or a feature, and its mean absolute contribution in calibrated log-odds."""

    name: str
    concept: str
    family: str
    mean_abs: float


@dataclass(frozen=True)
class Swarm:
    """Contributions of a concept on sampled rows, and where the value of its strongest feature stands, 0 to 1."""

    concept: str
    feature: str
    contributions: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Importance:
    """What moves the best rung's score on sampled test rows, strongest first."""

    rows: int
    concepts: tuple[Mover, ...]
    features: tuple[Mover, ...]
    beeswarm: tuple[Swarm, ...]


@dataclass(frozen=True)
class Report:
    """What a training run found.

    Parameters
    ----------
    goal : str
    rungs : tuple of RungReport
        From the simplest.
    best : str
    default : str or None
        The rung that the others had to beat; None for a model that was not trained in this run.
    pinned : bool
        Whether the agreement chose the rung.
    calibration : str
        What the calibration line was fitted on.
    counts : Counts
    base_rate : float
        Share of positives in training.
    accounts_train, accounts_test : int
    accounts_unseen : int or None
        Accounts of the test that training has not seen; None where that is not known.
    outcomes_train, outcomes_test : int
        Accounts with a positive row: among the rows that the rungs were fitted on, and in the test.
    data_from, data_until, lag : int
        Microseconds.
    lag_is_assumed : bool
    test_from : int or None
    capacity : int
        Test snapshots the team could have acted on.
    digest : str
        Hash of the data.
    seed : int
    parts : mapping of str to PartReport
        Of the test: ``use``, and of ``grid``, ``event``, ``unseen`` those that the test holds beside other rows.
    diagnosis : Diagnosis
    importance : Importance
    """

    goal: str
    rungs: tuple[RungReport, ...]
    best: str
    default: str | None
    pinned: bool
    calibration: str
    counts: Counts
    base_rate: float
    accounts_train: int
    accounts_test: int
    accounts_unseen: int | None
    outcomes_train: int
    outcomes_test: int
    data_from: int
    data_until: int
    lag: int
    lag_is_assumed: bool
    test_from: int | None
    capacity: int
    digest: str
    seed: int
    parts: Mapping[str, PartReport]
    diagnosis: Diagnosis
    importance: Importance

    @property
    def champion(self) -> RungReport:
        """The best rung."""
        return next(rung for rung in self.rungs if rung.name == self.best)

    @property
    def is_measured(self) -> bool:
        """Whether the test has outcomes enough to say how good the rungs are."""
        return self.parts["use"].is_measured

    @property
    def covers_all(self) -> bool:
        """Whether the team can act on every row, so that precision says nothing of the rung."""
        return self.capacity >= self.counts.test

    def document(self) -> dict[str, Any]:
        """Return the report as JSON writes it: docs/report.md describes its layout."""
        from training.findings import beats_rule
        from training.model_card import card

        told = asdict(self)
        found = {
            "layout": LAYOUT,
            "confidence": CONFIDENCE,
            "draws": DRAWS,
            "verdict": self.verdict(),
            "beats_rule": beats_rule(self),
            **told,
            **told.pop("diagnosis"),
            "card": card(self),
        }
        document: dict[str, Any] = _shortened({name: value for name, value in found.items() if name != "diagnosis"})
        return document

    def metrics(self) -> dict[str, float]:
        """Return all measures under a flat name such as ``lightgbm.test.auc``, the champion's also without its name.

        Those in the declared use have ``.low`` and ``.high`` beside them; those of another part are named
        ``test.unseen.auc``.
        """
        found = {"base_rate": self.base_rate}
        for rung in self.rungs:
            flat = _flat(rung)
            found |= {f"{rung.name}.{name}": value for name, value in flat.items()}
            if rung.name == self.best:
                found |= flat
        return found

    def verdict(self) -> str:
        """Say which rung is best, why, and how close the others are."""
        from training.findings import verdict

        return verdict(self)

    def text(self) -> str:
        """Return the report as people read it on a screen."""
        from training.report_text import report_text

        return report_text(self)


def _flat(rung: RungReport) -> dict[str, float]:
    found: dict[str, float] = {"trees": rung.trees}
    for part, estimates in rung.parts.items():
        prefix = "test" if part == "use" else f"test.{part}"
        for name, estimate in estimates.items():
            found[f"{prefix}.{name}"] = estimate.value
            if part == "use" and estimate.low is not None and estimate.high is not None:
                found |= {f"{prefix}.{name}.low": estimate.low, f"{prefix}.{name}.high": estimate.high}
    train = {"log_loss": rung.log_loss, "excess": rung.excess, "excess_error": rung.excess_error}
    return found | {f"train.{name}": value for name, value in train.items() if value is not None}


def _shortened(value: Any) -> Any:
    """Return plain values with numbers of six digits: more would say nothing, and the bundle carries all of them."""
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
