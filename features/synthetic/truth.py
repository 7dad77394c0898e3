"""What is hidden in a simulated market, for those who check an answer against it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.schema import KINDS
from features.synthetic.columns import account_ids, pick
from features.synthetic.history import ENDS
from features.synthetic.market import Market
from features.synthetic.population import Ints, Population


def truth_tables(market: Market, people: Population, traces: dict[str, Ints]) -> dict[str, pa.Table]:
    """Return the hidden side of a market.

    Parameters
    ----------
    market : Market
    people : Population
    traces : dict of str to array
        As in `features.synthetic.history.COLUMNS`.

    Returns
    -------
    dict of str to pyarrow.Table
        `effects`: every process, its role, its effect per unit of adstock in log-odds and its half-life in days; for a
        lever with effect 0 the whole effect is nil, since it excites nothing and nothing follows it. `steps`: daily
        log-odds and slope of every step. `accounts`: fit, lasting intent, health and exposure. `traces`: every 28 days
        the intent of the moment, the lever part and the whole of the index, the open cycle and its chance to take the
        next step on that day.
    """
    processes = market.processes
    steps = sorted(market.steps.items())
    stage = traces["stage"].astype(np.int64)
    return {
        "effects": pa.table(
            {
                "process": [process.name for process in processes],
                "channel": [process.channel for process in processes],
                "role": [process.role for process in processes],
                "effect": [float(process.effect) for process in processes],
                "half_life_days": [float(process.half_life_days) for process in processes],
            }
        ),
        "steps": pa.table(
            {
                "kind": [kind for (kind, _), _ in steps],
                "stage": [stage for (_, stage), _ in steps],
                "forward": [step.forward for _, step in steps],
                "logit": [step.logit for _, step in steps],
                "slope": [step.slope for _, step in steps],
                "fail": [step.fail for _, step in steps],
                "back": [step.back for _, step in steps],
            }
        ),
        "accounts": pa.table(
            {
                "account_id": account_ids(np.arange(people.size)),
                "fit": people.fit,
                "intent": people.intent,
                "health": people.health,
                "exposure": people.exposure,
            }
        ),
        "traces": pa.table(
            {
                "account_id": account_ids(traces["account"]),
                "at": traces["at"],
                "intent": traces["intent"],
                "levers": traces["levers"],
                "index": traces["index"],
                "kind": pick(KINDS, np.where(stage < 0, -1, traces["kind"])),
                "stage": pick(ENDS, stage),
                "forward": traces["forward"],
            }
        ),
    }
