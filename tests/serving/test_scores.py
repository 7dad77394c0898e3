"""The answer of a score call."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.agreement import Agreement
from features.catalogue import catalogue
from features.ledger import Ledger
from features.offline import evaluate
from features.relations import build
from serving.answers import ScoreAnswer
from serving.wire import moment, rfc3339
from tests.serving.conftest import DAY, NOW, Service, serving, touch


def test_both_sums_hold_for_every_account_and_moment(filled: Service) -> None:
    checked = 0
    for account in range(60):
        for age, query in ((0, ""), (30, "?contributions=all"), (-30, "")):
            checked += _sums(filled.score(f"a-{account:03d}", asOf=rfc3339(NOW - age * DAY), query=query))
    assert checked > 150


def test_all_contributions_are_the_features_that_the_offline_evaluator_gives(filled: Service) -> None:
    agreement = Agreement.load(None)
    declared = catalogue(agreement)
    with Ledger.open(filled.settings.store) as ledger:
        relations = build(ledger.tables(), agreement)
    for account in ("a-000", "a-001", "a-031"):
        answer = filled.score(account, query="?contributions=all")
        as_of = np.array([moment(answer["asOf"])], dtype=np.int64)
        offline = evaluate(relations, [account], as_of, declared).to_pylist()[0]
        online = {part["feature"]: part["value"] for part in answer["contributions"]}
        assert set(online) == set(offline)
        assert all(_same(offline[name], online[name]) for name in offline)


def test_a_touch_that_was_accepted_is_in_the_next_answer(filled: Service) -> None:
    for number in range(60):
        account = f"a-{number % 60:03d}"
        before = filled.score(account)
        row = touch(10**5 + number, account, filled.clock.now, source="again", touchType="demo_request")
        taken = filled.post("/v1/touchpoints", {"touchpoints": [row]})
        after = filled.score(account, query="?contributions=all")
        assert after["eventsFolded"] == before["eventsFolded"] + 1
        assert after["newestEvent"] == row["occurredAt"]
        assert after["ledgerSeq"] >= taken["ledgerSeq"]


def test_a_touch_accepted_by_another_process_is_in_the_next_answer(filled: Service) -> None:
    before = filled.score("a-002")
    with serving(Path(filled.settings.store).parent) as other:
        other.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-002", filled.clock.now - DAY, source="other")]})
    assert filled.score("a-002")["eventsFolded"] == before["eventsFolded"] + 1


def test_a_past_moment_is_answered_as_it_was_then(filled: Service) -> None:
    then = rfc3339(filled.clock.now)
    before = filled.score("a-004", asOf=then)
    filled.post("/v1/touchpoints", {"touchpoints": [touch(2, "a-004", NOW - 40 * DAY, source="late")]})
    again = filled.score("a-004", asOf=then)
    for answer in (before, again):
        del answer["requestId"], answer["ledgerSeq"]
    assert again == before


def test_a_model_says_when_it_has_seen_the_future_of_the_moment(filled: Service) -> None:
    assert filled.score("a-001")["model"]["inSample"] is False
    assert filled.score("a-001", asOf=rfc3339(NOW - 30 * DAY))["model"]["inSample"] is True


def test_the_answer_has_the_fields_of_the_contract_and_no_others(filled: Service) -> None:
    answer = filled.score("a-001")
    ScoreAnswer.model_validate(answer)
    assert len(answer["contributions"]) == 11
    assert answer["contributions"][-1]["feature"] == "other"
    assert answer["score"] == min(99, max(1, round(100 * answer["percentile"])))
    assert answer["probability"] == pytest.approx(1 / (1 + math.exp(-answer["logit"])), abs=1e-15)


def test_reasons_are_in_the_language_that_was_asked_for(filled: Service) -> None:
    body = {"accountId": "a-001"}
    english = filled.post("/v1/scores", body, language="fr, en;q=0.4")["reasons"]
    chinese = filled.post("/v1/scores", body, language="zh-CN,zh;q=0.9,en;q=0.8")["reasons"]
    texts = [reason["text"] for reason in chinese["up"] + chinese["down"]]
    assert texts
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in texts)
    assert [reason["code"] for reason in english["up"]] == [reason["code"] for reason in chinese["up"]]
    assert all(text["text"].isascii() for text in english["up"])


def test_an_account_outside_the_goals_stages_gets_a_reason_and_no_probability(filled: Service) -> None:
    answer = filled.score("a-002", goal="renewed_180d")
    assert (answer["applicable"], answer["probability"], answer["contributions"]) == (False, None, [])
    assert "renewal" in answer["reason"]
    filled.post("/v1/deals", {"deals": [_won("a-059", filled.clock.now)]})
    won = filled.score("a-059")
    assert (won["applicable"], won["stage"]) == (False, "won")
    assert "Won" in won["reason"]


def test_a_goal_applies_while_any_open_cycle_is_in_its_stages(empty: Service) -> None:
    rows = [("1", "deal"), ("2", "mql")]
    changes = [
        {"changeId": cycle, "cycleId": cycle, "accountId": "a-1", "stage": stage, "occurredAt": rfc3339(NOW - DAY)}
        for cycle, stage in rows
    ]
    empty.post("/v1/stage-changes", {"stageChanges": changes[:1]})
    assert empty.score("a-1", goal="sql_30d")["applicable"] is False
    empty.post("/v1/stage-changes", {"stageChanges": changes[1:]})
    answer = empty.score("a-1", goal="sql_30d")
    assert (answer["applicable"], answer["stage"]) == (True, "deal")


def test_before_any_model_the_points_of_the_agreement_answer(empty: Service) -> None:
    empty.get("/readyz")
    rows = [touch(1, "a-1", NOW - 30 * DAY, touchType="demo_request"), touch(2, "a-1", NOW, touchType="meeting")]
    empty.post("/v1/touchpoints", {"touchpoints": rows, "backfill": True})
    answer = empty.score("a-1", asOf=rfc3339(NOW))
    ScoreAnswer.model_validate(answer)
    assert (answer["degraded"], answer["degradedReasons"]) == (True, ["no_model"])
    assert (answer["probability"], answer["logit"], answer["calibrated"], answer["model"]) == (None, None, False, None)
    assert (answer["applicable"], answer["stage"], answer["eventsFolded"]) == (True, "lead", 2)
    assert answer["points"] == pytest.approx(30 / 2 + 20)
    assert (answer["score"], answer["grade"]) == (round(100 * (1 - 2 ** (-35 / 50))), "D")
    assert [(reason["code"], reason["percentagePoints"]) for reason in answer["reasons"]["up"]] == [
        ("meetings", None),
        ("demo_requests", None),
    ]


def test_without_a_model_and_without_points_nothing_can_answer(tmp_path: Path) -> None:
    agreement = tmp_path / "smarketing.toml"
    agreement.write_text("[points]\nhalf_life_days = 30\n", encoding="utf-8")
    with serving(tmp_path, agreement=agreement) as service:
        assert "no points" in service.get("/readyz", status=503)["detail"]


def test_an_answer_says_how_sure_it_is_and_how_many_outcomes_speak(filled: Service) -> None:
    answer = filled.score("a-001")
    assert answer["points"] is None
    assert answer["model"]["outcomes"] > 0
    assert answer["interval"][0] < answer["probability"] < answer["interval"][1]
    value = answer["value"]
    assert (value["currency"], value["low"] < value["amount"] < value["high"]) == ("EUR", True)
    assert value["expectedRevenue"] == pytest.approx(answer["probability"] * value["amount"])


def test_an_unknown_account_is_not_found(filled: Service) -> None:
    assert filled.score("nobody", status=404)["retryable"] is False


def test_an_unknown_goal_is_refused_with_the_nearest(filled: Service) -> None:
    problem = filled.score("a-001", goal="won_9d", status=422)
    assert problem["errors"][0]["field"] == "goal"
    assert "won_90d" in problem["detail"]


def test_now_is_never_before_what_the_ledger_knows(filled: Service) -> None:
    at = filled.clock.now
    filled.post("/v1/touchpoints", {"touchpoints": [touch(3, "a-005", at - DAY, source="clock")]})
    folded = filled.score("a-005")["eventsFolded"]
    filled.clock.now -= DAY
    answer = filled.score("a-005")
    filled.clock.now = at + DAY
    assert answer["eventsFolded"] == folded
    assert moment(answer["asOf"]) >= at


def _sums(answer: dict[str, Any]) -> bool:
    if not answer["applicable"]:
        return False
    parts = answer["contributions"]
    logit = answer["baseLogit"] + sum(part["logit"] for part in parts)
    points = 100 * answer["baseProbability"] + sum(part["percentagePoints"] for part in parts)
    assert abs(logit - answer["logit"]) <= 1e-9
    assert abs(points - 100 * answer["probability"]) <= 1e-9
    return True


def _same(offline: float | str | None, online: float | str | None) -> bool:
    if offline is None or (isinstance(offline, float) and math.isnan(offline)):
        return online is None
    if isinstance(offline, str) or online is None:
        return offline == online
    return abs(offline - float(online)) <= 1e-9 * max(1.0, abs(offline))


def _won(account: str, at: int) -> dict[str, object]:
    return {
        "dealId": f"{account}-d",
        "occurredAt": rfc3339(at),
        "accountId": account,
        "outcome": "won",
        "amount": 100,
        "currency": "EUR",
    }
