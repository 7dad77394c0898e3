"""Scores of all accounts at once."""

from __future__ import annotations

from typing import Any

import pytest

from features.agreement import Agreement
from features.catalogue import catalogue
from features.ledger import Ledger
from models.bundle_cache import BundleCache
from serving.bulk import SCHEMA, score_all
from serving.champion import Champions
from serving.wire import rfc3339
from tests.serving.conftest import DAY, NOW, Service

SAME = {"probability": "probability", "logit": "logit", "percentile": "percentile"}
EXACT = {"account_id": "accountId", "stage": "stage", "score": "score", "grade": "grade", "goal": "goal"}


@pytest.fixture(scope="module", params=[-30, 0, 30])
def all_scores(request: pytest.FixtureRequest, filled: Service) -> tuple[int, list[dict[str, Any]]]:
    """Return a moment and the scores of all accounts as of it."""
    as_of = NOW + request.param * DAY
    agreement = Agreement.load(None)
    declared = catalogue(agreement)
    champions = Champions(BundleCache(filled.settings.cache), agreement, declared)
    champions.refresh()
    with Ledger.open(filled.settings.store) as ledger:
        seq = ledger.head().ledger_seq
        tables = ledger.tables(at=seq)
    goal = agreement.goal("won_90d")
    found = score_all(tables, agreement, declared, champions.of(goal.name), goal, as_of, ledger_seq=seq)
    assert found.schema == SCHEMA
    return as_of, found.to_pylist()


def test_a_row_says_what_the_answer_for_the_account_says(
    filled: Service, all_scores: tuple[int, list[dict[str, Any]]]
) -> None:
    as_of, rows = all_scores
    assert len(rows) > 50
    for row in rows:
        answer = filled.score(row["account_id"], asOf=rfc3339(as_of))
        assert {name: row[name] for name in EXACT} == {name: answer[said] for name, said in EXACT.items()}
        for name, said in SAME.items():
            assert row[name] == pytest.approx(answer[said], rel=1e-9, abs=1e-9)
        assert [row["fit"], row["engagement"]] == [answer["fit"]["score"], answer["engagement"]["score"]]
        assert row["model_version"] == answer["model"]["version"]


def test_the_strongest_reason_each_way_is_given(filled: Service, all_scores: tuple[int, list[dict[str, Any]]]) -> None:
    as_of, rows = all_scores
    assert any(row["top_up_code"] for row in rows)
    assert any(row["top_down_code"] for row in rows)
    for row in rows[:20]:
        reasons = filled.score(row["account_id"], asOf=rfc3339(as_of))["reasons"]
        for way in ("up", "down"):
            expected = reasons[way][0] if reasons[way] else {"code": None, "text": None, "percentagePoints": None}
            assert (row[f"top_{way}_code"], row[f"top_{way}_en"]) == (expected["code"], expected["text"])
            assert row[f"top_{way}_points"] == pytest.approx(expected["percentagePoints"], abs=1e-9)


def test_exactly_the_accounts_that_the_goal_applies_to_are_there(
    filled: Service, all_scores: tuple[int, list[dict[str, Any]]]
) -> None:
    as_of, rows = all_scores
    asked = [f"a-{number:03d}" for number in range(60)]
    applicable = [one for one in asked if filled.score(one, asOf=rfc3339(as_of))["applicable"]]
    assert [row["account_id"] for row in rows] == applicable
    assert all(row["name"].startswith("Company ") for row in rows)
