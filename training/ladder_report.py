"""What a training run found, as one record: for the screen, for JSON, and for the registry."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from features.schema import DAY
from training.dataset import Counts, shown

COLUMNS = (
    ("auc", "AUC", "{:.3f}"),
    ("pr_auc", "PR-AUC", "{:.3f}"),
    ("brier", "Brier", "{:.4f}"),
    ("brier_skill", "skill", "{:.3f}"),
    ("ece", "ECE", "{:.4f}"),
    ("ece_floor_95", "its floor", "{:.4f}"),
    ("lift_at_10", "lift@10%", "{:.2f}"),
    ("precision_at_capacity", "prec@cap", "{:.3f}"),
)


@dataclass(frozen=True)
class RungReport:
    """Measures of one rung.

    Parameters
    ----------
    name : str
    trees : int
        0 for a rung without trees.
    test : mapping of str to float
        `models.metrics.summary` on the test snapshots.
    unseen : mapping of str to float or None
        The same on accounts that no training row belongs to; None when they have too few outcomes.
    log_loss : float
        Out of fold, inside training.
    excess, excess_error : float
        That log loss minus LightGBM's, and its paired standard error.
    """

    name: str
    trees: int
    test: Mapping[str, float]
    unseen: Mapping[str, float] | None
    log_loss: float
    excess: float
    excess_error: float


@dataclass(frozen=True)
class Report:
    """What a training run found.

    Parameters
    ----------
    goal : str
    rungs : tuple of RungReport
        From the simplest.
    best : str
    pinned : bool
        Whether the agreement chose the rung.
    calibration : str
        What the calibration line was fitted on.
    counts : Counts
    base_rate : float
        Share of positives in training.
    accounts_train, accounts_test, accounts_unseen : int
    data_from, data_until, lag : int
        Microseconds.
    lag_is_assumed : bool
    test_from : int or None
    capacity : int
        Test snapshots the team could have acted on.
    digest : str
        Hash of the data.
    seed : int
    """

    goal: str
    rungs: tuple[RungReport, ...]
    best: str
    pinned: bool
    calibration: str
    counts: Counts
    base_rate: float
    accounts_train: int
    accounts_test: int
    accounts_unseen: int
    data_from: int
    data_until: int
    lag: int
    lag_is_assumed: bool
    test_from: int | None
    capacity: int
    digest: str
    seed: int

    @property
    def champion(self) -> RungReport:
        """The best rung."""
        return next(rung for rung in self.rungs if rung.name == self.best)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON writes it."""
        return {**asdict(self), "rungs": [asdict(rung) for rung in self.rungs], "verdict": self.verdict()}

    def metrics(self) -> dict[str, float]:
        """Return all measures under a flat name such as ``lightgbm.test.auc``, the champion's also without its name."""
        found = {"base_rate": self.base_rate}
        for rung in self.rungs:
            parts = {"test": rung.test, "unseen": rung.unseen or {}}
            flat = {f"{part}.{name}": value for part, measures in parts.items() for name, value in measures.items()}
            flat |= {
                "train.log_loss": rung.log_loss,
                "train.excess": rung.excess,
                "train.excess_error": rung.excess_error,
                "trees": rung.trees,
            }
            found |= {f"{rung.name}.{name}": value for name, value in flat.items()}
            if rung.name == self.best:
                found |= flat
        return found

    def verdict(self) -> str:
        """Say which rung is best, why, and how close the others are."""
        near = [
            f"{rung.name} {rung.excess:+.4f} ± {rung.excess_error:.4f}"
            for rung in self.rungs
            if rung.name != "lightgbm"
        ]
        if self.pinned:
            why = "the agreement says so"
        elif self.best == "lightgbm":
            why = "no simpler rung is better by more than one standard error"
        else:
            why = "it is simpler, and better than lightgbm by more than one standard error"
        return f"Best rung: {self.best}, because {why}. Log loss out of fold minus lightgbm's: {', '.join(near)}."

    def text(self) -> str:
        """Return the report as people read it."""
        counts = self.counts
        tables = [self._table("test snapshots", {rung.name: rung.test for rung in self.rungs})]
        unseen = {rung.name: rung.unseen for rung in self.rungs if rung.unseen is not None}
        if unseen:
            tables.append(self._table("test snapshots of accounts never seen in training", unseen))
        else:
            tables.append(f"Accounts never seen in training: {self.accounts_unseen:,}, too few outcomes to measure.\n")
        sampled = f", {counts.sampled_out:,} left out by sampling (data.max_train, data.max_test)"
        lag = "0, as the ledger only has assumed times" if self.lag_is_assumed else f"{self.lag / DAY:.1f} days"
        since = "" if self.test_from is None else f" from {shown(self.test_from)}"
        told = (
            f"Goal {self.goal}: {counts.eligible:,} eligible snapshots, {counts.censored:,} of them censored,"
            f" {counts.purged:,} purged{sampled if counts.sampled_out else ''}.",
            f"Training: {counts.train:,} snapshots of {self.accounts_train:,} accounts,"
            f" {100 * self.base_rate:.1f} % positive.",
            f"Test{since}: {counts.test:,} snapshots of {self.accounts_test:,} accounts,"
            f" {self.accounts_unseen:,} of them never seen in training.",
            f"Data: {shown(self.data_from)} to {shown(self.data_until)}, reporting lag {lag}, hash {self.digest[:12]}.",
            "",
        )
        closing = f"Calibration on {self.calibration}. {self._capacity()}"
        return "\n".join([*told, *tables, self.verdict(), closing])

    @property
    def _covers_all(self) -> bool:
        return self.capacity >= self.counts.test

    def _capacity(self) -> str:
        if self._covers_all:
            return f"Capacity covers every row: all {self.counts.test:,} test snapshots."
        return f"Capacity: {self.capacity:,} of the {self.counts.test:,} test snapshots."

    def _cell(self, key: str, form: str, found: Mapping[str, float]) -> str:
        # Of rows that are all acted on, the share of positives is the base rate: it says nothing of the rung.
        if key == "precision_at_capacity" and self._covers_all:
            return "-"
        return form.format(found[key]) if key in found else ""

    def _table(self, title: str, measures: Mapping[str, Mapping[str, float]]) -> str:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        table.add_column("rung")
        for _, heading, _ in COLUMNS:
            table.add_column(heading, justify="right")
        for name, found in measures.items():
            cells = [self._cell(key, form, found) for key, _, form in COLUMNS]
            table.add_row(f"* {name}" if name == self.best else f"  {name}", *cells)
        out = io.StringIO()
        Console(file=out, width=110, color_system=None, legacy_windows=False).print(table)
        return out.getvalue()
