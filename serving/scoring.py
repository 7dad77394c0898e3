"""One account scored as of a moment, from its rows: the same for an answer given now and for its replay later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from features.agreement import Agreement, Goal
from features.catalogue import Catalogue
from features.catalogue.assemble import points_features
from features.cycles import Cycle
from features.online import AccountArrays, Evaluator
from features.relations import Tables, build
from models.explain import Explained
from models.points import PointsScore, points_score
from serving.champion import Champion
from serving.standing import Eligibility, Timelines, eligibility, standings_at, timelines

NO_MODEL = "no_model"


@dataclass(frozen=True)
class Scored:
    """Everything an answer says, before it is put into words.

    Parameters
    ----------
    account_id : str
    goal : Goal
    as_of : int
        Microseconds.
    eligibility : Eligibility
    cycles : mapping of str to Cycle
        The furthest cycle of each kind of business.
    champion : Champion or None
        The model that answered, or would have.
    digest : str
        Content of that model, or of the agreement's table of points.
    explained : Explained or None
        None without a model, and where the goal does not apply.
    points : PointsScore or None
        What the agreement's points say instead; None with a model, and where the goal does not apply.
    score : int or None
        1 to 99, of the model or the points.
    grade : str or None
    events_folded : int
    newest_event : int or None
    ledger_seq : int
    degraded : tuple of str
        Reasons, as codes.
    """

    account_id: str
    goal: Goal
    as_of: int
    eligibility: Eligibility
    cycles: Mapping[str, Cycle]
    champion: Champion | None
    digest: str
    explained: Explained | None
    points: PointsScore | None
    score: int | None
    grade: str | None
    events_folded: int
    newest_event: int | None
    ledger_seq: int
    degraded: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """The rows of an account, arranged for questions about any moment.

    Parameters
    ----------
    account_id : str
    arrays : AccountArrays
    timelines : Timelines
    """

    account_id: str
    arrays: AccountArrays
    timelines: Timelines


class Scoring:
    """Scores prepared accounts under an agreement.

    Parameters
    ----------
    agreement : Agreement
    declared : Catalogue
    """

    def __init__(self, agreement: Agreement, declared: Catalogue) -> None:
        self.agreement = agreement
        self._declared = declared
        table = json.dumps(points_features(agreement), sort_keys=True)
        self._points_digest = hashlib.sha256(table.encode()).hexdigest()
        self._evaluator = Evaluator(declared)

    def prepare(self, tables: Tables, account_id: str) -> Prepared:
        """Arrange what `Ledger.account_tables` gives of an account."""
        relations = build(tables, self.agreement)
        return Prepared(
            account_id,
            self._evaluator.prepare(relations, account_id),
            timelines(tables, relations, self.agreement, account_id),
        )

    def score(
        self,
        prepared: Prepared,
        goal: Goal,
        as_of: int,
        champion: Champion | None,
        *,
        ledger_seq: int,
        degraded: tuple[str, ...] = (),
    ) -> Scored:
        """Return the score as of a moment, by a model, or by points where there is none.

        Parameters
        ----------
        prepared : Prepared
        goal : Goal
        as_of : int
            Microseconds.
        champion : Champion or None
        ledger_seq : int
            Position of the ledger that the rows were read at.
        degraded : tuple of str
            What else makes the answer less than it should be.
        """
        standings = standings_at(prepared.timelines, as_of)
        asked = eligibility(standings.get(goal.kind), goal)
        explained = points = None
        if asked.applicable:
            values = self._evaluator.evaluate(prepared.arrays, as_of)
            if champion is None:
                points = points_score(self.agreement, self._declared.features, values)
            else:
                explained = champion.explainer.explain([values[column] for column in champion.columns])
        return Scored(
            account_id=prepared.account_id,
            goal=goal,
            as_of=as_of,
            eligibility=asked,
            cycles={kind: standing.furthest for kind, standing in standings.items()},
            champion=champion,
            digest=self._points_digest if champion is None else champion.bundle.digest,
            explained=explained,
            points=points,
            score=explained.score if explained else points.score if points else None,
            grade=explained.grade if explained else grade_of(points, self.agreement) if points else None,
            events_folded=prepared.arrays.events_folded(as_of),
            newest_event=prepared.arrays.newest_event(as_of),
            ledger_seq=ledger_seq,
            degraded=degraded if champion is not None else (NO_MODEL, *degraded),
        )


def grade_of(points: PointsScore, agreement: Agreement) -> str:
    """Return the grade of a score by points, read as a percentile for want of accounts to compare with."""
    return agreement.grades.grade(points.score / 100)
