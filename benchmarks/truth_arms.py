"""The models that the truth suite judges: all of ours, and the field's plain answer to confounding as a reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from features.agreement import Agreement
from features.synthetic.exposures import DAYS, Exposures
from models.attribution.credit import Credit
from models.attribution.incremental import Incremental
from models.attribution.markov import Markov
from models.attribution.rules import rules
from models.attribution.shapley import ShapleyRate, ShapleySets

JUDGED = "incremental"
"""The arm that has to reach the bars."""


def ours(exposures: Exposures) -> dict[str, dict[str, Any]]:
    """Return the credit by channel of every model of ours, or its error, and the CPU seconds it took."""
    return {name: _asked(arm, exposures) for name, arm in _arms().items()}


def _arms() -> Mapping[str, Callable[[Exposures], Credit]]:
    models: list[Any] = [
        *rules(Agreement.load().attribution).values(),
        *(Markov(order=order) for order in (1, 2, 3)),
        Markov(order=1, per_journey=True),
        ShapleySets(),
        ShapleyRate(),
    ]
    arms = {model.name: _plain(model) for model in models}
    return arms | {JUDGED: _incremental, f"{JUDGED}, no confounders": _unadjusted}


def _plain(model: Any) -> Callable[[Exposures], Credit]:
    return lambda exposures: model.fit(exposures.journeys).credit(exposures.journeys)


def _incremental(exposures: Exposures) -> Credit:
    known = exposures.confounders.drop_columns(["account_id"])
    model = Incremental(step_days=7, horizon_days=DAYS)
    return model.fit(exposures.journeys, confounders=known).credit(exposures.journeys, confounders=known)


def _unadjusted(exposures: Exposures) -> Credit:
    model = Incremental(step_days=7, horizon_days=DAYS)
    return model.fit(exposures.journeys).credit(exposures.journeys)


def _asked(arm: Callable[[Exposures], Credit], exposures: Exposures) -> dict[str, Any]:
    began = time.process_time()
    try:
        credit = arm(exposures)
    except Exception as error:  # an arm that fails is a line of the table, not the end of the suite
        return {"error": f"{type(error).__name__}: {error}"[:200], "seconds": time.process_time() - began}
    names, code = exposures.journeys.players()
    by = np.bincount(code, credit.touch, len(names))
    given = {str(name): float(value) for name, value in zip(names, by, strict=True)}
    return {"credit": given, "total": float(by.sum()), "seconds": round(time.process_time() - began, 2)}
