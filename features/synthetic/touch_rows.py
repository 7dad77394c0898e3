"""Touches as rows: who took part, how the sender names them, when they became known, and what was wrong at first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import DAY, ROLES
from features.synthetic.columns import Column, account_ids, contact_ids, fact_table, label, pick, take
from features.synthetic.entities import domains, email_hashes
from features.synthetic.history import TYPE_CODES, TYPE_NAMES
from features.synthetic.market import OFFERS, STATES, Market
from features.synthetic.population import Floats, Ints, Population
from features.synthetic.sales_rows import REPS
from features.touch_types import TOUCH_TYPES

_HOUR = DAY // 24
_WITH_CONTENT = ("page_view", "content_download", "webinar_attended", "form_fill")
_ASSETS = tuple(f"asset-{number:02d}" for number in range(1, 25))

# How a sender names whom a touch belongs to.
_BOTH, _CONTACT, _EMAIL, _DEVICE, _DOMAIN, _ACCOUNT = range(6)
_NAMED = {
    "web": (0.4, 0.12, 0.1, 0.18, 0.12, 0.08),
    "ads": (0.0, 0.0, 0.0, 0.25, 0.4, 0.35),
    "marketing": (0.25, 0.4, 0.35, 0.0, 0.0, 0.0),
    "crm": (0.85, 0.07, 0.0, 0.0, 0.0, 0.08),
    "product": (0.8, 0.1, 0.1, 0.0, 0.0, 0.0),
    "support": (0.7, 0.3, 0.0, 0.0, 0.0, 0.0),
}
# Streams that come from deals and hand-offs, not from a process: channel and source.
_DESK = (("Offline", "crm"), ("Back Office", "crm"))


@dataclass(frozen=True)
class Touches:
    """All touches of a market in the order of their times; arrays of one length.

    Parameters
    ----------
    account, stream, touch_type, at, parent, state : int array
        `stream` is a process, or beyond these one of `_DESK`.
    intent : float array
    """

    account: Ints
    stream: Ints
    touch_type: Ints
    at: Ints
    parent: Ints
    state: Ints
    intent: Floats


def gather(market: Market, log: dict[str, Ints], desk: dict[str, Ints]) -> Touches:
    """Join the touches of the processes and those of deals and hand-offs, and put them in the order of time.

    Parameters
    ----------
    market : Market
    log : dict of str to array
        As in `features.synthetic.history.COLUMNS`.
    desk : dict of str to array
        As in `SalesRows.touches`.
    """
    count, extra = len(log["at"]), len(desk["at"])
    assessed = desk["touch_type"] == TYPE_CODES["assessment"]
    at = np.concatenate([log["at"], desk["at"]])
    order = np.argsort(at, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    parent = np.concatenate([log["parent"].astype(np.int64), np.where(desk["parent"] < 0, -1, desk["parent"] + count)])
    joined = {
        "account": np.concatenate([log["account"].astype(np.int64), desk["account"]]),
        "stream": np.concatenate([log["process"].astype(np.int64), len(market.processes) + assessed.astype(np.int64)]),
        "touch_type": np.concatenate([log["touch_type"].astype(np.int64), desk["touch_type"]]),
        "at": at,
        "parent": np.where(parent < 0, -1, rank[np.maximum(parent, 0)]),
        "state": np.concatenate([log["state"].astype(np.int64), np.full(extra, STATES.index("deal"))]),
        "intent": np.concatenate([log["intent"].astype(np.float32), np.zeros(extra, dtype=np.float32)]),
    }
    return Touches(**{name: column[order] for name, column in joined.items()})


def touch_rows(
    market: Market, people: Population, touches: Touches, interest: Ints, rng: np.random.Generator
) -> dict[str, pa.Table]:
    """Return the tables `touchpoints` and `touch_links`.

    `touch_links` holds only what a ledger could not find out by itself when the touch arrived: devices that turned out
    to be somebody's, and people whose employer became known later.

    Parameters
    ----------
    market : Market
    people : Population
    touches : Touches
    interest : int array of shape (n_accounts,)
        Position in `OFFERS` of what each account wants.
    rng : numpy.random.Generator
    """
    rows = len(touches.at)
    channels = [process.channel for process in market.processes] + [channel for channel, _ in _DESK]
    sources = [process.source for process in market.processes] + [source for _, source in _DESK]
    member = _members(people, touches, rng)
    known = _known(market, touches, rng)
    form = _forms(sources, touches, rng)
    contact = people.members.contact[member]
    event, source = label("e", np.arange(rows), 9), pick(sources, touches.stream)

    on_web = np.isin(touches.stream, [code for code, name in enumerate(sources) if name in ("web", "product")])
    seen = (form == _DEVICE) | (on_web & np.isin(form, (_BOTH, _CONTACT, _EMAIL)) & (rng.random(rows) < 0.7))
    campaigns, campaign = _campaigns(market, touches)
    # What campaigns cost is in the table `spend`; what sales costs is on its touches.
    cost = np.array([p.unit_cost if p.source == "crm" else 0 for p in market.processes] + [0] * len(_DESK))
    named = np.isin(touches.stream, [code for code, name in enumerate(sources) if name in ("crm", "support")])
    actor = np.where(named & (rng.random(rows) < 0.93), touches.account % len(REPS), -1)
    types = [TOUCH_TYPES[name] for name in TYPE_NAMES]
    about = (rng.random(rows) < 0.6) & np.isin(
        touches.touch_type,
        [code for code, kind in enumerate(types) if kind.content_stage in ("mofu", "bofu")],
    )
    asset = np.isin(touches.touch_type, [TYPE_CODES[name] for name in _WITH_CONTENT])
    columns: dict[str, Column] = {
        "source": source,
        "event_id": event,
        "occurred_at": touches.at,
        "account_id": account_ids(np.where(np.isin(form, (_BOTH, _ACCOUNT)), touches.account, -1)),
        "contact_id": contact_ids(np.where(np.isin(form, (_BOTH, _CONTACT)), contact, -1)),
        "device": label("dv-", np.where(seen, contact * 7 + 3, -1), 8),
        "email_hash": pick(email_hashes(len(people.role)), np.where(form == _EMAIL, contact, -1)),
        "domain": pick(domains(people.size), np.where(form == _DOMAIN, touches.account, -1)),
        "channel": pick(channels, touches.stream),
        "campaign": pick(campaigns, campaign),
        "content": pick(_ASSETS, np.where(asset, (touches.account * 7 + np.arange(rows)) % len(_ASSETS), -1)),
        "product": pick(OFFERS, np.where(about, interest[touches.account], -1)),
        "touch_type": pick(TYPE_NAMES, touches.touch_type),
        "content_stage": pick([kind.content_stage for kind in types], touches.touch_type),
        "direction": pick([kind.direction for kind in types], touches.touch_type),
        "actor_id": pick(REPS, actor),
        "reply_to": event.take(pa.array(touches.parent, mask=touches.parent < 0)),
        "cost": pa.array(cost[touches.stream], mask=cost[touches.stream] == 0),
        "currency": pick(("EUR",), np.where(cost[touches.stream] > 0, 0, -1)),
        "properties": _properties(people, touches, rng),
        "revision": 1,
        "known_at": known,
        "deleted": pa.repeat(pa.scalar(False), rows),
    }
    again = _second_thoughts(market, columns, touches, rng)
    links = _links(people, columns, form, member, known, rng)
    return {
        "touchpoints": fact_table("touchpoints", [columns, *again], people.until),
        "touch_links": fact_table("touch_links", [links], people.until),
    }


def _members(people: Population, touches: Touches, rng: np.random.Generator) -> Ints:
    """Return the row in `people.members` of who took part in each touch."""
    staff = people.members
    first, count = staff.first[touches.account], np.diff(staff.first)[touches.account]
    # The keener the account, the more of its people take part; the first of them most often.
    engaged = np.ceil(count / (1 + np.exp(-0.4 - touches.intent)))
    member = first + (engaged * rng.random(len(first)) ** 1.6).astype(np.int64)
    deciders = np.flatnonzero(people.role[staff.contact] == ROLES.index("decision_maker"))
    decider = np.full(people.size, -1)
    decider[staff.account[deciders][::-1]] = deciders[::-1]
    late_stage = np.isin(touches.state, (STATES.index("sql"), STATES.index("deal")))
    chosen = late_stage & (decider[touches.account] >= 0) & (rng.random(len(first)) < 0.35)
    member = np.where(chosen, decider[touches.account], member)
    replies = np.flatnonzero(touches.parent >= 0)
    # Parents come before their replies in time; three rounds carry a person along a chain of replies.
    for _ in range(3):
        member[replies] = member[touches.parent[replies]]
    there = (staff.since[member] <= touches.at) & (touches.at < staff.until[member])
    return np.where(there, member, first)


def _known(market: Market, touches: Touches, rng: np.random.Generator) -> Ints:
    rows = len(touches.at)
    lag_hours = np.array([process.lag_hours for process in market.processes] + [2.0] * len(_DESK))
    lag = lag_hours[touches.stream] * rng.lognormal(0, 1, rows) * _HOUR
    lag = np.where(rng.random(rows) < market.late, rng.lognormal(1.2, 0.8, rows) * DAY, lag)
    known = touches.at + lag.astype(np.int64)
    # Some meetings are in the calendar before they take place.
    booked = (touches.touch_type == TYPE_CODES["meeting"]) & (touches.parent < 0) & (rng.random(rows) < 0.2)
    known[booked] = touches.at[booked] - (rng.uniform(1, 6, int(booked.sum())) * DAY).astype(np.int64)
    # Nobody answers what is not known yet.
    replies = np.flatnonzero(touches.parent >= 0)
    np.minimum.at(known, touches.parent[replies], touches.at[replies])
    return known


def _forms(sources: list[str], touches: Touches, rng: np.random.Generator) -> Ints:
    share = np.cumsum([_NAMED[source] for source in sources], axis=1)[touches.stream]
    form: Ints = np.minimum((rng.random((len(touches.at), 1)) >= share).sum(axis=1), _ACCOUNT)
    # Sales can only answer somebody who left a name.
    form[touches.parent[touches.parent >= 0]] = _BOTH
    return form


def _campaigns(market: Market, touches: Touches) -> tuple[list[str], Ints]:
    months = touches.at.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    first = int(months.min()) if len(months) else 0
    span = int(months.max()) - first + 1 if len(months) else 1
    names = [
        f"{process.name.lower().replace(' ', '-')}-{np.datetime64(first + month, 'M')}"
        for process in market.processes
        for month in range(span)
    ]
    runs = np.array([p.role == "lever" and p.source != "crm" for p in market.processes] + [False] * len(_DESK))
    return names, np.where(runs[touches.stream], touches.stream * span + months - first, -1)


def _properties(people: Population, touches: Touches, rng: np.random.Generator) -> pa.Array:
    mood = people.health[touches.account] + rng.normal(0, 0.8, len(touches.at))
    stars = np.clip(np.round(3.6 + 0.8 * mood), 1, 5).astype(np.int64)
    promoter = np.clip(np.round(7.2 + 1.6 * mood), 0, 10).astype(np.int64)
    says = [f'{{"satisfaction":{value}}}' for value in range(1, 6)] + [f'{{"nps":{value}}}' for value in range(11)]
    code = np.where(touches.touch_type == TYPE_CODES["survey"], 5 + promoter, -1)
    return pick(says, np.where(touches.touch_type == TYPE_CODES["ticket_closed"], stars - 1, code))


def _second_thoughts(
    market: Market, columns: dict[str, Column], touches: Touches, rng: np.random.Generator
) -> list[dict[str, Column]]:
    """Return rows sent twice and rows with a higher revision; first versions that were wrong are changed in place."""
    rows = len(touches.at)
    fate = rng.random(rows)
    # What was answered or is an answer stays as it is, so that every reply has its question.
    fate[touches.parent >= 0] = 1.0
    fate[touches.parent[touches.parent >= 0]] = 1.0
    bounds = np.cumsum([market.duplicated, market.corrected, market.retracted])
    duplicated = np.flatnonzero(fate < bounds[0])
    assigned = pc.not_equal(columns["channel"], "Unassigned").to_numpy(zero_copy_only=False)
    corrected = np.flatnonzero((fate >= bounds[0]) & (fate < bounds[1]) & assigned)
    retracted = np.flatnonzero((fate >= bounds[1]) & (fate < bounds[2]))
    known = columns["known_at"]

    def again(which: npt.NDArray[np.intp], days: float, **changes: Column) -> dict[str, Column]:
        later = known[which] + ((0.01 + rng.random(len(which))) * days * DAY).astype(np.int64)
        return take(columns, which) | {"known_at": later} | changes

    pieces = [
        again(duplicated, 2),
        again(corrected, 30, revision=2),
        again(retracted, 30, revision=2, deleted=pa.repeat(pa.scalar(True), len(retracted))),
    ]
    wrong = np.zeros(rows, dtype=bool)
    wrong[corrected] = True
    unassigned = pa.array(wrong)
    columns["channel"] = pc.if_else(unassigned, "Unassigned", columns["channel"])
    columns["campaign"] = pc.if_else(unassigned, pa.scalar(None, pa.string()), columns["campaign"])
    return pieces


def _links(
    people: Population, columns: dict[str, Column], form: Ints, member: Ints, known: Ints, rng: np.random.Generator
) -> dict[str, Column]:
    employer_known = people.members.known[member]
    learnt = known + (rng.lognormal(1.8, 1.0, len(form)) * DAY).astype(np.int64)
    recognised = (form == _DEVICE) & (rng.random(len(form)) < 0.75)
    late_employer = np.isin(form, (_CONTACT, _EMAIL)) & (employer_known > known)
    rows = np.flatnonzero(recognised | late_employer)
    taken = pa.array(rows)
    return {
        "source": columns["source"].take(taken),
        "event_id": columns["event_id"].take(taken),
        "account_id": account_ids(people.members.account[member[rows]]),
        "contact_id": contact_ids(people.members.contact[member[rows]]),
        "known_at": np.where(recognised[rows], learnt[rows], employer_known[rows]),
    }
