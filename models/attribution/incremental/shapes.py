"""How a lever's touches may act on the log-hazard: the forms that the response model chooses from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Integers
from models.attribution.incremental.exposure import State

HALF_LIVES = np.array([3.5, 7.0, 14.0, 28.0, 56.0, np.inf])
"""In days; with an endless one nothing fades."""


@dataclass(frozen=True)
class Shape:
    """What becomes of the state of one lever before a coefficient multiplies it; 0 where it never touched.

    Parameters
    ----------
    half_life : int
        Place in `HALF_LIVES` of the adstock a that is read.
    curve : str
        ``presence`` (1), ``linear`` (a), ``saturating`` (1 - exp(-a)) or ``log`` (log(1 + a)).
    """

    half_life: int
    curve: str

    def of(self, state: State) -> Floats:
        """Return the shape at the moments that the state speaks of, of shape (s,)."""
        return _CURVES[self.curve](state.adstock[:, self.half_life])


_CURVES: Mapping[str, Callable[[Floats], Floats]] = {
    "presence": np.ones_like,
    "linear": lambda a: a,
    "saturating": lambda a: -np.expm1(-a),
    "log": np.log1p,
}

PRESENCE = Shape(len(HALF_LIVES) - 1, "presence")

SHAPES = (
    PRESENCE,
    *(Shape(place, curve) for place in range(len(HALF_LIVES)) for curve in ("linear", "saturating", "log")),
)
"""All forms, the plainest first."""


@dataclass(frozen=True, order=True)
class Pair:
    """Two levers that together do more, or less, than each by itself.

    Parameters
    ----------
    first, second : int
        Places of the levers.
    in_order : bool
        Whether it takes a touch of `second` after the first one of `first`; else it is enough that both have touched.
    """

    first: int
    second: int
    in_order: bool

    def rows(self, states: list[State]) -> Integers:
        """Return the moments at which the pair was there, ascending."""
        one, two = states[self.first], states[self.second]
        rows, of_one, of_two = np.intersect1d(one.rows, two.rows, assume_unique=True, return_indices=True)
        return rows[two.last[of_two] > one.first[of_one]] if self.in_order else rows


def all_pairs(levers: int) -> list[Pair]:
    """Return every pair that could show."""
    return [
        Pair(first, second, in_order)
        for first in range(levers)
        for second in range(levers)
        for in_order in (False, True)
        if first < second or (in_order and first > second)
    ]


@dataclass(frozen=True)
class Form:
    """What the log-hazard has a term for: one for each lever, then one for each pair that showed."""

    shapes: tuple[Shape, ...]
    pairs: tuple[Pair, ...] = ()

    @property
    def size(self) -> int:
        """The number of terms."""
        return len(self.shapes) + len(self.pairs)

    def design(self, states: list[State], size: int) -> Floats:
        """Return the terms at r = `size` moments, of shape (r, n_terms)."""
        design = np.zeros((size, self.size))
        for lever, (shape, state) in enumerate(zip(self.shapes, states, strict=True)):
            design[state.rows, lever] = shape.of(state)
        for place, pair in enumerate(self.pairs, len(self.shapes)):
            design[pair.rows(states), place] = 1.0
        return design
