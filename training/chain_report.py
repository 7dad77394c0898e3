"""The chain of stage goals against the direct model, when all goals have been trained: a check, not a model.

It is made on rows of the direct goal's test that none of the models has learnt from. Goals differ in their horizons, so
their tests begin at different times, and a link may have been taught in the time that tests the direct model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.agreement import Agreement, Goal
from features.errors import NotEnoughDataError
from models.chain import ChainCheck, chained, check_chain, links
from models.metrics import sigmoid

if TYPE_CHECKING:
    from training.dataset import Dataset
    from training.run import Trained
    from training.splits import Flags


FEWEST = 10
"""Accounts with the outcome that the rows of a check must have."""


def chain_checks(
    trained: Mapping[str, Trained], agreement: Agreement, say: Callable[[str], None]
) -> dict[str, ChainCheck]:
    """Return, for every goal that the others lead to, how their chain compares with its direct model.

    Parameters
    ----------
    trained : mapping of str to Trained
        By goal.
    agreement : Agreement
    say : callable
        Told of a chain that can not be checked.
    """
    goals = [agreement.goal(name) for name in trained]
    chains = {goal.name: links(goal, goals, agreement.stages) for goal in goals}
    inner = {link.name for chain in chains.values() for link in chain}
    found = {}
    for goal in goals:
        if goal.name not in inner and chains[goal.name]:
            try:
                found[goal.name] = _check(goal, chains[goal.name], trained, agreement)
            except NotEnoughDataError as error:
                say(f"The chain that leads to {goal.name} is not checked: {error}")
    return found


def chain_text(name: str, check: ChainCheck) -> str:
    """Return a check in one line of words."""
    return (
        f"Chain of stage goals against the direct model of {name}, on {check.rows:,} test snapshots new to all: Brier"
        f" score {check.brier_chain:.4f} against {check.brier_direct:.4f}, rank correlation {check.correlation:.2f},"
        f" mean probability {check.mean_chain:.3f} against {check.mean_direct:.3f}, observed {check.observed:.3f}."
    )


def new_to_all(data: Dataset, others: Sequence[Dataset]) -> Flags:
    """Return which rows test a model and are new to other models too, of shape (n,).

    In time, these are the rows from the latest first test moment on: each model's training was purged before its own.
    Where accounts divide a data set, they are the rows of accounts that did not teach it.
    """
    found = data.split.test.copy()
    for other in others:
        if other.split.test_from is None:
            found &= ~np.isin(data.account_id, other.account_id[other.split.train])
        else:
            found &= data.as_of >= other.split.test_from
    return found


def _check(goal: Goal, chain: tuple[Goal, ...], trained: Mapping[str, Trained], agreement: Agreement) -> ChainCheck:
    data = trained[goal.name].dataset
    rows = np.flatnonzero(new_to_all(data, [trained[one.name].dataset for one in chain]))
    outcomes = len(np.unique(data.account_id[rows[data.label[rows] > 0]]))
    if outcomes < FEWEST:
        raise NotEnoughDataError(
            f"{outcomes} accounts reached it in snapshots that no model involved has learnt from; {FEWEST} are needed."
        )
    table = data.table.take(rows)
    said = {}
    for one in (*chain, goal):
        model = trained[one.name]
        margin = model.ladder.champion.scorer.margin(model.encoding.matrix(table))
        said[one.name] = sigmoid(model.ladder.champion.calibration.logit(margin))
    before = [None, *(one.reach for one in chain)]
    conversion = {
        one.name: _rate(trained[one.name], one, stage) for one, stage in zip((*chain, goal), before, strict=True)
    }
    stage = table.column(f"{goal.kind}_stage").to_pylist()
    answer = chained(stage, said, conversion, goal, chain, agreement.stages)
    return check_chain(data.label[rows], answer, said[goal.name], data.weight[rows])


def _rate(trained: Trained, goal: Goal, stage: str | None) -> float:
    """Return the share of training snapshots in a stage that reach the goal; of all where there is no such stage."""
    data = trained.dataset
    of_row = np.array(data.table.column(f"{goal.kind}_stage").to_pylist(), dtype=object)
    rows: npt.NDArray[np.bool_] = data.split.train & (of_row == stage)
    if not rows.any():
        rows = data.split.train
    return float(np.average(data.label[rows], weights=data.weight[rows]))
