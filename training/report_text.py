"""The report of a run for a screen of 110 columns."""

from __future__ import annotations

import io
import textwrap

from features.schema import DAY
from models.bootstrap import DRAWS
from training.dataset import shown
from training.findings import beats_rule, signed
from training.ladder_report import Estimates, PartReport, Report
from training.parts import FEWEST, USE

TITLES = {
    USE: "test snapshots, weighted to the declared use",
    "grid": "test snapshots of the grid",
    "event": "test snapshots just after an event",
    "unseen": "test snapshots of accounts never seen in training",
}

WIDTH = 110

_COLUMNS = (
    ("auc", "AUC", 3),
    ("pr_auc", "PR-AUC", 3),
    ("brier", "Brier", 4),
    ("ece", "ECE", 4),
    ("ece_floor_95", "floor", 4),
    ("calibration_slope", "slope", 2),
    ("lift_at_10", "lift@10%", 2),
    ("precision_at_capacity", "prec@cap", 3),
)
_WITHOUT_INTERVAL = ("ece", "ece_floor_95")


def report_text(report: Report) -> str:
    """Return the report as people read it."""
    counts = report.counts
    unseen = "not known how many of them" if report.accounts_unseen is None else f"{report.accounts_unseen:,} of them"
    sampled = f", {counts.sampled_out:,} left out by sampling (data.max_train, data.max_test)"
    lag = "0, as the ledger only has assumed times" if report.lag_is_assumed else f"{report.lag / DAY:.1f} days"
    since = "" if report.test_from is None else f" from {shown(report.test_from)}"
    whole = (
        f"{counts.eligible:,} eligible snapshots, {counts.censored:,} of them censored,"
        f" {counts.purged:,} purged{sampled if counts.sampled_out else ''}."
    )
    lines = [
        # What a later evaluation leaves out says nothing of the training.
        f"Goal {report.goal}: {'measured on snapshots that are new to it.' if report.default is None else whole}",
        f"Training: {counts.train:,} snapshots of {report.accounts_train:,} accounts, {100 * report.base_rate:.1f} %"
        f" positive; {report.outcomes_train:,} accounts with the outcome speak.",
        f"Test{since}: {counts.test:,} snapshots of {report.accounts_test:,} accounts,"
        f" {unseen} never seen in training.",
        f"Data: {shown(report.data_from)} to {shown(report.data_until)}, reporting lag {lag},"
        f" hash {report.digest[:12]}.",
        "",
    ]
    lines += [_table(report, part) for part, found in report.parts.items() if found.is_measured]
    if not report.is_measured and report.champion.log_loss is not None:
        lines.append(_out_of_fold(report))
    if report.is_measured:
        lines += [_too_few(part, found) for part, found in report.parts.items() if not found.is_measured]
    lines.append(_wrapped(report.verdict()))
    rule = beats_rule(report)
    if rule is not None:
        lines.append(_wrapped(rule["text"]))
    lines += [
        _wrapped(f"Calibration on {report.calibration}. {_weekly(report)}"),
        f"{_capacity(report)} ± is half of a 90 % interval ({DRAWS} draws of accounts).",
    ]
    return "\n".join(lines)


def short(value: float, digits: int) -> str:
    """Return a number without the zero before its point.

    Examples
    --------
    >>> short(0.785, 3), short(-0.04, 2), short(1.5, 2)
    ('.785', '-.04', '1.50')
    """
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(report: Report, part: str) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=TITLES[part], title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("rung")
    for _, heading, _ in _COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for rung in report.rungs:
        cells = [_cell(report, rung.parts[part], name, digits) for name, _, digits in _COLUMNS]
        table.add_row(f"* {rung.name}" if rung.name == report.best else f"  {rung.name}", *cells)
    out = io.StringIO()
    Console(file=out, width=WIDTH, color_system=None, legacy_windows=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _out_of_fold(report: Report) -> str:
    """Return what the folds say of each rung, where the test can say nothing."""
    lines = ["training snapshots, out of fold", f"  {'rung':<14}{'log loss':>8}  minus that of {report.best}"]
    for rung in report.rungs:
        loss = "" if rung.log_loss is None else short(rung.log_loss, 4)
        difference = "" if rung.out_of_fold is None else signed(rung.out_of_fold)
        lines.append(f"{'*' if rung.name == report.best else ' '} {rung.name:<14}{loss:>8}  {difference}".rstrip())
    return "\n".join([*lines, ""])


def _too_few(part: str, found: PartReport) -> str:
    return _wrapped(
        f"Too few outcomes to measure, {found.outcomes:,} of {found.accounts:,} accounts and {FEWEST} are needed:"
        f" {TITLES[part]}."
    )


def _cell(report: Report, found: Estimates, name: str, digits: int) -> str:
    if name == "precision_at_capacity" and report.covers_all:
        return "-"
    estimate = found.get(name)
    if estimate is None:
        return ""
    if name in _WITHOUT_INTERVAL or estimate.low is None:
        return short(estimate.value, digits)
    return f"{short(estimate.value, digits)} ±{short(estimate.half, digits)}"


def _weekly(report: Report) -> str:
    slopes = [week.slope.value for week in report.diagnosis.weekly if week.slope is not None]
    if not slopes:
        return ""
    return f"Calibration slope by week of the test: {', '.join(short(slope, 2) for slope in slopes)}."


def _capacity(report: Report) -> str:
    if report.covers_all:
        return f"Capacity covers every row: all {report.counts.test:,} test snapshots."
    return f"Capacity: {report.capacity:,} of the {report.counts.test:,} test snapshots."
