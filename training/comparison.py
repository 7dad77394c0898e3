"""Two versions of a model side by side: what they were told, what they read, and how they do on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.bootstrap import Bootstrap, Estimate
from models.bundle import Bundle
from training.dataset import Dataset
from training.holdout import outcomes
from training.parts import FEWEST
from training.registry import Version

MEASURES = ("auc", "pr_auc", "brier", "log_loss", "ece", "calibration_slope", "lift_at_10")


@dataclass(frozen=True)
class Comparison:
    """Version A against version B.

    Parameters
    ----------
    params : mapping of str to (str or None, str or None)
        Those that differ, with what A and B were told; None where one was not told.
    added, removed, changed : tuple of str
        Features that only B has, that only A has, and that the two form in different ways.
    rows, accounts, outcomes : int
        Of the hold-out that taught neither.
    measures : mapping of str to (Estimate, Estimate, Estimate)
        A's, B's, and B's minus A's on the same draws; empty when the hold-out has too few outcomes.
    """

    params: Mapping[str, tuple[str | None, str | None]]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    rows: int
    accounts: int
    outcomes: int
    measures: Mapping[str, tuple[Estimate, Estimate, Estimate]]

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON writes it."""
        measures = {
            name: dict(zip(("a", "b", "difference"), (asdict(one) for one in three), strict=True))
            for name, three in self.measures.items()
        }
        params = {name: {"a": a, "b": b} for name, (a, b) in self.params.items()}
        return {**asdict(self), "params": params, "measures": measures}

    def text(self) -> str:
        """Return the comparison as people read it."""
        lines = [f"Parameters that differ: {len(self.params) or 'none'}"]
        lines += [f"  {name:<32} {a or '-'} -> {b or '-'}" for name, (a, b) in self.params.items()]
        for word, names in (("added", self.added), ("removed", self.removed), ("changed", self.changed)):
            lines.append(f"Features {word}: {', '.join(names) or 'none'}")
        lines.append(
            f"On {self.rows:,} snapshots of {self.accounts:,} accounts ({self.outcomes:,} with the outcome) that"
            " taught neither:"
        )
        if not self.measures:
            lines.append(f"  too few to measure; {FEWEST} accounts with the outcome and without are needed")
        for name, (a, b, difference) in self.measures.items():
            sure = "" if difference.excludes_zero else "  (may be chance)"
            lines.append(f"  {name:<18} {a.value:8.4f} -> {b.value:8.4f}   {_interval(difference)}{sure}")
        return "\n".join(lines)


def compare(
    first: tuple[Version, Bundle], second: tuple[Version, Bundle], holdout: Dataset, *, seed: int = 0
) -> Comparison:
    """Compare two versions of one goal.

    Parameters
    ----------
    first, second : (Version, Bundle)
        A and B.
    holdout : Dataset
        Snapshots that are new to both.
    seed : int, default=0
        Of the draws of accounts.
    """
    (version_a, a), (version_b, b) = first, second
    formed_a, formed_b = ({str(one["name"]): _formed(one) for one in bundle.catalogue} for bundle in (a, b))
    shared = formed_a.keys() & formed_b.keys()
    return Comparison(
        params=_different(version_a.params, version_b.params),
        added=tuple(sorted(formed_b.keys() - shared)),
        removed=tuple(sorted(formed_a.keys() - shared)),
        changed=tuple(sorted(name for name in shared if formed_a[name] != formed_b[name])),
        rows=len(holdout.label),
        accounts=len(set(holdout.account_id.tolist())),
        outcomes=outcomes(holdout)[0],
        measures=_measured(a, b, holdout, seed) if min(outcomes(holdout)) >= FEWEST else {},
    )


def _measured(a: Bundle, b: Bundle, holdout: Dataset, seed: int) -> dict[str, tuple[Estimate, Estimate, Estimate]]:
    draws = Bootstrap.of(holdout.label, holdout.account_id, holdout.weight, seed=seed)
    one, two = (draws.measure(bundle.logit(bundle.encoding.matrix(holdout.table))) for bundle in (a, b))
    of_a, of_b, difference = one.estimates(), two.estimates(), two.minus(one)
    return {name: (of_a[name], of_b[name], difference[name]) for name in MEASURES if name in difference}


def _different(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    return {name: (a.get(name), b.get(name)) for name in sorted({*a, *b}) if a.get(name) != b.get(name)}


def _formed(definition: Mapping[str, Any]) -> tuple[Any, Any]:
    return definition["dtype"], definition["expression"]


def _interval(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:+.4f}"
    return f"{found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
