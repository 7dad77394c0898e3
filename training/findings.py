"""The findings of a run in words: which rung is best, and whether it beats the agreement's own rule.

Out of fold, inside training, decides; the test only tells. A rung is called better only where the paired interval of
the difference excludes 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from models.bootstrap import Estimate
from training.ladder_report import RULE, Report
from training.parts import FEWEST

_RULE_MEASURES = {"log_loss": "log loss", "brier": "Brier", "auc": "AUC"}


def verdict(report: Report) -> str:
    """Say which rung is best, why, and how close the others are."""
    others = [rung for rung in report.rungs if rung.name != report.best]
    said = [
        f"Best rung: {report.best}{_because(report)}.",
        _compared("Out of fold inside training", {rung.name: rung.out_of_fold for rung in others}),
        _compared("On the test", {rung.name: rung.difference["use"].get("log_loss") for rung in others})
        if report.is_measured
        else _not_judged(report),
    ]
    return " ".join(sentence for sentence in said if sentence)


def beats_rule(report: Report) -> dict[str, Any] | None:
    """Say whether the best rung beats the rung `points` on the test, or None when there is no such rung.

    Returns
    -------
    dict or None
        ``rung``, ``answer`` (``yes``, ``no``, ``unsure``, ``is_rule``, or ``too_few`` outcomes in the test),
        ``difference`` (best minus rule, by measure, as plain values) and ``text``.
    """
    rule = next((rung for rung in report.rungs if rung.name == RULE), None)
    if rule is None:
        return None
    if report.best == RULE:
        text = "Does it beat your rule? Your rule is itself the best rung."
        return {"rung": RULE, "answer": "is_rule", "difference": {}, "text": text}
    if not report.is_measured:
        text = "Does it beat your rule? The test has too few outcomes to tell."
        return {"rung": RULE, "answer": "too_few", "difference": {}, "text": text}
    difference = {name: _turned(one) for name, one in rule.difference["use"].items() if name in _RULE_MEASURES}
    loss = difference["log_loss"]
    answer = "unsure" if not loss.excludes_zero else "yes" if loss.value < 0 else "no"
    opening = {
        "yes": f"Yes: {report.best} is better than your points",
        "no": f"No: your points are better than {report.best}",
        "unsure": f"Not sure: no difference between {report.best} and your points can be told",
    }[answer]
    figures = ", ".join(f"{_RULE_MEASURES[name]} {signed(one)}" for name, one in difference.items())
    auc = rule.parts["use"]["auc"]
    # Rows that all score the same have this AUC whatever is drawn.
    says_nothing = " Your points are the same for every snapshot here." if auc.bounds == (0.5, 0.5) else ""
    return {
        "rung": RULE,
        "answer": answer,
        "difference": {name: asdict(one) for name, one in difference.items()},
        "text": f"Does it beat your rule? {opening} ({figures}).{says_nothing}",
    }


def signed(estimate: Estimate, digits: int = 4) -> str:
    """Return a difference with its interval.

    Examples
    --------
    >>> signed(Estimate(-0.0312, -0.0401, -0.0222))
    '-0.0312 [-0.0401, -0.0222]'
    """
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.{digits}f}"
    return f"{estimate.value:+.{digits}f} [{estimate.low:+.{digits}f}, {estimate.high:+.{digits}f}]"


def _not_judged(report: Report) -> str:
    use = report.parts["use"]
    return (
        f"Nothing could be judged on the test: {use.outcomes:,} of its {use.accounts:,} accounts reached the goal;"
        f" {FEWEST} that did and {FEWEST} that did not are needed."
    )


def _because(report: Report) -> str:
    best, default = report.champion, report.default
    if report.pinned:
        return ", because the agreement says so"
    if default is None:
        return ""
    beat = f"the rung to beat with {report.outcomes_train:,} accounts with the outcome"
    if best.excess is None or best.excess_error is None:
        return f", {beat}: too few to hold any out and compare"
    if report.best == default:
        return f", {beat}, and no rival's log loss is lower out of fold by more than one standard error"
    errors = best.excess / -best.excess_error if best.excess_error else math.inf
    return f", because its log loss is lower by {errors:.1f} standard errors out of fold than that of {default}, {beat}"


def _compared(where: str, differences: Mapping[str, Estimate | None]) -> str:
    """Say what the best rung is better and worse than, by the log losses of the others minus its own."""
    told = {name: one for name, one in differences.items() if one is not None}
    sides = {
        "it is better than": {name: one for name, one in told.items() if one.excludes_zero and one.value > 0},
        "it is worse than": {name: one for name, one in told.items() if one.excludes_zero and one.value < 0},
        "no difference can be told from": {name: one for name, one in told.items() if not one.excludes_zero},
    }
    phrases = [
        f"{words} {', '.join(f'{name} ({signed(one)})' for name, one in side.items())}"
        for words, side in sides.items()
        if side
    ]
    return f"{where} (log loss of the other minus its own): {'; '.join(phrases)}." if phrases else ""


def _turned(one: Estimate) -> Estimate:
    return Estimate(-one.value, None if one.high is None else -one.high, None if one.low is None else -one.low)
