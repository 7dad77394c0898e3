"""Incremental attribution: a response model of conversion, and what taking levers away would have cost."""

from models.attribution.incremental.effects import Effect, Effects
from models.attribution.incremental.lift import LiftTest
from models.attribution.incremental.model import NEEDED, Incremental
from models.attribution.incremental.staged import StagedIncremental

__all__ = ["NEEDED", "Effect", "Effects", "Incremental", "LiftTest", "StagedIncremental"]
