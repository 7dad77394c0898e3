"""All attempts to prove the incremental model of an analysis wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa

from features.agreement import Attribution
from features.errors import NotEnoughDataError
from features.journeys import Journeys
from models.attribution.falsification import Falsification, placebo, time_shift
from models.attribution.incremental.exposure import lever_names
from models.attribution.notes import Note
from models.attribution.question import Question


def attempts(
    journeys: Journeys, told: Attribution, question: Question, confounders: pa.Table | None
) -> tuple[tuple[Falsification, ...], list[Note]]:
    """Make a placebo of the lever most used, and shift the time of every lever.

    One placebo is enough, because it tries the intervals of the model; a time shift tries what a lever follows.

    Returns
    -------
    tuple of Falsification, list of Note
        What was found, and which checks could not be made.
    """
    found, failed = [], []
    for kind, lever, check in _checks(journeys, told, question, confounders):
        try:
            found.append(check())
        except NotEnoughDataError as error:
            failed.append(Note("not_falsified", {"kind": kind, "channel": lever, "reason": str(error)}))
    return tuple(found), failed


def _checks(
    journeys: Journeys, told: Attribution, question: Question, confounders: pa.Table | None
) -> Iterator[tuple[str, str, Callable[[], Falsification]]]:
    levers = lever_names(journeys)
    for lever in levers[:1]:
        yield "placebo", lever, partial(
            placebo, journeys, lever, confounders=confounders, step_days=told.step_days,
            horizon_days=told.horizon_days, seed=question.seed, draws=question.draws,
        )  # fmt: skip
    for lever in levers:
        yield "time_shift", lever, partial(
            time_shift, journeys, lever, confounders=confounders, step_days=told.step_days
        )  # fmt: skip
