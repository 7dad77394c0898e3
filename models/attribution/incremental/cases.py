"""The conversions to be explained, as the fitted responses see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.arrays import Floats, Integers
from models.attribution.incremental.game import Game
from models.attribution.incremental.shapes import Form
from models.attribution.incremental.worth import Worth, worth

_CELLS = 400_000
"""Conversions times coalitions that are worked out at once."""


@dataclass(frozen=True)
class Passing:
    """How n conversions made one of their passages.

    Parameters
    ----------
    form : Form
    terms : array of shape (n, n_terms)
        Terms of the form at the passage; 0 for a conversion that did not make it: then it is worth 1 under any levers.
    beta : array of shape (n_terms,)
    ended : array of int64, shape (n,)
        When the passage was made, in microseconds; a time before all touches for a conversion that did not make it.
    ahead : array of shape (n,)
        As `models.attribution.incremental.worth.worth` has it.
    slope : array of shape (n, q)
        Gradient of `ahead` in the coefficients of the surroundings.
    loss : array of shape (n,)
        As `worth` has it.
    """

    form: Form
    terms: Floats
    beta: Floats
    ended: Integers
    ahead: Floats
    slope: Floats
    loss: Floats

    @property
    def parts(self) -> Floats:
        """The part of each lever in the log-hazard, of shape (n, k); half of what a pair adds is either lever's."""
        levers = len(self.form.shapes)
        added = self.terms * self.beta
        parts: Floats = added[:, :levers].copy()
        for place, pair in enumerate(self.form.pairs, levers):
            for lever in (pair.first, pair.second):
                parts[:, lever] += added[:, place] / 2
        return parts


@dataclass(frozen=True)
class Cases:
    """n conversions.

    Parameters
    ----------
    rows : array of int, shape (n,)
        Their journeys.
    levers : tuple of str
    present : array of bool, shape (n, k)
        Whether each lever had touched the journey before it converted.
    passings : tuple of Passing
        A conversion is worth the product of its passages.
    """

    rows: Integers
    levers: tuple[str, ...]
    present: npt.NDArray[np.bool_]
    passings: tuple[Passing, ...]

    def values(self, seed: int) -> Floats:
        """Return the Shapley value of each lever, then what would have happened anyway, of shape (n, k + 1).

        Parameters
        ----------
        seed : int
            For the orders drawn where more levers than `game.EXACT` are present.
        """
        return self.readings(seed)[:, : len(self.levers) + 1]

    def readings(self, seed: int) -> Floats:
        """Return `values`, then what the absence of each lever alone would have cost, of shape (n, 2 k + 1)."""
        found = np.zeros((len(self.rows), 2 * len(self.levers) + 1))
        for some in self._tables(seed):
            product = np.prod([each.value for each in some.worths], axis=0)
            found[some.cells] = product @ some.game.readings
        return found

    def gradients(self, seed: int, counted: Floats) -> list[Floats]:
        """Return the gradient of the summed readings in the coefficients of each passing.

        Parameters
        ----------
        seed : int
        counted : array of shape (n_amounts, n)
            What each conversion counts for.

        Returns
        -------
        list of arrays of shape (n_amounts, p, 2 k + 1)
            By passing: the coefficients of the surroundings, then of the terms.
        """
        width = 2 * len(self.levers) + 1
        sums = [np.zeros((len(counted), each.slope.shape[1] + each.form.size, width)) for each in self.passings]
        for some in self._tables(seed):
            values = [each.value for each in some.worths]
            for place, (passing, here) in enumerate(zip(self.passings, some.worths, strict=True)):
                others = np.prod(values[:place] + values[place + 1 :], axis=0)
                gone, later = others * here.at_once, others * here.ahead
                around = (later @ some.game.readings)[None] * counted[:, some.rows, None]
                q = passing.slope.shape[1]
                local = np.empty((len(counted), q + len(some.terms[place]), some.game.readings.shape[1]))
                local[:, :q] = np.tensordot(around, passing.slope[some.rows], (1, 0)).transpose(0, 2, 1)
                x = passing.terms[np.ix_(some.rows, some.terms[place])].T
                for amount, count in enumerate(counted[:, some.rows]):
                    weighed = x * count
                    there = (weighed @ (gone + later)) * some.there[place].T - weighed @ gone
                    local[amount, q:] = there @ some.game.readings
                target = np.concatenate([np.arange(q), q + some.terms[place]])
                sums[place][:, target[:, None], some.cells[1]] += local
        return sums

    def _tables(self, seed: int) -> Iterator[_Table]:
        """Yield the worth of coalitions, for conversions with the same levers present at a time."""
        k = len(self.levers)
        patterns, code = np.unique(self.present, axis=0, return_inverse=True)
        order = np.argsort(code.ravel(), kind="stable")
        ends = np.searchsorted(code.ravel()[order], np.arange(len(patterns) + 1))
        for pattern, begin, end in zip(patterns, ends[:-1], ends[1:], strict=True):
            levers = np.flatnonzero(pattern)
            game = Game.of(len(levers), seed)
            columns = np.concatenate([levers, [k], k + 1 + levers])
            shown = [_shown(each.form, pattern, game.members) for each in self.passings]
            many = max(1, _CELLS // len(game.members))
            for start in range(begin, end, many):
                rows = order[start : min(start + many, end)]
                worths = [
                    _worth(each, rows, *what) for each, what in zip(self.passings, shown, strict=True)
                ]  # fmt: skip
                yield _Table(
                    rows, np.ix_(rows, columns), game, [terms for terms, _ in shown], [there for _, there in shown],
                    worths,
                )  # fmt: skip


class _Table(NamedTuple):
    """The worth of c coalitions for some conversions, by passing.

    `cells` are the places of their readings in the whole array; `terms` the terms of each form that may be there, and
    `there`, of shape (c, n_terms), whether they are for each coalition.
    """

    rows: Integers
    cells: tuple[Integers, ...]
    game: Game
    terms: list[Integers]
    there: list[Floats]
    worths: list[Worth]


def _shown(form: Form, pattern: npt.NDArray[np.bool_], members: Floats) -> tuple[Integers, Floats]:
    """Return the terms whose levers are all present, and for which coalitions each is there."""
    levers = np.flatnonzero(pattern)
    place = np.cumsum(pattern) - 1
    pairs = [
        (len(pattern) + number, place[pair.first], place[pair.second])
        for number, pair in enumerate(form.pairs)
        if pattern[pair.first] and pattern[pair.second]
    ]
    both = [members[:, first] * members[:, second] for _, first, second in pairs]
    terms = np.concatenate([levers, np.array([term for term, _, _ in pairs], dtype=np.int64)])
    return terms, np.column_stack([members, *both])


def _worth(passing: Passing, rows: Integers, terms: Integers, there: Floats) -> Worth:
    parts = passing.terms[np.ix_(rows, terms)] * passing.beta[terms]
    return worth(
        parts @ there.T, parts.sum(axis=1)[:, None], passing.ahead[rows, None], passing.loss[rows, None]
    )  # fmt: skip
