"""What both evaluators have to compute: the different atoms of a catalogue, and how features follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.algebra import RELATIONS, Atom, Latest, Ratio, atoms
from features.catalogue import Catalogue


@dataclass(frozen=True)
class Plan:
    """Atoms, each once, and the place of every feature's parts among them.

    Parameters
    ----------
    atoms : tuple of Atom
    numerator, denominator : tuple of int
        Per feature, index into `atoms`; the denominator is -1 unless the feature is a ratio.
    scale : tuple of float
        Per feature; 1 unless the feature is a ratio.
    """

    atoms: tuple[Atom, ...]
    numerator: tuple[int, ...]
    denominator: tuple[int, ...]
    scale: tuple[float, ...]

    def feature(self, index: int, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the numbers of one feature from those of the atoms, shape (n_atoms, n); NaN where its divisor is 0."""
        top, bottom = numbers[self.numerator[index]], self.denominator[index]
        if bottom < 0:
            return np.asarray(top)
        divisor = numbers[bottom]
        ratio = np.divide(top, divisor, out=np.full_like(top, np.nan), where=divisor != 0)
        return np.asarray(ratio * self.scale[index])

    def assemble(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the number of every feature, shape (n_features,), from those of the atoms, shape (n_atoms,)."""
        values = numbers[self._tops]
        if len(self._ratios):
            divisor = numbers[self._bottoms]
            divisor[divisor == 0] = np.nan
            values[self._ratios] = values[self._ratios] / divisor * self._factors
        return values

    @cached_property
    def _tops(self) -> npt.NDArray[np.int64]:
        return np.array(self.numerator, dtype=np.int64)

    @cached_property
    def _ratios(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.array(self.denominator) >= 0)

    @cached_property
    def _bottoms(self) -> npt.NDArray[np.int64]:
        return np.array(self.denominator, dtype=np.int64)[self._ratios]

    @cached_property
    def _factors(self) -> npt.NDArray[np.float64]:
        return np.array(self.scale)[self._ratios]


def plan(catalogue: Catalogue) -> Plan:
    """Return the plan of a catalogue."""
    index: dict[Atom, int] = {}
    numerator, denominator, scale = [], [], []
    for feature in catalogue.features:
        parts = [index.setdefault(atom, len(index)) for atom in atoms(feature.expression)]
        numerator.append(parts[0])
        denominator.append(parts[1] if len(parts) == 2 else -1)
        scale.append(feature.expression.scale if isinstance(feature.expression, Ratio) else 1.0)
    return Plan(tuple(index), tuple(numerator), tuple(denominator), tuple(scale))


def is_text(atom: Atom) -> bool:
    """Tell whether an atom gives text."""
    return isinstance(atom, Latest) and atom.column in RELATIONS[atom.of]["text"]
