"""Stage changes, deals and hand-offs, and the touches that come with them: quotes and assessments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import DAY, KINDS
from features.synthetic.columns import Column, account_ids, fact_table, label, pick, take
from features.synthetic.history import BQL, DEAL, DISQUALIFIED, ENDS, LEAD, LOST, MQL, SQL, TYPE_CODES, WON
from features.synthetic.market import OFFERS
from features.synthetic.population import US, Ints, Population

USD_RATE = 0.92
"""Euros for a dollar around which the simulated rates move."""

REPS = tuple(f"rep-{number:02d}" for number in range(1, 13))

_LOSS_REASONS = ("price", "competitor", "no_budget", "no_decision", "timing", "missing_feature")
_LOSS_SHARE = (0.24, 0.22, 0.16, 0.2, 0.12, 0.06)
_REFUSALS = ("no_fit", "no_budget", "unreachable", "too_early")
_AMOUNT_SPREAD = 0.85
_KIND_FACTOR = (1.0, 0.4, 0.9)
_HOUR = DAY // 24


@dataclass(frozen=True)
class SalesRows:
    """What sales wrote into the books.

    Parameters
    ----------
    tables : dict of str to pyarrow.Table
        `stage_changes`, `deals` and `handoffs`.
    touches : dict of str to array
        Quotes and assessments: columns `account`, `touch_type`, `at`, and `parent`, a position in this very list or -1.
    """

    tables: dict[str, pa.Table]
    touches: dict[str, Ints]


def sales_rows(people: Population, passages: dict[str, Ints], interest: Ints, rng: np.random.Generator) -> SalesRows:
    """Write down what became of the cycles.

    Parameters
    ----------
    people : Population
    passages : dict of str to array
        As in `features.synthetic.history.COLUMNS`.
    interest : int array of shape (n_accounts,)
        Position in `OFFERS` of what each account wants.
    rng : numpy.random.Generator

    Returns
    -------
    SalesRows
    """
    order = np.lexsort((passages["account"], passages["at"]))
    ordered = {name: column[order].astype(np.int64) for name, column in passages.items()}
    tables = {
        "stage_changes": _stage_changes(people, ordered, rng),
        "handoffs": _handoffs(people, ordered, rng),
    }
    opened, closed = _pairs(ordered)
    tables["deals"] = _deals(people, ordered, opened, closed, interest, rng)
    return SalesRows(tables=tables, touches=_touches(people, ordered, opened, closed, rng))


def expected_amounts(people: Population, account: Ints, kind: Ints) -> npt.NDArray[np.float64]:
    """Return the mean amount, in euros, of a deal of each of some accounts.

    Parameters
    ----------
    people : Population
    account : int array of shape (n,)
    kind : int array of shape (n,)
        Positions in `schema.KINDS`.

    Returns
    -------
    array of shape (n,)
        ``exp(m + s^2 / 2)`` of the log-normal amount. Rounding and later corrections, which cancel out, are left out.
    """
    log_mean = _log_amount(people, account) + _AMOUNT_SPREAD**2 / 2
    mean: npt.NDArray[np.float64] = np.exp(log_mean) * np.take(_KIND_FACTOR, kind)
    return mean


def _log_amount(people: Population, account: Ints) -> npt.NDArray[np.float64]:
    logs: npt.NDArray[np.float64] = 9.6 + 0.42 * np.log(people.employees[account] / 150 + 0.05)
    return logs


def _stage_changes(people: Population, passages: dict[str, Ints], rng: np.random.Generator) -> pa.Table:
    to, kind = passages["to"], passages["kind"]
    # `deal`, `won` and `lost` come from deals only.
    rows = np.flatnonzero(np.isin(to, (LEAD, MQL, BQL, SQL, DISQUALIFIED)))
    to, kind, fallen = to[rows], kind[rows], passages["origin"][rows] > to[rows]
    recorded_late = rng.random(len(rows)) < 0.03
    lag = np.where(recorded_late, rng.random(len(rows)) * 10 * DAY, rng.lognormal(0, 1.2, len(rows)) * _HOUR)
    refusal = rng.integers(0, len(_REFUSALS), len(rows))
    reason = np.where(to == DISQUALIFIED, refusal, np.where(fallen, len(_REFUSALS), -1))
    columns: dict[str, Column] = {
        "change_id": label("s", np.arange(len(rows)), 9),
        "account_id": account_ids(passages["account"][rows]),
        "cycle_id": _cycle_ids(passages, rows),
        "kind": pick(KINDS, kind),
        "stage": pick(ENDS, to),
        "occurred_at": passages["at"][rows],
        "set_by": pick(("rule", "marketing", "sales"), np.where(to == LEAD, 0, np.where((to == MQL) & ~fallen, 1, 2))),
        "reason": pick((*_REFUSALS, "recycled"), reason),
        "revision": 1,
        "known_at": passages["at"][rows] + lag.astype(np.int64),
    }
    return fact_table("stage_changes", [columns], people.until)


def _handoffs(people: Population, passages: dict[str, Ints], rng: np.random.Generator) -> pa.Table:
    by_cycle = np.lexsort((passages["at"], passages["number"], passages["kind"], passages["account"]))
    key = _cycle_keys(passages)[by_cycle]
    follows = np.full(len(by_cycle), -1)
    follows[by_cycle[:-1]] = np.where(key[:-1] == key[1:], by_cycle[1:], -1)
    rows = np.flatnonzero(passages["to"] == BQL)
    after = follows[rows]
    handed = passages["at"][rows]
    known = handed + (rng.lognormal(0, 1, len(rows)) * _HOUR).astype(np.int64)
    columns: dict[str, Column] = {
        "handoff_id": label("h", np.arange(len(rows)), 7),
        "account_id": account_ids(passages["account"][rows]),
        "handed_at": handed,
        "to": pick(REPS, passages["account"][rows] % len(REPS)),
        "problem": pick(("cost", "growth", "compliance", "replacement"), rng.integers(-1, 4, len(rows))),
        "decision_power": pick(("one person", "committee", "parent company"), rng.integers(-1, 3, len(rows))),
        "budget": pick(("approved", "planned", "none"), rng.integers(-1, 3, len(rows))),
        "alternatives": pick(("competitor", "in-house", "nothing"), rng.integers(-1, 3, len(rows))),
        "revision": 1,
        "known_at": known,
    }
    done = np.flatnonzero(after >= 0)
    ends = after[done]
    accepted = passages["to"][ends] == SQL
    when = passages["at"][ends]
    answered = take(columns, done)
    refusal = np.where(accepted, -1, rng.integers(0, len(_REFUSALS), len(done)))
    answered |= {
        "handed_at": handed[done],
        "accepted_at": pa.array(when, mask=~accepted),
        "rejected_reason": pick(_REFUSALS, refusal),
        "outcome_at": when,
        "revision": 2,
        "known_at": np.maximum(known[done], when) + (rng.lognormal(0, 1, len(done)) * _HOUR).astype(np.int64),
    }
    return fact_table("handoffs", [columns, answered], people.until)


def _pairs(passages: dict[str, Ints]) -> tuple[Ints, Ints]:
    """Return the rows in which deals open, and for each the row in which it closes, or -1."""
    opened = np.flatnonzero(passages["to"] == DEAL)
    closing = np.flatnonzero(np.isin(passages["to"], (WON, LOST)))
    keys = _cycle_keys(passages)
    closing = closing[np.argsort(keys[closing])]
    at = np.searchsorted(keys[closing], keys[opened])
    found = np.minimum(at, max(len(closing) - 1, 0))
    if not len(closing):
        return opened, np.full(len(opened), -1)
    return opened, np.where(keys[closing[found]] == keys[opened], closing[found], -1)


def _deals(
    people: Population, passages: dict[str, Ints], opened: Ints, closed: Ints, interest: Ints, rng: np.random.Generator
) -> pa.Table:
    account, kind = passages["account"][opened], passages["kind"][opened]
    log_amount = _log_amount(people, account) + rng.normal(0, _AMOUNT_SPREAD, len(opened))
    dollars = people.country[account] == US
    amount = np.exp(log_amount) * np.take(_KIND_FACTOR, kind) / np.where(dollars, USD_RATE, 1.0)
    first = np.maximum(np.round(amount * np.exp(rng.normal(0.05, 0.15, len(opened)))), 100).astype(np.int64) * 100
    final = np.maximum(np.round(amount), 100).astype(np.int64) * 100
    start = passages["at"][opened]
    done = closed >= 0
    end = np.where(done, passages["at"][closed], people.until)
    outcome = np.where(done, passages["to"][closed], DEAL)
    product = np.where(rng.random(len(opened)) < 0.8, interest[account], rng.integers(0, len(OFFERS), len(opened)))
    reason = np.where(outcome == LOST, rng.choice(len(_LOSS_REASONS), len(opened), p=_LOSS_SHARE), -1)
    middle = start + (rng.uniform(0.3, 0.8, len(opened)) * (end - start)).astype(np.int64)

    def rows(
        which: Ints, when: Ints, sum_: Ints, state: str, *, revision: int = 1, known: Ints | None = None
    ) -> dict[str, Column]:
        lag = (rng.lognormal(1.2, 1.1, len(which)) * _HOUR).astype(np.int64)
        return {
            "deal_id": label("D-", which + 1, 7),
            "occurred_at": when[which],
            "account_id": account_ids(account[which]),
            "cycle_id": _cycle_ids(passages, opened[which]),
            "kind": pick(KINDS, kind[which]),
            "product": pick(OFFERS, product[which]),
            "amount": sum_[which],
            "currency": pick(("EUR", "USD"), dollars[which].astype(np.int64)),
            "outcome": state,
            "loss_reason": pick(_LOSS_REASONS, reason[which]) if state == "lost" else None,
            "owner_id": pick(REPS, account[which] % len(REPS)),
            "revision": revision,
            "known_at": when[which] + lag if known is None else known,
        }

    everyone = np.arange(len(opened))
    changed = everyone[(rng.random(len(opened)) < 0.4) & (middle > start) & (middle < end)]
    won, lost = everyone[outcome == WON], everyone[outcome == LOST]
    winning = rows(won, end, final, "won")
    mended = rng.random(len(won)) < 0.02
    # A won amount that was booked wrongly is put right some weeks later.
    again = np.asarray(winning["known_at"])[mended] + (rng.uniform(3, 40, int(mended.sum())) * DAY).astype(np.int64)
    corrected = np.where(final > 1_000_000, final - final // 10, final + final // 10)
    pieces = [
        rows(everyone, start, first, "open"),
        rows(changed, middle, final, "open"),
        rows(lost, end, final, "lost"),
        winning,
        rows(won[mended], end, corrected, "won", revision=2, known=again),
    ]
    return fact_table("deals", pieces, people.until)


def _touches(
    people: Population, passages: dict[str, Ints], opened: Ints, closed: Ints, rng: np.random.Generator
) -> dict[str, Ints]:
    start, account = passages["at"][opened], passages["account"][opened]
    end = np.where(closed >= 0, passages["at"][closed], people.until)
    sent = start + np.minimum(rng.uniform(0.5, 8, len(opened)) * DAY, (end - start) * 0.5).astype(np.int64)
    answered = sent + ((end - sent) * rng.uniform(0.3, 0.95, len(opened))).astype(np.int64)
    won, lost = (closed >= 0) & (passages["to"][closed] == WON), (closed >= 0) & (passages["to"][closed] == LOST)
    returned = ~won & ~lost & (rng.random(len(opened)) < 0.3)
    answer = np.where(won, TYPE_CODES["quote_accepted"], TYPE_CODES["quote_returned"])
    withdrawn = rng.random(len(opened)) < 0.4
    answer = np.where(lost, np.where(withdrawn, TYPE_CODES["quote_withdrawn"], TYPE_CODES["quote_declined"]), answer)
    # A fifth of the won and lost deals is decided without an answer to the quote.
    replies = np.flatnonzero(((won | lost) & (rng.random(len(opened)) < 0.8)) | returned)
    assessed = np.flatnonzero((passages["to"] == BQL) & (rng.random(len(passages["to"])) < 0.8))
    earlier = passages["at"][assessed] - (rng.uniform(0.5, 6, len(assessed)) * _HOUR).astype(np.int64)
    return {
        "account": np.concatenate([account, account[replies], passages["account"][assessed]]),
        "touch_type": np.concatenate(
            [
                np.full(len(opened), TYPE_CODES["quote_sent"]),
                answer[replies],
                np.full(len(assessed), TYPE_CODES["assessment"]),
            ]
        ),
        "at": np.concatenate([sent, answered[replies], earlier]),
        "parent": np.concatenate([np.full(len(opened), -1), replies, np.full(len(assessed), -1)]),
    }


def _cycle_keys(passages: dict[str, Ints]) -> Ints:
    return (passages["account"] * len(KINDS) + passages["kind"]) * 1_000 + passages["number"]


def _cycle_ids(passages: dict[str, Ints], rows: Ints) -> pa.Array:
    number = pc.cast(pa.array(passages["number"][rows]), pa.string())
    return pc.binary_join_element_wise(
        account_ids(passages["account"][rows]), pick(KINDS, passages["kind"][rows]), number, ":"
    )
