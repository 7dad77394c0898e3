"""What journeys leave out, counted by reason: together with what they hold it is all there is.

| reason | what |
| --- | --- |
| touches_internal | nobody outside noticed (direction internal) |
| touches_of_excluded_type | the agreement excludes the touch type |
| touches_outbound | the agreement excludes what we did ourselves |
| touches_unobserved | the account is not under observation: no customer yet, for a renewal |
| touches_after_the_end | at the last ending of the account's journeys, or later |
| touches_over_the_limit | more of them than the lookback in touches |
| touches_outside_the_lookback | before every journey's lookback in days |
| touches_without_account | not attached to any account |
| deals_of_another_kind | converted in cycles of another kind |
| conversions_without_touch | nothing is left to credit; they are journeys all the same |
| deals_without_amount, deals_without_rate | revenue 0; revenue in the deal's own currency |
| deals_negative, negative_CURRENCY | revenue 0; what was kept out, in minor units (below 0) |

Plain tables (`features.journeys.journeys_of`) also have conversions_without_account and revenue_without_account, and
negative_revenue, whose currency they may not tell.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Attribution
from features.journeys.endings import Endings
from features.journeys.journeys import Bools, Ints
from features.journeys.known import Known
from features.journeys.sales import Sales
from features.journeys.windows import Windows, covered
from features.relations import Tables
from features.relations.columns import ints, validity
from features.schema import FOREVER


def excluded(known: Known, rules: Attribution) -> dict[str, Bools]:
    """Return which known touches are in no journey by rule, by reason; each touch has at most one."""
    touches = known.touches.select(["direction", "touch_type"]).take(pa.array(known.row))
    direction = touches["direction"]
    found = {
        "touches_internal": pc.equal(direction, "internal"),
        "touches_of_excluded_type": pc.is_in(touches["touch_type"], pa.array(rules.excluded_types, pa.string())),
    }
    if rules.outbound == "exclude":
        found["touches_outbound"] = pc.equal(direction, "outbound")
    masks: dict[str, Bools] = {}
    before = np.zeros(touches.num_rows, dtype=bool)
    for reason, mask in found.items():
        holds = mask.fill_null(False).to_numpy()
        masks[reason] = holds & ~before
        before |= holds
    return masks


def out_of_reach(account: Ints, occurred_at: Ints, endings: Endings, windows: Windows, accounts: int) -> dict[str, int]:
    """Count the touches that no journey holds although no rule excludes them."""
    last = np.full(accounts, -FOREVER)
    np.maximum.at(last, endings.account, endings.ended_at)
    is_out = ~covered(windows.first, windows.stop, len(account))
    unobserved = is_out & (last[account] == -FOREVER)
    after = is_out & ~unobserved & (occurred_at >= last[account])
    over = is_out & covered(windows.reach, windows.stop, len(account))
    return {
        "touches_unobserved": int(unobserved.sum()),
        "touches_after_the_end": int(after.sum()),
        "touches_over_the_limit": int(over.sum()),
        "touches_outside_the_lookback": int((is_out & ~unobserved & ~after & ~over).sum()),
    }


def unattached(tables: Tables, known: Known, as_of: int) -> dict[str, int]:
    """Count the touches without an account, when the tables have ``touchpoints``, attached or not."""
    if "touchpoints" not in tables:
        return {}
    start, end = validity(tables["touchpoints"], ints(tables["touchpoints"], "occurred_at"))
    return {"touches_without_account": int(((start <= as_of) & (as_of < end)).sum()) - len(known.account)}


def of_deals(known: Known, endings: Endings, stage: str) -> dict[str, int]:
    """Count what deals do not tell, or tell of something else."""
    sales = known.sales
    of_other = known.cycle_of_sale < 0
    converted = {"won": sales.won_at < FOREVER, "deal": np.ones(len(of_other), dtype=bool)}.get(stage)
    if converted is None:
        return {}
    own = endings.deal[endings.deal >= 0]
    return {
        "deals_of_another_kind": int((of_other & converted).sum()),
        "deals_without_amount": int((~sales.has_amount[own]).sum()),
        "deals_without_rate": int((~sales.has_rate[own]).sum()),
        "deals_negative": int((sales.amount[own] < 0).sum()),
        **_negative(sales, own),
    }


def _negative(sales: Sales, deals: Ints) -> Mapping[str, int]:
    below = deals[sales.amount[deals] < 0]
    total: dict[str, int] = {}
    for currency, amount in zip(
        sales.currency.take(pa.array(below)).to_pylist(), sales.amount[below].tolist(), strict=True
    ):
        total[f"negative_{currency}"] = total.get(f"negative_{currency}", 0) + amount
    return dict(sorted(total.items()))
