"""A market of exposures as the tables of the contract, through which the whole pipeline can run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.schema import DAY
from features.synthetic.columns import Column, account_ids, entity_table, fact_table, label, pick
from features.synthetic.entities import company_names, domains
from features.synthetic.exposures.market import EARLIER_DAYS
from features.synthetic.exposures.shapes import Floats, Ints, Touched
from features.synthetic.exposures.simulation import Exposures, microseconds, processes, recorded
from features.touch_types import TOUCH_TYPES

_SALE_DAYS = 1.0
_ONBOARDING = (["Email", "Direct"], ["marketing", "product"], ["email_click", "product_use"])
_ONBOARDING_TOUCHES, _ONBOARDING_DAYS = 3.0, 30.0
_LAG = DAY // 24


def tables(exposures: Exposures) -> dict[str, pa.Table]:
    """Return what the systems of such a vendor would have sent.

    Besides what is in `Exposures.journeys` there are the responses before the observation, and what follows a win: the
    customer is welcomed by e-mail and logs in, so whoever does not cut journeys at the win finds channels that cause
    it. The deal opens a day before it is won, or when the account is first seen if that is later.

    Parameters
    ----------
    exposures : Exposures

    Returns
    -------
    dict of str to pyarrow.Table
        `accounts`, `attributes`, `touchpoints`, `stage_changes`, `deals` and `spend`; everything is known an hour after
        it happened.
    """
    n = len(exposures.start)
    created = exposures.start - EARLIER_DAYS * DAY
    until = int(exposures.until)
    accounts: dict[str, Column] = {
        "account_id": account_ids(np.arange(n)), "name": pa.array(company_names(n)), "domain": domains(n),
        "created_at": created,
    }  # fmt: skip
    return {
        "accounts": entity_table("accounts", accounts, n),
        "attributes": fact_table("attributes", _attributes(exposures), until),
        "touchpoints": fact_table("touchpoints", _touchpoints(exposures), until),
        "stage_changes": fact_table("stage_changes", [_stages(exposures)], until),
        "deals": fact_table("deals", _deals(exposures), until),
        "spend": fact_table("spend", _spend(exposures), until),
    }


def _attributes(exposures: Exposures) -> list[dict[str, Column]]:
    n = len(exposures.start)
    told = {"fit": exposures.fit} | ({"intent_proxy": exposures.proxy} if exposures.market.proxy else {})
    return [
        {
            "entity": "account", "id": account_ids(np.arange(n)), "field": name, "occurred_at": exposures.start,
            "value": pa.array(np.round(value, 4)).cast(pa.string()), "set_by": "vendor", "revision": 1,
            "known_at": exposures.start,
        }
        for name, value in told.items()
    ]  # fmt: skip


def _touchpoints(exposures: Exposures) -> list[dict[str, Column]]:
    welcome = _welcome(exposures)
    names = processes(exposures.market)
    pieces = [(exposures.earlier, names), (recorded(exposures), names), (welcome, _ONBOARDING)]
    began, rows = 0, []
    for touched, (channels, sources, types) in pieces:
        at = exposures.start[touched.account] + microseconds(touched.at)
        rows.append(
            {
                "source": pick(sources, touched.lever),
                "event_id": label("e", began + np.arange(len(at)), 9),
                "occurred_at": at,
                "account_id": account_ids(touched.account),
                "channel": pick(channels, touched.lever),
                "touch_type": pick(types, touched.lever),
                "content_stage": pick([TOUCH_TYPES[name].content_stage for name in types], touched.lever),
                "direction": pick([TOUCH_TYPES[name].direction for name in types], touched.lever),
                "revision": 1,
                "known_at": at + _LAG,
            }
        )
        began += len(at)
    return rows


def _welcome(exposures: Exposures) -> Touched:
    """Return the touches of customers after their win; `lever` is which of `_ONBOARDING` each is."""
    rng = np.random.default_rng([exposures.seed, 1])
    won = np.flatnonzero(np.isfinite(exposures.converted_at))
    account = np.repeat(won, rng.poisson(_ONBOARDING_TOUCHES, len(won)))
    at = exposures.converted_at[account] + _ONBOARDING_DAYS * rng.random(len(account))
    return Touched(len(exposures.start), account, rng.integers(0, len(_ONBOARDING[0]), len(account)), at)


def _won(exposures: Exposures) -> tuple[Ints, Ints, Ints]:
    """Return the accounts that were won, and when the deal of each opened and was won."""
    won = np.flatnonzero(np.isfinite(exposures.converted_at))
    after: Floats = exposures.converted_at[won]
    start = exposures.start[won]
    return won, start + microseconds(np.maximum(after - _SALE_DAYS, 0.0)), start + microseconds(after)


def _deals(exposures: Exposures) -> list[dict[str, Column]]:
    won, opened, closed = _won(exposures)
    return [
        {
            "deal_id": label("D-", won, 6), "occurred_at": at, "account_id": account_ids(won),
            "cycle_id": _cycles(won), "kind": "new", "amount": exposures.amount[won], "currency": "EUR",
            "outcome": outcome, "revision": 1, "known_at": at + _LAG,
        }
        for at, outcome in ((opened, "open"), (closed, "won"))
    ]  # fmt: skip


def _stages(exposures: Exposures) -> dict[str, Column]:
    account = np.arange(len(exposures.start))
    return {
        "change_id": label("s", account, 6), "account_id": account_ids(account), "cycle_id": _cycles(account),
        "kind": "new", "stage": "lead", "occurred_at": exposures.start, "set_by": "marketing", "revision": 1,
        "known_at": exposures.start,
    }  # fmt: skip


def _cycles(account: Ints) -> pa.Array:
    return pa.array([f"{one}:new:1" for one in account_ids(account).to_pylist()], pa.string())


def _spend(exposures: Exposures) -> list[dict[str, Column]]:
    """Return what the touches of each lever cost month by month, as a bill that comes when the month is over."""
    touched = recorded(exposures)
    at = exposures.start[touched.account] + microseconds(touched.at)
    month = at.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    months = np.unique(month)
    begins, ends = (
        (months + later).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64) for later in (0, 1)
    )
    pieces: list[dict[str, Column]] = []
    for position, lever in enumerate(exposures.market.levers):
        if lever.recorded:
            count = np.array([(month[touched.lever == position] == one).sum() for one in months], dtype=np.int64)
            pieces.append(
                {
                    "channel": lever.name, "campaign": "always on", "period_start": begins, "period_end": ends,
                    "amount": count * lever.unit_cost, "currency": "EUR", "revision": 1, "known_at": ends,
                }
            )  # fmt: skip
    return pieces
