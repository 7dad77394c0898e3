"""The gates of a promotion: what a candidate must show, on rows that are new to it and to the champion.

Every gate refuses on evidence, not on doubt: a difference counts when its 90 % interval, which draws accounts with
all their rows, excludes it from chance. The thresholds are those of this module and of no file: a gate that can be
set aside is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.catalogue import Catalogue
from features.errors import BundleError
from models.bootstrap import Bootstrap, Estimate, Measured
from models.bundle import Bundle
from models.drift import bin_edges, chance_index, stability_index
from models.explain import points_per_logit
from models.metrics import sigmoid
from training.dataset import Dataset
from training.holdout import outcomes
from training.verdict import NOT_JUDGED, PASSED, REFUSED, Gate, Verdict

GATES = ("manifest", "hold_out", "calibration", "stability", "slices", "explanations")

FEWEST_OUTCOMES = 10
"""Accounts with the outcome, and without, that a hold-out or a slice must have to be measured on."""

SLOPES = (0.9, 1.1)
"""Calibration slopes that are good enough; refused is an interval that lies wholly outside."""

MATERIAL_ECE = 0.02
"""Calibration error that is let by even where it exceeds what chance gives a perfect model."""

MOVED = 0.2
"""Population stability index beyond which a distribution has moved; what chance alone gives is added to it."""

EXACT = 1e-9
"""Relative error of a sum of contributions."""

_SAMPLE = 500


def judge(candidate: Bundle, champion: Bundle | None, holdout: Dataset, *, seed: int = 0) -> Verdict:
    """Put a candidate before every gate.

    Parameters
    ----------
    candidate : Bundle
    champion : Bundle or None
        None for the first version of a goal: the hold-out is then compared with the base rate, and nothing with what
        is not there. The same holds for a champion whose features are no longer what today's catalogue declares.
    holdout : Dataset
        Snapshots new to both (`training.holdout`).
    seed : int, default=0
        Of the draws of accounts.
    """
    if champion is not None and definitions_that_differ(champion, holdout.catalogue):
        champion = None
    gates = [_manifest(candidate, holdout.catalogue)]
    if gates[0].outcome == REFUSED:
        gates += [Gate(name, NOT_JUDGED, "the features are not those of today's catalogue") for name in GATES[1:]]
    elif min(outcomes(holdout)) < FEWEST_OUTCOMES:
        gates += _too_few(candidate, champion, holdout)
    else:
        compared = _Compared.of(candidate, champion, holdout, seed)
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
        return cls(candidate, champion, holdout, X, logit, standard, draws, measured, standing)

    @property
    def other(self) -> str:
        return "the base rate's" if self.champion is None else "the champion's"

    @property
    def excess(self) -> npt.NDArray[np.float64]:
        """Squared error of each row less that of the standard."""
        y = self.holdout.label
        found: npt.NDArray[np.float64] = (sigmoid(self.logit) - y) ** 2 - (sigmoid(self.standard) - y) ** 2
        return found


def _manifest(candidate: Bundle, declared: Catalogue) -> Gate:
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
    found = f"its {len(candidate.catalogue)} features are formed as today's catalogue says."
    return Gate("manifest", PASSED, found, figures={"features": len(candidate.catalogue), "different": 0})


def _too_few(candidate: Bundle, champion: Bundle | None, holdout: Dataset) -> Iterator[Gate]:
    positive, negative = outcomes(holdout)
    found = (
        f"{positive} accounts with the outcome and {negative} without are new to it; {FEWEST_OUTCOMES} of each are"
        " needed to measure."
    )
    figures = {"outcomes": positive, "without": negative}
    # A first version is shrunk towards the rule when outcomes are few, and nothing better stands in its place.
    outcome = NOT_JUDGED if champion is None else REFUSED
    yield Gate("hold_out", outcome, found, "wait for outcomes, or widen [snapshots] and [split].", figures)
    for name in GATES[2:5]:
        yield Gate(name, NOT_JUDGED, found, figures=figures)
    yield _explanations(candidate, candidate.encoding.matrix(holdout.table))


def _hold_out(compared: _Compared) -> Gate:
    difference = compared.draws.mean(compared.excess)
    found = (
        f"Brier score {compared.measured.values['brier']:.4f} against {compared.other}"
        f" {compared.standing.values['brier']:.4f}: {_signed(difference)}."
    )
    worse = difference.low is not None and difference.low > 0
    auc = compared.measured.minus(compared.standing).get("auc", Estimate(0.0))
    figures = {**_figures("brier_difference", difference), **_figures("auc_difference", auc)}
    mend = "keep the champion; look for what the candidate lacks: smarketing models diff, and its report."
    return Gate("hold_out", REFUSED if worse else PASSED, found, mend, figures)


def _calibration(compared: _Compared) -> Gate:
    slope = compared.measured.estimates().get("calibration_slope")
    ece, bar = compared.measured.values["ece"], _ece_bar(compared.measured)
    bent = slope is not None and _outside(slope)
    standing = compared.standing.values["ece"]
    # A miss does not keep a worse champion in its place.
    no_better = compared.champion is None or ece > standing or standing <= _ece_bar(compared.standing)
    found = (
        f"slope {'not measurable' if slope is None else _plain(slope)}, to lie in {SLOPES[0]:g} to {SLOPES[1]:g};"
        f" calibration error {ece:.4f}, to be at most {bar:.4f}."
    )
    mend = "train on later data, or with more rows; look at the reliability and the weekly slope in its report."
    figures = {**_figures("slope", slope), "ece": ece, "ece_bar": bar, "ece_standing": standing}
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
    slices = list(_measurable(holdout))
    # Of many slices one looks worse by chance: the level of a single test is divided among them.
    z = float(norm.ppf(1 - 0.05 / max(len(slices), 1)))
    worse: list[str] = []
    figures: dict[str, float | None] = {"slices": len(slices)}
    for name, rows in slices:
        mean, error = clustered_mean(excess[rows], holdout.account_id[rows], holdout.weight[rows])
        if mean - z * error > 0:
            worse.append(f"{name} {mean:+.4f} ± {z * error:.4f}")
            figures[name] = mean
    if worse:
        found = f"the Brier score is worse than the champion's in {'; '.join(worse)}."
        return Gate("slices", REFUSED, found, "look at these slices in its report; train with more of them.", figures)
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


def _measurable(holdout: Dataset) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield the slices with enough outcomes: a value of a category of the account each."""
    for feature in holdout.catalogue.features:
        if feature.dtype != "category":
            continue
        values = np.array(holdout.table.column(feature.name).to_pylist(), dtype=object)
        for value in sorted({value for value in values.tolist() if value is not None}):
            rows = values == value
            if not rows.all() and _can_measure(holdout, rows):
                yield f"{feature.name} = {value}", rows


def _can_measure(holdout: Dataset, rows: npt.NDArray[np.bool_]) -> bool:
    positive = rows & (holdout.label > 0)
    sides: Sequence[npt.NDArray[np.bool_]] = (positive, rows & ~positive)
    return min(len(np.unique(holdout.account_id[one])) for one in sides) >= FEWEST_OUTCOMES


def _latest(holdout: Dataset) -> npt.NDArray[np.int64]:
    """Return the row of each account's latest snapshot: what the distribution of training is made of, too."""
    order = np.lexsort((holdout.as_of, holdout.account_id))
    account = holdout.account_id[order]
    found: npt.NDArray[np.int64] = order[np.append(account[1:] != account[:-1], True)]
    return found


def _ece_bar(measured: Measured) -> float:
    return max(MATERIAL_ECE, measured.values["ece_floor_95"])


def _outside(slope: Estimate) -> bool:
    return slope.low is not None and slope.high is not None and (slope.low > SLOPES[1] or slope.high < SLOPES[0])


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
