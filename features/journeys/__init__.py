"""From touches to journeys: the ordered touches of an account before a stage transition or a deal."""

from __future__ import annotations

from features.journeys.find import find_journeys
from features.journeys.journeys import Journeys
from features.journeys.plain import counted_paths, journeys_of

__all__ = ["Journeys", "counted_paths", "find_journeys", "journeys_of"]
