"""The models that an analysis asks, fitted: rules, the Markov chain of the best order, Shapley, the response model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.agreement import Attribution
from features.errors import NotEnoughDataError
from features.journeys import Journeys
from models.arrays import Floats
from models.attribution.credit import Credit
from models.attribution.draws import Draws
from models.attribution.incremental import NEEDED, Effects, Incremental, StagedIncremental
from models.attribution.incremental.passages import stages_passed
from models.attribution.intervals import Replicates, replicates
from models.attribution.markov import Markov
from models.attribution.markov_order import OrderChoice, best_order
from models.attribution.notes import Note
from models.attribution.question import BY_STAGE, INCREMENTAL, Question, model_names
from models.attribution.rules import Rule, rules
from models.attribution.shapley import ShapleyRate, ShapleySets

_STILL = Rule("still", lambda journeys: np.zeros(journeys.touches.num_rows))
"""Stands for a model that is not fitted anew: its credit is only weighed."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """A model that has learnt from all journeys.

    Parameters
    ----------
    name : str
    credit : callable
        Gives the credit of some of the journeys, given their rows; all of them for None.
    draw : callable
        Gives what each value of a column is given on each draw, when journeys are worth an amount: ``draw(credit,
        draws, column, amount)``. Whether the model is fitted anew on each draw is its own affair.
    """

    name: str
    credit: Callable[[Rows | None], Credit]
    draw: Callable[[Credit, Draws, str, Floats | None], Replicates]


@dataclass(frozen=True)
class Chosen:
    """The models that answer, and what they learnt beside credit.

    Parameters
    ----------
    models : tuple of Fitted
    notes : tuple of Note
        Why a model that was asked for says nothing.
    order : OrderChoice or None
        How the order of the Markov chain was chosen; None when no chain was asked for without its order.
    transitions : pyarrow.Table or None
        Of the chain of order 1: ``from``, ``to``, ``probability``, ``count``.
    effects : Effects or None
        Of the levers, signed.
    signed : Replicates or None
        The same on each draw of the accounts.
    """

    models: tuple[Fitted, ...]
    notes: tuple[Note, ...]
    order: OrderChoice | None = None
    transitions: pa.Table | None = None
    effects: Effects | None = None
    signed: Replicates | None = None


def choose(
    journeys: Journeys, exposed: Journeys, told: Attribution, question: Question, known: pa.Table | None
) -> Chosen:
    """Fit the models that a question asks for.

    Parameters
    ----------
    journeys : Journeys
        With the touches of the lookback.
    exposed : Journeys
        The same with all their touches, for the response model: it follows them through time.
    told : Attribution
        Gives the rules and the time steps of the response model.
    question : Question
        Names the models; without names all of them answer: the Markov chain by the order that foretells best, the
        response model stage by stage where the ways pass any.
    known : pyarrow.Table or None
        Confounders of the journeys, row by row.
    """
    chains = {model.name: model for order in (1, 2, 3) for paths in (False, True)
              for model in [Markov(order=order, per_journey=paths)]}  # fmt: skip
    shapley = {model.name: model for model in (ShapleySets(), ShapleyRate(seed=question.seed))}
    known_models: dict[str, Rule | Markov | ShapleyRate | ShapleySets] = {**rules(told), **chains, **shapley}
    asked = question.models or model_names(told)
    has_any = bool(journeys.converted.any())
    order = None
    if not question.models and has_any:
        order = best_order(journeys, seed=question.seed)
        best = f"markov_{order.order}"
        asked = tuple(name for name in asked if not name.startswith("markov_") or name in (best, f"{best}_paths"))
    elif not question.models:
        asked = tuple(name for name in asked if not name.startswith("markov_") or name in ("markov_1",))
    first = chains["markov_1"].fit(journeys)
    models = [
        _plain(name, first if name == first.name else known_models[name].fit(journeys), journeys, question)
        for name in asked
        if name not in (INCREMENTAL, BY_STAGE)
    ]
    notes: list[Note] = []
    effects = signed = None
    # Named both, the one that takes stages for what they are speaks of money.
    named = [name for name in (BY_STAGE, INCREMENTAL) if name in question.models]
    stages = stages_passed(exposed, NEEDED)
    if not question.models:
        named = [BY_STAGE if stages else INCREMENTAL]
    for name in named:
        found = _incremental(name, exposed, told, question, known)
        if isinstance(found, Note):
            notes.append(found)
        elif found is not None:
            models.append(found[0])
            if name == BY_STAGE and stages:
                notes.append(Note("by_stage", {"stages": ", ".join((*stages, exposed.transition))}))
            effects, signed = (effects, signed) if effects else found[1:]
    return Chosen(tuple(models), tuple(notes), order, first.chain_.table() if has_any else None, effects, signed)


def _plain(
    name: str, model: Rule | Markov | ShapleyRate | ShapleySets, journeys: Journeys, question: Question
) -> Fitted:
    def draw(credit: Credit, draws: Draws, column: str, amount: Floats | None) -> Replicates:
        # A part of the journeys can not teach a model what all of them have taught it.
        still = model if question.is_whole else _STILL
        return replicates(still, credit, draws, column=column, amount=amount)

    return Fitted(name, lambda rows: model.credit(journeys if rows is None else journeys.take(rows)), draw)


def _incremental(
    name: str, journeys: Journeys, told: Attribution, question: Question, known: pa.Table | None
) -> tuple[Fitted, Effects, Replicates] | Note | None:
    """Return the response model with its effects and their draws, or why there is none; None without any lever."""
    count = int(journeys.count[journeys.converted].sum())
    if not journeys.is_lever.any():
        return None
    if count < NEEDED:
        return Note("few_conversions", {"needed": NEEDED, "count": count})
    kind = StagedIncremental if name == BY_STAGE else Incremental
    model = kind(step_days=told.step_days, horizon_days=told.horizon_days, seed=question.seed)
    try:
        model.fit(journeys, known)
    except NotEnoughDataError as error:
        return Note("model_failed", {"model": name, "reason": str(error)})
    signed = model.replicates(Draws.of(journeys, draws=question.draws, seed=question.seed).weights)

    def credit(rows: Rows | None) -> Credit:
        if rows is None:
            return model.credit(journeys, known)
        return model.credit(journeys.take(rows), None if known is None else known.take(pa.array(rows)))

    def draw(credit: Credit, draws: Draws, column: str, amount: Floats | None) -> Replicates:
        if question.is_whole and column == "channel":
            return signed if amount is None else model.replicates(draws.weights, amount)
        return replicates(_STILL, credit, draws, column=column, amount=amount)

    effects = model.calibrated(question.lift_tests, question.draws)
    return Fitted(name, credit, draw), effects, effects.signed
