"""The model card: what a model is for, what it is not for, and where it ends.

Every line has a code and the values it speaks of, so that a page can say it in another language.

References
----------
M. Mitchell et al., Model cards for model reporting, FAT* 2019.
"""

from __future__ import annotations

from typing import Any

from features.schema import DAY
from models.bootstrap import DRAWS
from training.dataset import shown
from training.ladder_report import Report
from training.parts import FEWEST, USE

FEW_OUTCOMES = 200
"""Accounts with the outcome in training below which the card warns."""

Line = dict[str, Any]


def card(report: Report) -> list[dict[str, Any]]:
    """Return the sections of the card: docs/report.md describes them."""
    sections = {
        "data": _data(report),
        "intended": _intended(report),
        "not_intended": _not_intended(),
        "limits": _limits(report),
        "intervals": _intervals(report),
    }
    return [{"section": name, "lines": lines} for name, lines in sections.items()]


def _line(code: str, text: str, **values: Any) -> Line:
    return {"code": code, "text": text.format(**values), "values": values}


def _data(report: Report) -> list[Line]:
    counts = report.counts
    found = [
        _line(
            "data_range",
            "Events from {since} to {until} of the ledger; SHA-256 of what was computed from them: {digest}.",
            since=shown(report.data_from),
            until=shown(report.data_until),
            digest=report.digest[:12],
        ),
        _line(
            "train_rows",
            "{rows:,} snapshots of {accounts:,} accounts taught; {outcomes:,} of these accounts had the outcome.",
            rows=counts.train,
            accounts=report.accounts_train,
            outcomes=report.outcomes_train,
        ),
        _line(
            "test_rows",
            "{rows:,} snapshots of {accounts:,} accounts judged, {unseen:,} of the accounts never seen in training;"
            " {outcomes:,} had the outcome.",
            rows=counts.test,
            accounts=report.accounts_test,
            unseen=report.accounts_unseen,
            outcomes=report.outcomes_test,
        )
        if report.accounts_unseen is not None
        else _line(
            "test_rows_later",
            "{rows:,} snapshots of {accounts:,} accounts judged, after the training; {outcomes:,} had the outcome.",
            rows=counts.test,
            accounts=report.accounts_test,
            outcomes=report.outcomes_test,
        ),
    ]
    if report.test_from is not None and report.default is not None:
        found.append(
            _line(
                "purged_in_time",
                "The test begins at {moment}; {purged:,} snapshots before it were left out, because their outcome was"
                " not known by then.",
                moment=shown(report.test_from),
                purged=counts.purged,
            )
        )
    return found


def _intended(report: Report) -> list[Line]:
    return [
        _line(
            "rank_and_size",
            "Tells sales and marketing how likely an account is to reach the goal {goal} in its time, for accounts in"
            " the stages of the goal, at any moment, and which of its signals go with that.",
            goal=report.goal,
        ),
        _line("a_person_decides", "A person decides what is done; the score orders and sizes the work."),
    ]


def _not_intended() -> list[Line]:
    return [
        _line("not_causal", "It does not say what an action will change: reasons are associations, not causes."),
        _line("not_people", "It is about companies, never about the creditworthiness or the merit of a person."),
        _line("not_automatic", "Nobody should be refused an offer or a service by the score alone."),
        _line("not_elsewhere", "It does not hold for a market, a product or a sales process that it has not seen."),
    ]


def _limits(report: Report) -> list[Line]:
    found = []
    use = report.champion.parts[USE]
    if report.outcomes_train < FEW_OUTCOMES:
        found.append(
            _line(
                "few_outcomes",
                "Only {outcomes:,} accounts with the outcome speak in training: expect the next model to differ.",
                outcomes=report.outcomes_train,
            )
        )
    if not report.is_measured:
        found.append(
            _line(
                "not_judged",
                "Nothing is known of how good it is on later time: {outcomes:,} accounts of the test had the outcome,"
                " too few to measure.",
                outcomes=report.outcomes_test,
            )
        )
    elif use["ece"].value > use["ece_floor_95"].value:
        ece, floor = use["ece"].value, use["ece_floor_95"].value
        found.append(
            _line(
                "ece_above_floor",
                "The calibration error on the test, {ece:.4f}, is above what chance alone would give a perfectly"
                " calibrated model ({floor:.4f}, 95th percentile).",
                ece=ece,
                floor=floor,
            )
        )
    slope = use.get("calibration_slope")
    if slope is not None and slope.low is not None and slope.high is not None and not slope.low <= 1 <= slope.high:
        wrong = "too extreme" if slope.value < 1 else "too timid"
        found.append(
            _line(
                "slope_is_off",
                "Log-odds were {wrong} on the test: calibration slope {slope:.2f} [{low:.2f}, {high:.2f}].",
                wrong=wrong,
                slope=slope.value,
                low=slope.low,
                high=slope.high,
            )
        )
    if report.lag_is_assumed:
        found.append(
            _line(
                "assumed_times",
                "The ledger only has assumed times of becoming known: facts may have been known later than is"
                " taken here, and the figures are then too good.",
            )
        )
    else:
        found.append(
            _line(
                "reporting_lag",
                "Outcomes were awaited {days:.1f} days longer than the goal's time, the reporting lag.",
                days=report.lag / DAY,
            )
        )
    if report.counts.sampled_out:
        found.append(_line("sampled", "{rows:,} snapshots were left out by sampling.", rows=report.counts.sampled_out))
    unmeasured = [f"{one.slice} {one.value}" for one in report.diagnosis.slices if one.measures is None]
    if unmeasured:
        found.append(
            _line(
                "slices_too_small",
                "Too few outcomes to say how good it is for: {names}.",
                names=", ".join(unmeasured),
            )
        )
    return found


def _intervals(report: Report) -> list[Line]:
    return [
        _line(
            "intervals_of_measures",
            "Intervals are 90 %: {draws} draws of whole accounts with replacement (seed {seed}), value plus and minus"
            " 1.645 standard deviations. Differences between rungs are taken on the same draws.",
            draws=DRAWS,
            seed=report.seed,
        ),
        _line(
            "counted_in_accounts",
            "Rows with fewer than {fewest} accounts with or without the outcome are not measured.",
            fewest=FEWEST,
        ),
        _line("calibrated_on", "The calibration line was fitted on {what}.", what=report.calibration),
    ]
