"""The response model: which form the levers' effects have, and how strong they are.

The log-hazard is a sum: surroundings, one term for each lever, and a term for each pair of levers that showed. The form
is found step by step: every lever starts as mere presence; in turn each takes the shape that the others leave most
likely, if it beats presence clearly; then pairs enter, the most significant first, while they are beyond chance; shapes
are looked at once more beside the pairs; pairs that are no longer needed go. Where the pace of touching still shows
beside all that, it joins the surroundings and the form is found anew.

Which responses to consider was decided by what they recover on markets with known truth, not by how well they predict:
see docs/decisions/0009.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from models.arrays import Floats
from models.attribution.incremental.exposure import State
from models.attribution.incremental.hazard import HIGHEST, fit_hazard
from models.attribution.incremental.shapes import PRESENCE, SHAPES, Form, Pair, Shape, all_pairs

SPREAD = 1.0
"""Prior standard deviation of the coefficients of the surroundings."""

LEVER_SPREAD = 2.0
"""The same of a lever's."""

PAIR_SPREAD = 0.5
"""The same of a pair's."""

_CLEARLY = 3.0
"""Log-likelihood by which a shape has to beat presence."""

_BEYOND_CHANCE = 12.0
"""Squared z-score from which a pair counts: a chance of 1 in 20 that any of a hundred without effect gets there."""

PACE_SHOWS = 16.0
"""Squared z-score from which the pace counts."""

_MOST_PAIRS = 12
_PAIRED = 12
"""The most frequent levers, of which pairs are looked at: rarer ones are hardly ever there together."""

_FEWEST = 10.0
"""Conversions expected in a pair's moments, below which it is not looked at."""

_ROUNDS = 12


@dataclass(frozen=True)
class Risk:
    """Everything the response is learnt from, at r moments.

    Parameters
    ----------
    states : list of State
        By lever.
    around : array of shape (r, q)
        Terms that no lever has a part in, the constant first.
    events, exposure : array of shape (r,)
        As in `Moments`.
    """

    states: list[State]
    around: Floats
    events: Floats
    exposure: Floats

    def design(self, form: Form) -> Floats:
        """Return the terms of the log-hazard, of shape (r, q + n_terms)."""
        return np.concatenate([self.around, form.design(self.states, len(self.events))], axis=1)


def fit_response(risk: Risk, pace: Floats) -> tuple[Risk, Form, Floats]:
    """Return the form of the response and its coefficients, those of the surroundings first.

    Parameters
    ----------
    risk : Risk
    pace : array of shape (r,)
        `Pace.at` the moments; when it shows it becomes the last column of the surroundings that are returned.
    """
    form, beta = _find_form(risk)
    chi_square = _score_tests(risk, form, beta, csr_array(pace[None, :]))
    if chi_square[0] < PACE_SHOWS:
        return risk, form, beta
    paced = replace(risk, around=np.column_stack([risk.around, pace]))
    return paced, *_find_form(paced)


def _find_form(risk: Risk) -> tuple[Form, Floats]:
    form = Form((PRESENCE,) * len(risk.states))
    beta = refit(risk, form)
    form, beta = _reshape(risk, *_reshape(risk, form, beta))
    form, beta = _pair_up(risk, form, beta)
    if form.pairs:
        form, beta = _prune(risk, *_reshape(risk, form, beta))
    return form, beta


def refit(risk: Risk, form: Form, start: Floats | None = None) -> Floats:
    """Return the coefficients of a given form."""
    return fit_hazard(
        risk.design(form), risk.events, risk.exposure, penalty(risk.around.shape[1], form), start
    )  # fmt: skip


def penalty(surroundings: int, form: Form) -> Floats:
    """Return the prior precision of each coefficient; the constant is free."""
    spread = np.repeat([SPREAD, LEVER_SPREAD, PAIR_SPREAD], [surroundings, len(form.shapes), len(form.pairs)])
    precision: Floats = spread**-2
    precision[0] = 1e-8
    return precision


def _reshape(risk: Risk, form: Form, beta: Floats) -> tuple[Form, Floats]:
    """Give each lever in turn the shape that serves best beside the others as they are."""
    beta, shapes, q = beta.copy(), list(form.shapes), risk.around.shape[1]
    eta = risk.design(form) @ beta
    for lever, state in enumerate(risk.states):
        if not len(state.rows):
            continue
        eta[state.rows] -= shapes[lever].of(state) * beta[q + lever]
        shapes[lever], beta[q + lever] = _best_shape(risk, state, eta)
        eta[state.rows] += shapes[lever].of(state) * beta[q + lever]
    reshaped = Form(tuple(shapes), form.pairs)
    return reshaped, refit(risk, reshaped, beta)


def _best_shape(risk: Risk, state: State, eta: Floats) -> tuple[Shape, float]:
    """Return the shape with the highest posterior mode, and the mode, given the rest of the log-hazard.

    The constant is profiled out: given the shape f, beta minimises
    ``E log(sum exposure exp(eta + beta f)) - beta sum events f`` with E the number of events.
    """
    expected = risk.exposure * np.exp(np.minimum(eta, HIGHEST))
    inside, told = expected[state.rows], risk.events[state.rows]
    outside, total = expected.sum() - inside.sum(), risk.events.sum()
    at_risk, cases = np.flatnonzero(inside), np.flatnonzero(told)
    values = np.column_stack([shape.of(state) for shape in SHAPES])
    scale = np.sqrt(np.mean(values**2, axis=0))
    values /= scale
    x, weight = values[at_risk], inside[at_risk, None]
    seen = told[cases] @ values[cases]
    precision = (LEVER_SPREAD / scale) ** -2 / scale**2
    beta = np.zeros(len(SHAPES))
    for _ in range(_ROUNDS):
        mass = weight * np.exp(np.minimum(x * beta, HIGHEST))
        whole = outside + mass.sum(axis=0)
        mean = np.einsum("ij,ij->j", x, mass) / whole
        square = np.einsum("ij,ij,ij->j", x, x, mass) / whole
        step = (total * mean - seen + precision * beta) / (total * (square - mean**2) + precision)
        beta -= np.clip(step, -1.0, 1.0)
        if np.max(np.abs(step)) < 1e-3:
            break
    whole = outside + (weight * np.exp(np.minimum(x * beta, HIGHEST))).sum(axis=0)
    loss = total * np.log(whole) - seen * beta + precision * beta**2 / 2
    best = int(np.argmin(loss))
    best = best if loss[best] < loss[0] - _CLEARLY else 0
    return SHAPES[best], float(beta[best] / scale[best])


def _pair_up(risk: Risk, form: Form, beta: Floats) -> tuple[Form, Floats]:
    """Let pairs in by their score tests, the most significant first."""
    candidates = all_pairs(min(len(form.shapes), _PAIRED))
    if not candidates:
        return form, beta
    there = _there(candidates, risk)
    while len(form.pairs) < _MOST_PAIRS:
        chi_square = _score_tests(risk, form, beta, there)
        chi_square[[candidates.index(pair) for pair in form.pairs]] = 0.0
        best = int(np.argmax(chi_square))
        if chi_square[best] < _BEYOND_CHANCE:
            break
        form = Form(form.shapes, (*form.pairs, candidates[best]))
        beta = refit(risk, form, np.append(beta, 0.0))
    return form, beta


def _there(candidates: list[Pair], risk: Risk) -> csr_array:
    """Return where each candidate was there, of shape (n_candidates, r)."""
    rows = [pair.rows(risk.states) for pair in candidates]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return csr_array(
        (np.ones(ends[-1]), np.concatenate(rows), ends), shape=(len(candidates), len(risk.events))
    )  # fmt: skip


def _score_tests(risk: Risk, form: Form, beta: Floats, columns: csr_array) -> Floats:
    """Return the squared z-score at 0 of the coefficient of each further column, beside all that is in the form.

    Parameters
    ----------
    columns : sparse array of shape (n_candidates, r)
    """
    design = risk.design(form)
    expected = risk.exposure * np.exp(np.minimum(design @ beta, HIGHEST))
    weighted = design * expected[:, None]
    information = design.T @ weighted + np.diag(penalty(risk.around.shape[1], form))
    chi_square, every = np.zeros(columns.shape[0]), (columns * columns) @ expected
    some = np.flatnonzero(every > _FEWEST)
    columns, inside = columns[some], every[some]
    cross = columns @ weighted
    left = inside - np.einsum("ij,ij->i", cross @ np.linalg.inv(information), cross)
    score = columns @ (risk.events - expected)
    worth_it = left > 1e-3 * inside
    chi_square[some] = np.where(worth_it, score**2 / np.where(worth_it, left, 1.0), 0.0)
    return chi_square


def _prune(risk: Risk, form: Form, beta: Floats) -> tuple[Form, Floats]:
    """Let pairs go that are not beyond chance beside the rest, the least significant first."""
    while form.pairs:
        design = risk.design(form)
        expected = risk.exposure * np.exp(np.minimum(design @ beta, HIGHEST))
        information = (design.T * expected) @ design + np.diag(penalty(risk.around.shape[1], form))
        variance = np.diag(np.linalg.inv(information))[-len(form.pairs) :]
        chi_square = beta[-len(form.pairs) :] ** 2 / variance
        worst = int(np.argmin(chi_square))
        if chi_square[worst] >= _BEYOND_CHANCE / 2:
            break
        form = Form(form.shapes, tuple(pair for place, pair in enumerate(form.pairs) if place != worst))
        beta = refit(risk, form, np.delete(beta, len(beta) - len(form.pairs) - 1 + worst))
    return form, beta
