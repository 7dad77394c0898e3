"""One analysis of attribution: what each model credits, how sure it is, and whether the books agree.

Models, intervals, money and journeys are made elsewhere; here they are put to one question and kept side by side. The
command, the report, the service and the notebook show an `Analysis` and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.agreement import Agreement
from features.errors import UnknownError, nearest
from features.journeys import Journeys, find_journeys
from features.journeys.confounders import confounders
from features.journeys.known import Known
from features.relations import Relations, Tables, build
from models.attribution import caveats
from models.attribution.attempts import attempts
from models.attribution.choice import Chosen, choose
from models.attribution.credit import Credit
from models.attribution.draws import Draws
from models.attribution.falsification import Falsification
from models.attribution.incremental.exposure import lever_names
from models.attribution.money import Money, money
from models.attribution.notes import Note
from models.attribution.paths import Way, commonest_ways
from models.attribution.question import Question
from models.attribution.reconciliation import Reconciliation, reconcile, sold_deals
from models.attribution.result import Players, Result, result
from models.attribution.sourcing import Sourcing, sourcing

MOST_PLAYERS = 20
"""Values shown one by one; the others are shown together."""


@dataclass(frozen=True)
class Analysis:
    """The answer to a question about attribution.

    Parameters
    ----------
    question : Question
    as_of : int
        Microseconds.
    ledger_seq : int
        Position of the ledger.
    journeys : Journeys
        All that the models learnt from.
    credited : Journeys
        All of them, or those converted in the time of the question.
    credits : tuple of Credit
        Of `credited`, by model.
    players : Players
        Of `credited`.
    results : tuple of Result
        Its credit by player.
    chosen : Chosen
        What the models have learnt.
    reconciliation : Reconciliation
    ways : tuple of Way
    sourcing : Sourcing
    notes : tuple of Note
    money : Money or None
        Costs beside credit, of new business; None when the tables have no spend.
    falsifications : tuple of Falsification
        Attempts to prove the incremental model wrong, when they are asked for.
    data_from : int or None
        When the ledger's first touch was, in microseconds: no account was under observation before. None for journeys
        that come from elsewhere.
    """

    question: Question
    as_of: int
    ledger_seq: int
    journeys: Journeys
    credited: Journeys
    credits: tuple[Credit, ...]
    players: Players
    results: tuple[Result, ...]
    chosen: Chosen
    reconciliation: Reconciliation
    ways: tuple[Way, ...]
    sourcing: Sourcing
    notes: tuple[Note, ...]
    money: Money | None = None
    falsifications: tuple[Falsification, ...] = ()
    data_from: int | None = None

    def frame(self) -> pa.Table:
        """Return the credit frame of all models, one below the other."""
        return pa.concat_tables([credit.frame() for credit in self.credits])

    def document(self) -> dict[str, Any]:
        """Return the analysis as plain JSON values, names in lowerCamelCase."""
        from models.attribution.document import document

        return document(self)


def analyse(tables: Tables, agreement: Agreement, question: Question, *, as_of: int, ledger_seq: int) -> Analysis:
    """Answer a question from the ledger's tables.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        As `Ledger.tables` gives them; with ``spend`` among them costs are set beside credit, with
        ``touchpoints`` touches without an account are counted.
    agreement : Agreement
    question : Question
    as_of : int
        Microseconds: only what had happened and was known then.
    ledger_seq : int
        Position of the ledger that the tables are of.

    Raises
    ------
    UnknownError
        When the question names something that is not there, with the nearest name.
    """
    question.check(agreement)
    relations = build(tables, agreement)
    journeys = find_journeys(
        tables, relations, agreement, as_of=as_of, transition=question.transition, kind=question.kind,
        lookback_days=question.lookback_days,
    )  # fmt: skip
    exposed, known = exposed_journeys(tables, relations, agreement, question, as_of=as_of)
    now = Known.of(tables, relations, agreement, question.kind, as_of)
    sold = sold_deals(now, *question.window)
    found = analyse_journeys(
        journeys, agreement, question, exposed=exposed, known=known,
        sold=sold if question.is_about_deals else None, as_of=as_of, ledger_seq=ledger_seq,
    )  # fmt: skip
    found = replace(
        found,
        data_from=int(now.occurred_at.min(initial=as_of)),
        notes=(*caveats.of_names(tables, agreement), *found.notes, *caveats.of_times(tables)),
    )
    if question.kind != "new" or "spend" not in tables:
        return found
    signed = found.chosen.signed if question.transition == "won" else None
    return replace(found, money=money(tables, relations, agreement, question, exposed, signed, sold, as_of=as_of))


def exposed_journeys(
    tables: Tables, relations: Relations, agreement: Agreement, question: Question, *, as_of: int
) -> tuple[Journeys, pa.Table]:
    """Return the journeys as the response model reads them, with all their touches, and their confounders."""
    journeys = find_journeys(
        tables, relations, agreement, as_of=as_of, transition=question.transition, kind=question.kind,
        lookback_days=0, lookback_touches=0,
    )  # fmt: skip
    return journeys, confounders(journeys, relations, agreement, kind=question.kind)


def analyse_journeys(
    journeys: Journeys,
    agreement: Agreement,
    question: Question,
    *,
    exposed: Journeys | None = None,
    known: pa.Table | None = None,
    sold: pa.Table | None = None,
    as_of: int = 0,
    ledger_seq: int = 0,
) -> Analysis:
    """Answer a question from journeys, wherever they come from.

    Parameters
    ----------
    journeys : Journeys
    agreement : Agreement
        Gives the rules and the time steps of the response model.
    question : Question
    exposed : Journeys, optional
        The same with all their touches, whatever the lookback, for the response model.
    known : pyarrow.Table, optional
        Confounders, one row per journey.
    sold : pyarrow.Table, optional
        The ledger's won deals, to compare with: `sold_deals`.
    as_of, ledger_seq : int
        Where the journeys come from.

    Raises
    ------
    UnknownError
        When a lift test is of something that is no lever.
    """
    if question.by == "team":
        journeys = _with_teams(journeys, question.teams)
        exposed = None if exposed is None else _with_teams(exposed, question.teams)
    exposed = journeys if exposed is None else exposed
    levers = lever_names(exposed)
    for test in question.lift_tests:
        if test.channel not in levers:
            near = nearest(test.channel, levers)
            raise UnknownError(f"No touch is of the lever {test.channel!r} of a lift test.{near}")
    rows = None if question.is_whole else np.flatnonzero(_within(journeys, question))
    credited = journeys if rows is None else journeys.take(rows)
    notes = caveats.of_journeys(journeys, credited, known, sold)
    chosen = choose(journeys, exposed, agreement.attribution, question, known)
    credits = tuple(model.credit(rows) for model in chosen.models)
    players = Players.of(credits, question.by, MOST_PLAYERS)
    notes += caveats.of_models(players, credits, chosen, question)
    falsifications: tuple[Falsification, ...] = ()
    if question.is_falsified and chosen.effects is not None:
        falsifications, failed = attempts(exposed, agreement.attribution, question, known)
        notes += failed
    drawn = Draws.of(credited, draws=question.draws, seed=question.seed)
    results = tuple(
        result(credit, players, partial(model.draw, credit, drawn, question.by))
        for model, credit in zip(chosen.models, credits, strict=True)
    )
    return Analysis(
        question, as_of, ledger_seq, journeys, credited, credits, players, results, chosen,
        reconcile(sold, credited, credits),
        commonest_ways(journeys, question.by),
        sourcing(credited), tuple(notes), falsifications=falsifications,
    )  # fmt: skip


def _with_teams(journeys: Journeys, teams: Mapping[str, str]) -> Journeys:
    people = journeys.touches["actor_id"].to_pylist()
    team = pa.array([teams.get(person) if person else None for person in people], pa.string())
    return replace(journeys, touches=journeys.touches.append_column("team", team))


def _within(journeys: Journeys, question: Question) -> npt.NDArray[np.bool_]:
    ended = np.asarray(journeys.journeys["ended_at"].to_numpy())
    first, last = question.window
    return np.asarray(journeys.converted & (ended >= first) & (ended < last))
