"""The response model, stage by stage: for markets in which levers follow the stage that an account has reached."""

from __future__ import annotations

from features.journeys import Journeys
from models.attribution.incremental.model import NEEDED, Incremental
from models.attribution.incremental.passages import stages_passed


class StagedIncremental(Incremental):
    """`Incremental`, with a response of its own for each passage from one stage to the next.

    A conversion is worth to a coalition the product of what its passages were worth to it: sequential g-computation, in
    which the stage is held constant within a passage, and answers to earlier levers between them. Stages that fewer
    than `NEEDED` journeys pass are made one with their neighbour; with a single passage this is `Incremental` itself.
    """

    name = "incremental_by_stage"

    def _stages(self, journeys: Journeys) -> tuple[str, ...]:
        return stages_passed(journeys, NEEDED)
