"""Which notes an analysis needs: what its journeys, its models and the agreement do not allow to be said."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement
from features.errors import closest
from features.journeys import Journeys
from features.relations import Tables
from models.attribution.choice import Chosen
from models.attribution.credit import Credit, Evidence
from models.attribution.notes import Note
from models.attribution.question import Question
from models.attribution.reconciliation import unpriced
from models.attribution.result import OTHERS, Players

FEW = 30
"""Accounts that converted below which intervals are called rough."""
FEW_FOR_RATES = 1_000
"""Conversions below which the intervals of the Shapley value of a rate were seen to be too narrow."""


def of_journeys(journeys: Journeys, credited: Journeys, known: pa.Table | None, sold: pa.Table | None) -> list[Note]:
    """Return the notes on journeys.

    Parameters
    ----------
    journeys : Journeys
        All that the models learn from.
    credited : Journeys
        Those of the question.
    known : pyarrow.Table or None
        Confounders.
    sold : pyarrow.Table or None
        Won deals, as `models.attribution.reconciliation.sold_deals` gives them.
    """
    notes = []
    if not credited.converted.any():
        notes.append(Note("nothing_converted"))
    if censored := int(journeys.count[journeys.censored].sum()):
        notes.append(Note("censored", {"count": censored}))
    if journeys.size and not (~journeys.converted & ~journeys.censored).any():
        notes.append(Note("no_nulls"))
    if journeys.touches.num_rows and not journeys.is_lever.any():
        notes.append(Note("no_levers"))
    if known is None or not known.num_columns:
        notes.append(Note("no_confounders"))
    accounts = len(np.unique(credited.account[credited.converted]))
    if 0 < accounts < FEW:
        notes.append(Note("few_draws", {"accounts": accounts}))
    total = int(credited.count[credited.converted].sum())
    without = 0 if sold is None else int(unpriced(sold, credited).sum())
    if without:
        notes.append(Note("no_revenue", {"count": without, "total": total}))
    paid = credited.journeys["currency"].filter(pa.array(credited.revenue > 0)).unique().to_pylist()
    if len(currencies := sorted(one for one in paid if one)) > 1:
        notes.append(Note("currencies", {"currencies": ", ".join(currencies)}))
    return notes


def of_models(players: Players, credits: tuple[Credit, ...], chosen: Chosen, question: Question) -> list[Note]:
    """Return the notes on who is credited, and on what the models could not do."""
    notes = []
    if OTHERS in players.names:
        notes.append(Note("many_players", {"count": players.different, "shown": len(players.names) - 1}))
    elif players.different == 1:
        notes.append(Note("one_player", {"name": players.names[0]}))
    learnt = [credit for credit in credits if credit.evidence is not Evidence.RULE]
    if learnt and not (question.is_whole and question.by == "channel"):
        notes.append(Note("part"))
    conversions = int(credits[0].journeys.count[credits[0].journeys.converted].sum()) if credits else 0
    if 0 < conversions < FEW_FOR_RATES and any(credit.model == "shapley_rate" for credit in credits):
        notes.append(Note("narrow_rates", {"count": conversions}))
    if question.lift_tests and chosen.effects is None:
        notes.append(Note("unused_tests"))
    return [*notes, *chosen.notes]


def of_times(tables: Tables) -> list[Note]:
    """Return the note on touches whose time of becoming known is assumed."""
    origin = tables["account_touches"]["known_at_origin"]
    assumed = (pc.sum(pc.equal(origin, "assumed")).as_py() or 0) / max(len(origin), 1)
    return [Note("assumed_times", {"share": f"{assumed:.0%}"})] if assumed else []


def of_names(tables: Tables, agreement: Agreement) -> Iterator[Note]:
    """Yield a note on each channel that the agreement names, other than its defaults, and that nothing is of."""
    seen = {one for name in ("account_touches", "spend") if name in tables
            for one in tables[name]["channel"].unique().to_pylist() if one}  # fmt: skip
    usual = Agreement.load(None).attribution
    told = agreement.attribution
    named = {"levers": told.levers, "direct": told.direct, **{
        f"models.{name}.exclude": rule.exclude for name, rule in told.models.items()
    }}  # fmt: skip
    for key, channels in named.items():
        for channel in dict.fromkeys(channels):
            if seen and channel not in {*seen, *usual.levers, *usual.direct}:
                values = {"key": key, "channel": channel}
                meant = closest(channel, sorted(seen))
                yield Note("misspelt_channel", {**values, "meant": meant}) if meant else Note("unknown_channel", values)
