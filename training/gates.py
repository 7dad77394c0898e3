"""The gates of a promotion: what a candidate must show, on rows that are new to it and to the champion.

A fault counts when its 90 % interval, which draws accounts with all their rows, excludes it from chance. But little
evidence is no proof: against a champion, a candidate must be shown not to be much worse. The thresholds are those of
this module and of no file: a gate that can be set aside is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.catalogue import Catalogue
from features.errors import BundleError
from models.bootstrap import Bootstrap, Estimate, Measured
from models.bundle import Bundle, question_of
from models.drift import bin_edges, chance_index, stability_index
from models.explain import points_per_logit
from models.metrics import sigmoid
from training.config import TrainingConfig
from training.dataset import Dataset
from training.diagnosis import slices_of
from training.holdout import outcomes
from training.parts import FEWEST, TestRows
from training.verdict import NOT_JUDGED, PASSED, REFUSED, Gate, Verdict

GATES = ("manifest", "hold_out", "calibration", "stability", "slices", "explanations")

FEWEST_AGAINST_CHAMPION = 50
"""Accounts with the outcome, and without, without which a champion is not replaced."""

MARGIN = 0.1
"""Share of what the champion gains over the base rate, in Brier score, that a candidate may lose at worst."""

SLOPES = (0.9, 1.1)
"""Calibration slopes that are good enough; refused is an interval that lies wholly outside."""

MATERIAL_ECE = 0.02
MATERIAL_SHARE = 0.1
"""Calibration error that is let by even where it exceeds what chance gives a perfect model: the smaller of the first
and of this share of the base rate."""

RATIOS = (0.8, 1.25)
"""Mean probability over observed share that is good enough; refused is an interval that lies wholly outside."""

MOVED = 0.2
"""Population stability index beyond which a distribution has moved; what chance alone gives is added to it."""

EXACT = 1e-9
"""Relative error of a sum of contributions."""

_SAMPLE = 500


def judge(candidate: Bundle, champion: Bundle | None, holdout: Dataset, config: TrainingConfig) -> Verdict:
    """Put a candidate before every gate.

    Parameters
    ----------
    candidate : Bundle
    champion : Bundle or None
        None for the first version of a goal: the hold-out is then compared with the base rate, and nothing with what
        is not there. The same holds for a champion whose features or whose question are not today's.
    holdout : Dataset
        Snapshots new to both (`training.holdout`).
    config : TrainingConfig
        By what the hold-out was asked; its seed is that of the draws of accounts.
    """
    if champion is not None and not _is_todays(champion, holdout.catalogue, config):
        champion = None
    fewest = FEWEST if champion is None else FEWEST_AGAINST_CHAMPION
    gates = [_manifest(candidate, holdout.catalogue, config)]
    if gates[0].outcome == REFUSED:
        gates += [Gate(name, NOT_JUDGED, "it is not a model of today's question and features.") for name in GATES[1:]]
    elif min(outcomes(holdout)) < fewest:
        gates += _too_few(candidate, champion, holdout, fewest)
    else:
        compared = _Compared.of(candidate, champion, holdout, config.seed)
        gates += [_hold_out(compared), _calibration(compared), _stability(compared), _slices(compared)]
        gates.append(_explanations(candidate, compared.X))
    return Verdict(
        goal=candidate.goal,
        candidate=candidate.digest,
        champion="" if champion is None else champion.digest,
        rows=len(holdout.label),
        accounts=len(np.unique(holdout.account_id)),
        outcomes=outcomes(holdout)[0],
        since=int(holdout.as_of.min()) if len(holdout.as_of) else None,
        settings={name: value for name, value in config.flat().items() if not name.startswith("lightgbm.")},
        gates=tuple(gates),
    )


def definitions_that_differ(bundle: Bundle, declared: Catalogue) -> tuple[str, ...]:
    """Return the features of a bundle that today's catalogue lacks, or forms in another way; words do not count."""
    today = {str(one["name"]): _formed(one) for one in declared.definitions()}
    return tuple(str(one["name"]) for one in bundle.catalogue if today.get(str(one["name"])) != _formed(one))


@dataclass(frozen=True)
class _Compared:
    """Both models on the rows of the hold-out."""

    candidate: Bundle
    champion: Bundle | None
    holdout: Dataset
    X: npt.NDArray[np.float64]
    logit: npt.NDArray[np.float64]
    standard: npt.NDArray[np.float64]
    """Log-odds to be compared with: the champion's, else those of the base rate in training."""
    seed: int
    draws: Bootstrap
    measured: Measured
    standing: Measured

    @classmethod
    def of(cls, candidate: Bundle, champion: Bundle | None, holdout: Dataset, seed: int) -> _Compared:
        X = candidate.encoding.matrix(holdout.table)
        logit = candidate.logit(X)
        if champion is None:
            rate = candidate.background.base_rate
            standard = np.full(len(logit), np.log(rate / (1 - rate)))
        else:
            standard = champion.logit(champion.encoding.matrix(holdout.table))
        draws = Bootstrap.of(holdout.label, holdout.account_id, holdout.weight, seed=seed)
        measured, standing = draws.measure(logit), draws.measure(standard)
        return cls(candidate, champion, holdout, X, logit, standard, seed, draws, measured, standing)

    @property
    def other(self) -> str:
        return "the base rate's" if self.champion is None else "the champion's"

    @property
    def excess(self) -> npt.NDArray[np.float64]:
        """Squared error of each row less that of the standard."""
        y = self.holdout.label
        found: npt.NDArray[np.float64] = (sigmoid(self.logit) - y) ** 2 - (sigmoid(self.standard) - y) ** 2
        return found


def _is_todays(bundle: Bundle, declared: Catalogue, config: TrainingConfig) -> bool:
    return bundle.question == question_of(config.goal) and not definitions_that_differ(bundle, declared)


def _manifest(candidate: Bundle, declared: Catalogue, config: TrainingConfig) -> Gate:
    asked = question_of(config.goal)
    if candidate.question != asked:
        return Gate(
            "manifest",
            REFUSED,
            f"it was trained for another goal than {candidate.goal} is today: {_worded(candidate.question)};"
            f" today {_worded(asked)}.",
            f"train again for today's goal, or take the change of [goals.{candidate.goal}] back.",
        )
    different = definitions_that_differ(candidate, declared)
    if different:
        named = ", ".join(different[:5]) + (f" and {len(different) - 5} more" if len(different) > 5 else "")
        return Gate(
            "manifest",
            REFUSED,
            f"{len(different)} of its {len(candidate.catalogue)} features are declared otherwise today: {named}.",
            "train again with today's catalogue, or take the change of [features] or [touch_types] back.",
            {"features": len(candidate.catalogue), "different": len(different)},
        )
    found = f"its goal is today's, and its {len(candidate.catalogue)} features are formed as today's catalogue says."
    return Gate("manifest", PASSED, found, figures={"features": len(candidate.catalogue), "different": 0})


def _too_few(candidate: Bundle, champion: Bundle | None, holdout: Dataset, fewest: int) -> Iterator[Gate]:
    positive, negative = outcomes(holdout)
    found = (
        f"not judged: {positive} accounts with the outcome and {negative} without are new to it"
        f"{'' if champion is None else ' and to the champion'}; {fewest} of each are needed."
    )
    mend = "wait for outcomes."
    if not len(holdout.label) and holdout.split.test_from is None:
        mend = "accounts divide the data, so that both must be trained on this very data, with one seed and fold."
    figures = {"outcomes": positive, "without": negative}
    # A first version is shrunk towards the rule when outcomes are few, and nothing better stands in its place.
    outcome = NOT_JUDGED if champion is None else REFUSED
    yield Gate("hold_out", outcome, found, mend, figures)
    for name in GATES[2:5]:
        yield Gate(name, NOT_JUDGED, found, figures=figures)
    yield _explanations(candidate, candidate.encoding.matrix(holdout.table))


def _hold_out(compared: _Compared) -> Gate:
    difference = compared.draws.mean(compared.excess)
    found = (
        f"Brier score {compared.measured.values['brier']:.4f} against {compared.other}"
        f" {compared.standing.values['brier']:.4f}: {_signed(difference)}."
    )
    low, high = difference.bounds
    # Against the base rate it is enough not to be worse; a champion is not given up for one that may be.
    margin = None if compared.champion is None else MARGIN * max(_gain(compared.standing), 0.0)
    refused = low > 0 or (margin is not None and high > margin)
    if margin is not None:
        found += (
            f" Its upper end must be at most {margin:+.4f}, {MARGIN:.0%} of the champion's gain over the base rate."
        )
    auc = compared.measured.minus(compared.standing).get("auc", Estimate(0.0))
    figures = {**_figures("brier_difference", difference), **_figures("auc_difference", auc), "margin": margin}
    mend = "keep the champion; look for what the candidate lacks: smarketing models diff, and its report."
    if low <= 0:
        mend = (
            "wait for outcomes: it may be as good, which too few of them show yet; or look at smarketing models diff."
        )
    return Gate("hold_out", REFUSED if refused else PASSED, found, mend, figures)


def _calibration(compared: _Compared) -> Gate:
    slope = compared.measured.estimates().get("calibration_slope")
    ece, bar = compared.measured.values["ece"], _ece_bar(compared.measured)
    ratio = _ratio(compared)
    bent = (slope is not None and _outside(slope, SLOPES)) or _outside(ratio, RATIOS)
    standing = compared.standing.values["ece"]
    # A miss does not keep a worse champion in its place.
    no_better = compared.champion is None or ece > standing or standing <= _ece_bar(compared.standing)
    found = (
        f"slope {'not measurable' if slope is None else _plain(slope)}, to lie in {SLOPES[0]:g} to {SLOPES[1]:g};"
        f" mean probability over observed share {_plain(ratio)}, to lie in {RATIOS[0]:g} to {RATIOS[1]:g};"
        f" calibration error {ece:.4f}, to be at most {bar:.4f}."
    )
    mend = "train on later data, or with more rows; look at the reliability and the weekly slope in its report."
    figures = {
        **_figures("slope", slope),
        **_figures("ratio", ratio),
        "ece": ece,
        "ece_bar": bar,
        "ece_standing": standing,
    }
    return Gate("calibration", REFUSED if (bent or ece > bar) and no_better else PASSED, found, mend, figures)


def _stability(compared: _Compared) -> Gate:
    taught, latest = compared.candidate.background.margins, _latest(compared.holdout)
    edges = bin_edges(taught)
    accounts = len(latest)
    since = stability_index(taught, compared.candidate.scorer.margin(compared.X[latest]), edges)
    since_bar = MOVED + chance_index(len(edges) + 1, accounts, accounts)
    found = f"scores of the hold-out against those of training {since:.3f}, to be at most {since_bar:.3f}"
    figures: dict[str, float | None] = {"since_training": since, "since_training_bar": since_bar}
    moved = since > since_bar
    if compared.champion is not None:
        edges = bin_edges(compared.standard[latest])
        change = stability_index(compared.standard[latest], compared.logit[latest], edges)
        bar = MOVED + chance_index(len(edges) + 1, accounts, accounts)
        difference = compared.draws.mean(compared.excess)
        proven = difference.high is not None and difference.high < 0
        found += f"; against the champion's {change:.3f}, to be at most {bar:.3f}"
        found += " unless the candidate is proven better, which it is" if proven and change > bar else ""
        figures |= {"since_champion": change, "since_champion_bar": bar}
        moved = moved or (change > bar and not proven)
    mend = "train on later data; if the market itself has changed, widen the test and look at its weeks in the report."
    return Gate("stability", REFUSED if moved else PASSED, found + ".", mend, figures)


def _slices(compared: _Compared) -> Gate:
    if compared.champion is None:
        return Gate("slices", NOT_JUDGED, "there is no champion to compare slices with.")
    from scipy.stats import norm

    from models.metrics import clustered_mean

    holdout, excess = compared.holdout, compared.excess
    found = [one for one in slices_of(TestRows.of(holdout, compared.seed)) if one[2].is_enough]
    slices = [(f"{name} = {value}", part.rows) for name, value, part in found]
    if not slices:
        return Gate("slices", NOT_JUDGED, f"no slice has {FEWEST} accounts with the outcome and {FEWEST} without.")
    # Of many slices one looks worse by chance: the level of a single test is divided among them.
    z = float(norm.ppf(1 - 0.05 / len(slices)))
    worse: list[str] = []
    figures: dict[str, float | None] = {"slices": len(slices)}
    for name, rows in slices:
        mean, error = clustered_mean(excess[rows], holdout.account_id[rows], holdout.weight[rows])
        if mean - z * error > 0:
            worse.append(f"{name} {mean:+.4f} ± {z * error:.4f}")
            figures[name] = mean
    if worse:
        text = f"the Brier score is worse than the champion's in {'; '.join(worse)}."
        return Gate("slices", REFUSED, text, "look at these slices in its report; train with more of them.", figures)
    return Gate("slices", PASSED, f"none of {len(slices)} is worse than under the champion.", figures=figures)


def _explanations(candidate: Bundle, X: npt.NDArray[np.float64]) -> Gate:
    rows = X[np.unique(np.linspace(0, len(X) - 1, min(_SAMPLE, len(X))).astype(np.int64))] if len(X) else X
    mend = "do not use this bundle: its model file or its scorer is damaged. Train again."
    try:
        candidate.check_golden()
    except BundleError as error:
        return Gate("explanations", REFUSED, f"{error}", mend)
    gap = max(_sum_gap(candidate, rows), _sum_gap(candidate, candidate.background.golden_rows))
    number = len(rows) + len(candidate.background.golden_rows)
    found = f"contributions of {number} accounts sum to their scores to {gap:.1e}, to be at most {EXACT:.0e}."
    return Gate("explanations", PASSED if gap <= EXACT else REFUSED, found, mend, {"gap": gap})


def _sum_gap(bundle: Bundle, X: npt.NDArray[np.float64]) -> float:
    """Return the largest relative error of both sums: of log-odds, and of percentage points."""
    if not len(X):
        return 0.0
    added, line = bundle.scorer.contributions(X), bundle.calibration
    logits, base, expected = line.a * added[:, :-1], line.logit(added[:, -1]), bundle.logit(X)
    total = base + logits.sum(axis=1)
    points = (logits * points_per_logit(total, base)[:, None]).sum(axis=1)
    gaps = np.abs(total - expected) / np.maximum(1.0, np.abs(expected))
    return float(max(gaps.max(), np.abs(points - (sigmoid(expected) - sigmoid(base))).max()))


def _latest(holdout: Dataset) -> npt.NDArray[np.int64]:
    """Return the row of each account's latest snapshot: what the distribution of training is made of, too."""
    order = np.lexsort((holdout.as_of, holdout.account_id))
    account = holdout.account_id[order]
    found: npt.NDArray[np.int64] = order[np.append(account[1:] != account[:-1], True)]
    return found


def _gain(measured: Measured) -> float:
    """Return by how much the Brier score is better than that of the observed share."""
    rate = measured.values["base_rate"]
    return rate * (1 - rate) - measured.values["brier"]


def _ratio(compared: _Compared) -> Estimate:
    """Return the mean probability over the observed share: of a ratio, the interval to first order."""
    y, w, p = compared.holdout.label, compared.draws.weights, sigmoid(compared.logit)
    observed = float(np.average(y, weights=w))
    value = float(np.average(p, weights=w)) / observed
    half = compared.draws.mean(p - value * y).half / observed
    return Estimate(value, value - half, value + half)


def _ece_bar(measured: Measured) -> float:
    material = min(MATERIAL_ECE, MATERIAL_SHARE * measured.values["base_rate"])
    return max(material, measured.values["ece_floor_95"])


def _outside(found: Estimate, allowed: tuple[float, float]) -> bool:
    low, high = found.bounds
    return low > allowed[1] or high < allowed[0]


def _worded(question: Mapping[str, Any]) -> str:
    return (
        f"from {', '.join(question['from'])} to {question['reach']} ({question['kind']})"
        f" within {question['within_days']} days"
    )


def _formed(definition: Mapping[str, Any]) -> tuple[Any, Any]:
    return definition["dtype"], definition["expression"]


def _plain(found: Estimate) -> str:
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _signed(found: Estimate) -> str:
    return f"{found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


def _figures(name: str, found: Estimate | None) -> dict[str, float | None]:
    if found is None:
        return {name: None}
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
