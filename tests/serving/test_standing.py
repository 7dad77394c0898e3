"""Why a goal does not apply, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from features.agreement import Agreement
from features.cycles import Cycle, Standing
from serving.standing import eligibility

GOAL = Agreement.load().goal("won_90d")


@pytest.mark.parametrize(("kind", "said"), [("new", "新业务"), ("expansion", "增购"), ("renewal", "续约")])
def test_the_kind_of_business_is_said_in_the_language_of_the_reason(kind: str, said: str) -> None:
    goal = replace(GOAL, kind=kind)
    ended = Standing(0, 9, (Cycle("c", "won", 5, 0, 0, 0, 0, is_open=False),))
    for standing in (None, ended):
        why_not = eligibility(standing, goal).why_not
        assert why_not is not None
        assert f"{said}周期" in why_not["zh"]
        assert kind not in why_not["zh"]
        assert f"{kind} cycle" in why_not["en"]
