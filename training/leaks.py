"""The leak guard's second line: columns that know more than they can have known.

The first line asks where a column comes from (field maps refuse what was written after the fact). This one looks at the
data alone: at every feature of a goal's data set, and at every attribute of accounts in the ledger, declared or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement
from features.algebra import Latest, atoms, where
from features.feature import Feature
from features.relations import Tables
from models.metrics import auc
from training.dataset import Dataset
from training.splits import Flags

EXTREME_AUC = 0.85
"""A column that alone ranks worse than this is not suspicious, however little the others know."""

EXTREME_FACTOR = 2.0
"""How many times the separation of the strongest other concepts makes a column suspicious."""

STRONGEST = 10
"""How many of the strongest other concepts a column is compared with, by their median."""

JUMP = 0.2
"""How much better on a random split than on the purged one makes a column suspicious, ..."""

JUMP_AUC = 0.8
"""... where the random split ranks at least so well."""

ATTRIBUTE = "attributes."
"""What stands before the name of an attribute that no feature reads."""

_BINS = 64
_BY_CHANCE = 0.55
_PRIOR_ROWS = 20.0
_RANDOM_FOLDS = 5


@dataclass(frozen=True)
class Column:
    """What one column alone knows of the outcome.

    Parameters
    ----------
    name : str
        Of the feature, or of the attribute with `ATTRIBUTE` before it.
    concept : str
    auc : float
        On the test rows, from a table of outcomes by value that was made of the training rows.
    random_auc : float
        On the same rows, from tables made of a random four fifths of all rows: what a careless split would show.
    factor : float
        Its separation, as many times the median of the strongest other concepts.
    is_extreme, is_jumping : bool
        What makes it suspicious.
    """

    name: str
    concept: str
    auc: float
    random_auc: float
    factor: float
    is_extreme: bool
    is_jumping: bool

    @property
    def jump(self) -> float:
        """How much better the random split makes it look."""
        return self.random_auc - self.auc

    @property
    def flags(self) -> tuple[str, ...]:
        """The rules that flag it, by name."""
        return ("extreme",) * self.is_extreme + ("jump",) * self.is_jumping

    @property
    def is_suspicious(self) -> bool:
        """Whether any rule flags it."""
        return bool(self.flags)

    def document(self) -> dict[str, object]:
        """Return the column as JSON writes it."""
        return {
            "column": self.name,
            "concept": self.concept,
            "auc": self.auc,
            "random_auc": self.random_auc,
            "jump": self.jump,
            "factor": self.factor,
            "flags": list(self.flags),
            "findings": self.findings(),
        }

    def findings(self) -> list[str]:
        """Return what is suspicious, each with its mend."""
        told = []
        if self.is_extreme:
            mend = (
                'Give the time it was written in the field map, at = "{column}", or leave it out of the map.'
                if self.name.startswith(ATTRIBUTE)
                else "See that what it reads carries the time it became known (known_at), or leave it out."
            )
            told.append(
                f"{self.name} alone ranks with an AUC of {self.auc:.3f}, {self.factor:.1f} times the separation of the"
                f" strongest others: it may have been written after the outcome. {mend}"
            )
        if self.is_jumping:
            told.append(
                f"{self.name} ranks with an AUC of {self.random_auc:.3f} on a random split, but {self.auc:.3f} on the"
                " purged one: its values name single accounts or stretches of time, so it remembers outcomes and"
                " foresees none. Put its values into groups, or leave it out."
            )
        return told


def with_raw_attributes(agreement: Agreement, tables: Tables) -> Agreement:
    """Return the agreement with a feature for each attribute of accounts that no declared one reads.

    Its name is that of the attribute with `ATTRIBUTE` before it.
    """
    from features.catalogue import catalogue

    read = {
        field
        for feature in catalogue(agreement).features
        for atom in atoms(feature.expression)
        if atom.of == "attributes"
        for field in dict(atom.where.terms).get("field", ())
    }
    own = tables["attributes"].filter(pc.field("entity") == "account")
    fields = sorted(set(own["field"].unique().to_pylist()) - read)
    return replace(agreement, features=(*agreement.features, *(_raw(field, own) for field in fields)))


def judge_columns(data: Dataset, *, seed: int) -> list[Column]:
    """Return what each column of a data set knows alone, the strongest first.

    Parameters
    ----------
    data : Dataset
    seed : int
        Of the random split.

    Notes
    -----
    *Extreme*: the AUC is at least `EXTREME_AUC`, and the `separation` at least
    `EXTREME_FACTOR` times the median of the `STRONGEST` other concepts. Honest signals form a continuum, since
    behaviours overlap: something that stands alone far above the best of them was most likely written once the outcome
    was known. The median keeps one leak from hiding another. What reads the account's stage alone is exempt: the goal
    is asked from it, so that it may well stand alone, and every change of it carries both clocks.

    *Jump*: a random split ranks the same test rows better by more than `JUMP`, at `JUMP_AUC` or above. Neighbouring
    rows of an account share an outcome: a column that tells accounts and weeks apart remembers it. A number that few
    accounts share, such as their revenue, jumps a little, and may.
    """
    fold = np.random.default_rng(seed).integers(0, _RANDOM_FOLDS, len(data.label))
    measured = [
        (feature, *_aucs(_codes(data.table[feature.name].combine_chunks()), data, fold))
        for feature in data.catalogue.features
    ]
    strength: dict[str, float] = {}
    for feature, purged, _ in measured:
        strength[feature.concept] = max(strength.get(feature.concept, 0.0), separation(purged))
    columns = [_column(feature, purged, shuffled, strength) for feature, purged, shuffled in measured]
    return sorted(columns, key=lambda column: (-column.is_suspicious, -column.auc, column.name))


def separation(ranking: float) -> float:
    """Return the distance of the classes in standard deviations that gives an AUC, if both are normal; at least 0.

    ``d = sqrt(2) * Phi^-1(AUC)``; Green and Swets, Signal Detection Theory and Psychophysics (1966).

    Examples
    --------
    >>> round(separation(0.92), 2), separation(0.4)
    (1.99, 0.0)
    """
    return max(2**0.5 * NormalDist().inv_cdf(min(max(ranking, 1e-9), 1 - 1e-9)), 0.0)


def _raw(field: str, attributes: pa.Table) -> Feature:
    values = attributes.filter(pc.field("field") == field)["value"].drop_null()
    is_number = bool(pc.all(pc.match_substring_regex(values, r"^-?\d+(\.\d+)?$"), min_count=1).as_py())
    name = f"{ATTRIBUTE}{field}"
    texts = {"en": name, "zh": name}
    latest = Latest("attributes", "number" if is_number else "value", where(field=field))
    return Feature(name, name, "fit", "value", texts, texts, texts, latest)


def _column(feature: Feature, purged: float, shuffled: float, strength: Mapping[str, float]) -> Column:
    others = sorted((value for concept, value in strength.items() if concept != feature.concept), reverse=True)
    # Columns that know nothing still rank a little better than a coin.
    reference = max(float(np.median(others[:STRONGEST])) if others else 0.0, separation(_BY_CHANCE))
    factor = separation(purged) / reference
    is_stage = all(atom.of == "stages" for atom in atoms(feature.expression))
    return Column(
        feature.name,
        feature.concept,
        purged,
        shuffled,
        factor,
        is_extreme=purged >= EXTREME_AUC and factor >= EXTREME_FACTOR and not is_stage,
        is_jumping=shuffled >= JUMP_AUC and shuffled - purged > JUMP,
    )


def _codes(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the values as small integers, missing ones 0; numbers of many values in bins of equal count."""
    if pa.types.is_string(column.type):
        return np.asarray(column.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1, np.int64)
    values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    known = values[np.isfinite(values)]
    edges = np.unique(known)
    if len(edges) > _BINS:
        edges = np.unique(np.quantile(known, np.arange(_BINS) / _BINS))
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), 0)


def _aucs(codes: npt.NDArray[np.int64], data: Dataset, fold: npt.NDArray[np.int64]) -> tuple[float, float]:
    test = data.split.test
    if codes.min(initial=0) == codes.max(initial=0):
        return 0.5, 0.5
    purged = _rates(codes, data.label, data.split.train)[codes[test]]
    shuffled = np.empty(len(codes))
    for held_out in range(_RANDOM_FOLDS):
        here = fold == held_out
        shuffled[here] = _rates(codes, data.label, ~here)[codes[here]]
    labels = data.label[test]
    return auc(labels, purged), auc(labels, shuffled[test])


def _rates(codes: npt.NDArray[np.int64], label: npt.NDArray[np.int8], rows: Flags) -> npt.NDArray[np.float64]:
    """Return the share of positives by code among some rows, drawn towards the share of all by `_PRIOR_ROWS`."""
    size, told = int(codes.max()) + 1, label[rows].astype(np.float64)
    count = np.bincount(codes[rows], minlength=size)
    positive = np.bincount(codes[rows], weights=told, minlength=size)
    rates: npt.NDArray[np.float64] = (positive + _PRIOR_ROWS * told.mean()) / (count + _PRIOR_ROWS)
    return rates
