"""One account scored as of a moment, from its rows: the same for an answer given now and for its replay later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from features.agreement import Agreement, Goal
from features.catalogue import Catalogue
from features.catalogue.assemble import points_features
from features.cycles import Cycle
from features.online import AccountArrays, Evaluator
from features.relations import Tables, build
from models.background import percentile
from models.explain import Explained, score_of
from models.metrics import sigmoid
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
    agreement_digest : str
        What of the agreement decides scores (`agreement_digest`).
    explained : Explained or None
        None without a model, and where the goal does not apply.
    points : PointsScore or None
        What the agreement's points say instead; None with a model, where the goal does not apply, and where the
        agreement has none.
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
    agreement_digest: str
    explained: Explained | None
    points: PointsScore | None
    score: int | None
    grade: str | None
    events_folded: int
    newest_event: int | None
    ledger_seq: int
    degraded: tuple[str, ...]


class Likelihood(NamedTuple):
    """A probability and the score from 1 to 99 that goes with it."""

    probability: float
    score: int


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
        self.agreement_digest = agreement_digest(agreement)
        self._points_digest = points_digest(agreement)
        self._evaluator = Evaluator(declared)

    def prepare(self, tables: Tables, account_id: str) -> Prepared:
        """Arrange what `Ledger.account_tables` gives of an account."""
        return self.prepare_all(tables, (account_id,))[0]

    def prepare_all(self, tables: Tables, account_ids: Sequence[str]) -> list[Prepared]:
        """Arrange what `Ledger.account_tables` gives of some accounts together: each as it would be alone."""
        relations = build(tables, self.agreement)
        cycles = timelines(tables, relations, self.agreement)
        return [
            Prepared(account_id, self._evaluator.prepare(relations, account_id), cycles.get(account_id, {}))
            for account_id in account_ids
        ]

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
            if champion is not None:
                explained = self.explain(prepared, as_of, champion)
            elif self.agreement.points.weights:
                values = self._evaluator.evaluate(prepared.arrays, as_of)
                points = points_score(self.agreement, self._declared.features, values)
        return Scored(
            account_id=prepared.account_id,
            goal=goal,
            as_of=as_of,
            eligibility=asked,
            cycles={kind: standing.furthest for kind, standing in standings.items()},
            champion=champion,
            digest=self._points_digest if champion is None else champion.bundle.digest,
            agreement_digest=self.agreement_digest,
            explained=explained,
            points=points,
            score=explained.score if explained else points.score if points else None,
            grade=explained.grade if explained else grade_of(points, self.agreement) if points else None,
            events_folded=prepared.arrays.events_folded(as_of),
            newest_event=prepared.arrays.newest_event(as_of),
            ledger_seq=ledger_seq,
            degraded=degraded if champion is not None else (NO_MODEL, *degraded),
        )

    def explain(self, prepared: Prepared, as_of: int, champion: Champion) -> Explained:
        """Return what a model says of an account as of a moment, whether or not its goal applies."""
        values = self._evaluator.evaluate(prepared.arrays, as_of)
        return champion.explainer.explain([values[column] for column in champion.columns])

    def likelihoods(
        self, prepared: Prepared, goal: Goal, moments: Sequence[int], champion: Champion
    ) -> list[Likelihood | None]:
        """Return how likely the account is as of many moments, all at once and without reasons; to 1e-9 as in `score`.

        Parameters
        ----------
        prepared : Prepared
        goal : Goal
        moments : sequence of int
            Microseconds.
        champion : Champion

        Returns
        -------
        list of Likelihood or None
            None where the goal does not apply.
        """
        asked = [
            place
            for place, at in enumerate(moments)
            if eligibility(standings_at(prepared.timelines, at).get(goal.kind), goal).applicable
        ]
        found: list[Likelihood | None] = [None] * len(moments)
        if not asked:
            return found
        bundle, rows = champion.bundle, []
        for place in asked:
            values = self._evaluator.evaluate(prepared.arrays, moments[place])
            rows.append(bundle.encoding.row([values[column] for column in champion.columns]))
        margins = bundle.scorer.margin(np.stack(rows))
        probabilities = sigmoid(bundle.calibration.logit(margins)).tolist()
        ranks = percentile(bundle.background.margins, margins).tolist()
        for place, probability, rank in zip(asked, probabilities, ranks, strict=True):
            found[place] = Likelihood(probability, score_of(rank))
        return found


def grade_of(points: PointsScore, agreement: Agreement) -> str:
    """Return the grade of a score by points, read as a percentile for want of accounts to compare with."""
    return agreement.grades.grade(points.score / 100)


def points_digest(agreement: Agreement) -> str:
    """Return a fingerprint of the points of the agreement, which names them as a model's digest names a model."""
    return _fingerprint(points_features(agreement))


def agreement_digest(agreement: Agreement) -> str:
    """Return a fingerprint of what decides scores in the agreement.

    These are the stages, the questions of the goals, the grades, the points, the reporting currency, the touch types
    and the users' own features.
    """
    decisive = {
        "stages": asdict(agreement.stages),
        "goals": {
            name: [goal.kind, goal.from_, goal.reach, goal.within_days] for name, goal in agreement.goals.items()
        },
        "grades": asdict(agreement.grades),
        "points": points_features(agreement),
        "currency": agreement.reporting_currency,
        "touch_types": {name: [kind.content_stage, kind.direction] for name, kind in agreement.touch_types.items()},
        "features": {feature.name: [feature.dtype, repr(feature.expression)] for feature in agreement.features},
    }
    return _fingerprint(decisive)


def _fingerprint(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
