"""The chain of stage goals against the direct model, when all goals have been trained: a check, not a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.agreement import Agreement, Goal
from features.errors import NotEnoughDataError
from models.chain import ChainCheck, chained, check_chain, links
from models.metrics import sigmoid

if TYPE_CHECKING:
    from training.run import Trained


def chain_checks(trained: Mapping[str, Trained], agreement: Agreement) -> dict[str, ChainCheck]:
    """Return, for every goal that the others lead to, how their chain compares with its direct model on its test.

    Parameters
    ----------
    trained : mapping of str to Trained
        By goal.
    agreement : Agreement
    """
    goals = [agreement.goal(name) for name in trained]
    chains = {goal.name: links(goal, goals, agreement.stages) for goal in goals}
    inner = {link.name for chain in chains.values() for link in chain}
    found = {}
    for goal in goals:
        if goal.name not in inner and chains[goal.name]:
            try:
                found[goal.name] = _check(goal, chains[goal.name], trained, agreement)
            except NotEnoughDataError:
                continue
    return found


def chain_text(name: str, check: ChainCheck) -> str:
    """Return a check in one line of words."""
    return (
        f"Chain of stage goals against the direct model of {name}, on {check.rows:,} test snapshots: Brier score"
        f" {check.brier_chain:.4f} against {check.brier_direct:.4f}, rank correlation {check.correlation:.2f}, mean"
        f" probability {check.mean_chain:.3f} against {check.mean_direct:.3f}, observed {check.observed:.3f}."
    )


def _check(goal: Goal, chain: tuple[Goal, ...], trained: Mapping[str, Trained], agreement: Agreement) -> ChainCheck:
    data = trained[goal.name].dataset
    rows = np.flatnonzero(data.split.test)
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
