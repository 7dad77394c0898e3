"""What channels cost over the last months, what that brought, and which levers are probably not worth their cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement
from features.journeys import Journeys, find_journeys
from features.journeys.journeys import Bools
from features.relations import Relations, Tables
from features.schema import DAY, FOREVER
from models.arrays import Floats
from models.attribution.credit import UNASSIGNED
from models.attribution.draws import Draws
from models.attribution.exchange import Exchange
from models.attribution.incremental.exposure import lever_names
from models.attribution.intervals import Replicates, replicates
from models.attribution.question import Question
from models.attribution.reconciliation import unpriced
from models.attribution.returns import Return, returns
from models.attribution.rules import rules
from models.attribution.spending import Spending, spending
from models.attribution.stop_list import Verdict, stop_list

RULE = "linear"
"""The rule by which costs are set against what was reached: all touches alike."""

_STAGES = ("mql", "sql", "won")


@dataclass(frozen=True)
class Money:
    """Costs beside credit.

    Parameters
    ----------
    from_, to : int
        The time that costs and conversions are of, its end excluded, in microseconds.
    spent : Spending
    returns : tuple of Return
        By channel, by `RULE`.
    verdicts : tuple of Verdict
        On the levers, by the incremental model; empty without it.
    worth : int or None
        What a won deal with a known amount brought on average, in minor units of the reporting currency; None when
        there is none.
    """

    from_: int
    to: int
    spent: Spending
    returns: tuple[Return, ...]
    verdicts: tuple[Verdict, ...]
    worth: int | None

    def document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "from": self.from_,
            "to": self.to,
            "rule": RULE,
            "currency": self.spent.reporting,
            "total": dict(self.spent.total),
            "worth": self.worth,
            "channels": [one.document() for one in self.returns],
            "stopList": [one.document() for one in self.verdicts],
            "doubled": [asdict(one) | {"cost": dict(one.cost)} for one in self.spent.doubled],
        }


def money(
    tables: Tables,
    relations: Relations,
    agreement: Agreement,
    question: Question,
    exposed: Journeys,
    incremental: Replicates | None,
    sold: pa.Table,
    *,
    as_of: int,
) -> Money | None:
    """Set costs against what was reached in the time of the question, or in the last months of the horizon.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        Ledger tables, ``spend`` among them.
    relations : Relations
        Of these tables.
    agreement : Agreement
    question : Question
    exposed : Journeys
        Of won deals, with all their touches.
    incremental : Replicates or None
        Conversions that would not have been without each lever, of all journeys.
    sold : pyarrow.Table
        Won deals of the time of the question, as `models.attribution.reconciliation.sold_deals` gives them.
    as_of : int
        Microseconds.

    Returns
    -------
    Money or None
        None when the time of the question has not begun.

    Notes
    -----
    A lead is an account that was first heard of: it is its first touch's. The incremental effect of the time is the
    lever's effect on all journeys times the share of its touches that fall into it, as costs do.
    """
    from_, to = _window(question, agreement, as_of)
    if from_ >= to:
        return None
    exchange = Exchange.of(tables["fx_rates"], agreement.reporting_currency, as_of)
    spent = spending(tables["spend"], _priced(tables), exchange, from_=from_, to=to, as_of=as_of)
    leads = _leads(exposed, from_, to, question)
    credited: dict[str, Replicates] = {"lead": leads}
    revenue: dict[str, Replicates] = {}
    worth = without = None
    rule = rules(agreement.attribution)[RULE]
    for stage in (one for one in _STAGES if one in agreement.stages.order):
        journeys = find_journeys(
            tables, relations, agreement, as_of=as_of, transition=stage, lookback_days=question.lookback_days
        )
        ended = np.asarray(journeys.journeys["ended_at"].to_numpy())
        journeys = journeys.take(journeys.converted & (ended >= from_) & (ended < to))
        drawn = Draws.of(journeys, draws=question.draws, seed=question.seed)
        credit = rule.credit(journeys)
        credited[stage] = replicates(rule, credit, drawn)
        if stage == "won":
            is_open = unpriced(sold, journeys)
            without = replicates(rule, credit, drawn, amount=is_open.astype(np.float64))
            for currency, amount in _amounts(journeys).items():
                revenue[currency] = replicates(rule, credit, drawn, amount=amount)
                if currency == agreement.reporting_currency:
                    worth = _mean(amount[_is_in(currency, journeys) & ~is_open])
    verdicts: tuple[Verdict, ...] = ()
    if incremental is not None and worth:
        verdicts = stop_list(
            spent.by_channel, _within(incremental, exposed, from_, to), _levers(exposed, spent, agreement), worth=worth,
            currency=agreement.reporting_currency, leads=leads,
        )  # fmt: skip
    return Money(from_, to, spent, returns(spent.by_channel, credited, revenue, without), verdicts, worth)


def _window(question: Question, agreement: Agreement, as_of: int) -> tuple[int, int]:
    first, last = question.window
    to = min(last, as_of + 1)
    return (to - agreement.attribution.horizon_days * DAY if first == -FOREVER else first), to


def _leads(journeys: Journeys, from_: int, to: int, question: Question) -> Replicates:
    """Return the accounts first heard of in a time, by the channel of their first inbound touch."""
    names, code = journeys.players()
    inbound = np.flatnonzero(pc.equal(journeys.touches["direction"], "inbound").fill_null(False).to_numpy())
    account = journeys.account[journeys.of_touch[inbound]]
    order = np.lexsort((inbound, journeys.occurred_at[inbound], account))
    first = inbound[order][np.unique(account[order], return_index=True)[1]]
    first = first[(journeys.occurred_at[first] >= from_) & (journeys.occurred_at[first] < to)]
    drawn = Draws.of(journeys, draws=question.draws, seed=question.seed)
    found = np.zeros((len(drawn.size), len(names)))
    found[drawn.cluster[journeys.of_touch[first]], code[first]] = 1
    labels = tuple(UNASSIGNED if name is None else name for name in names)
    return Replicates(labels, found.sum(axis=0), drawn.sums(found))


def _within(incremental: Replicates, exposed: Journeys, from_: int, to: int) -> Replicates:
    names, code = exposed.players()
    is_in = (exposed.occurred_at >= from_) & (exposed.occurred_at < to)
    every = np.bincount(code, minlength=len(names))
    share = np.bincount(code, weights=is_in, minlength=len(names)) / np.maximum(every, 1)
    of = {UNASSIGNED if name is None else name: share[at] for at, name in enumerate(names)}
    scale = np.array([of.get(label, 1.0) for label in incremental.labels])
    return Replicates(incremental.labels, incremental.value * scale, incremental.draws * scale)


def _levers(journeys: Journeys, spent: Spending, agreement: Agreement) -> list[str]:
    """Return the levers that were used, and those that cost something although nobody was touched."""
    return sorted({*lever_names(journeys)} | {*agreement.attribution.levers} & {*spent.by_channel})


def _priced(tables: Tables) -> pa.Table:
    """Return the touches with their costs; those of nobody in particular cost money too."""
    return tables["touchpoints"] if "touchpoints" in tables else tables["account_touches"]


def _is_in(currency: str, journeys: Journeys) -> Bools:
    found: Bools = pc.fill_null(pc.equal(journeys.journeys["currency"], currency), False).to_numpy()
    return found


def _amounts(journeys: Journeys) -> dict[str, Floats]:
    """Return the revenue of each journey in each currency, of shape (n,)."""
    named = sorted(one for one in journeys.journeys["currency"].unique().to_pylist() if one)
    found = {one: np.where(_is_in(one, journeys), journeys.revenue, 0).astype(np.float64) for one in named}
    return {currency: amount for currency, amount in found.items() if amount.any()}


def _mean(amount: Floats) -> int | None:
    return round(amount.mean()) if len(amount) else None
