"""The parts the pages are made from; made at the start of the service and ended with it."""

from __future__ import annotations

from dataclasses import dataclass

from features.agreement import Agreement, Goal
from features.ledger import Ledger
from serving.attribution import Attributions
from serving.board import Boards
from serving.champion import Champions
from serving.pages.session import Sessions
from serving.service import ScoreService


@dataclass(frozen=True)
class Site:
    """What the pages read.

    Parameters
    ----------
    agreement : Agreement
    ledger : Ledger
    scores : ScoreService
    champions : Champions
    boards : Boards
    attributions : Attributions
    sessions : Sessions
    """

    agreement: Agreement
    ledger: Ledger
    scores: ScoreService
    champions: Champions
    boards: Boards
    attributions: Attributions
    sessions: Sessions

    def goal(self, name: str) -> Goal:
        """Return the goal of a name; the agreement's default for an empty one.

        Raises
        ------
        UnknownError
            When there is no such goal.
        """
        return self.agreement.goal(name or None)
