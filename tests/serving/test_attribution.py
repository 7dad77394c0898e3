"""Analyses of attribution beside the service: one child at a time, kept, and never in the way of scores."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from features.agreement import Agreement
from features.errors import RowError
from serving.attribution import Answer, Asked, Attributions, attribute_command
from serving.routes.attribution import AccountAttributionAnswer, AttributionAnswer
from serving.wire import rfc3339
from tests.serving.conftest import DAY, KEY, NOW, Service, fill, market, serving
from tests.serving.test_board import until

WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('credit'); print(sys.argv[2])"


class World:
    """A ledger that moves, and a command that answers with its position."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seq, self.made, self.code = folder, 1, 0, WRITE

    def command(self, asked: Asked, credit: Path) -> list[str]:
        self.made += 1
        document = json.dumps({"ledgerSeq": self.seq, "transition": asked.transition})
        return [sys.executable, "-c", self.code, str(credit), document]

    def attributions(self, every: float = 0.0) -> Attributions:
        return Attributions(Agreement.load(None), self.folder / "kept", self.command, lambda: self.seq, every)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_first_answer_is_waited_for(world: World) -> None:
    with world.attributions() as desk:
        found = desk.of(Asked("won"), 30)
        assert found is not None
        assert (found.ledger_seq, found.credit.read_text()) == (1, "credit")


def test_who_does_not_wait_gets_nothing_at_first_and_the_answer_later(world: World) -> None:
    with world.attributions() as desk:
        assert desk.of(Asked("won")) is None
        assert until(lambda: desk.of(Asked("won"))).document["transition"] == "won"
        assert world.made == 1


def test_the_old_answer_is_served_while_the_ledger_moves_on(world: World) -> None:
    with world.attributions() as desk:
        desk.of(Asked("won"), 30)
        world.seq = 2
        stale = desk.of(Asked("won"))
        assert stale is not None
        assert stale.ledger_seq == 1
        assert until(lambda: _newer(desk.of(Asked("won")), 2))


def _newer(answer: Answer | None, seq: int) -> bool:
    return answer is not None and answer.ledger_seq == seq


def test_a_young_answer_is_not_made_again(world: World) -> None:
    with world.attributions(every=3600) as desk:
        desk.of(Asked("won"), 30)
        world.seq = 2
        desk.of(Asked("won"))
        time.sleep(0.3)
        assert world.made == 1


def test_an_answer_outlives_the_service(world: World) -> None:
    with world.attributions() as desk:
        desk.of(Asked("sql"), 30)
    with world.attributions() as desk:
        assert desk.of(Asked("sql")) is not None
        assert desk.of(Asked("won")) is None


def test_a_child_that_fails_is_told_in_the_log_and_left_alone_for_a_while(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.code = "import sys; sys.exit('no room')"
    with caplog.at_level(logging.ERROR, "smarketing.serving"), world.attributions() as desk:
        assert desk.of(Asked("won"), 30) is None
        assert desk.of(Asked("won"), 30) is None
    assert world.made == 1
    assert "no room" in caplog.text


def test_a_question_becomes_the_options_of_the_command(tmp_path: Path) -> None:
    command = attribute_command("m.db", Path("a.toml"))(Asked("sql", "content", 0, None, "linear"), tmp_path)
    told = " ".join(command[command.index("attribute") :])
    assert told.startswith("attribute --transition sql --by content --model linear --from 1970-01-01T00:00:00Z --out")


@pytest.mark.parametrize(("parameters", "field"), [({"transition": "x"}, "transition"), ({"by": "team"}, "by")])
def test_a_question_that_can_not_be_is_refused(world: World, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(RowError) as refused:
        world.attributions().asked(**parameters)
    assert refused.value.field == field


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("attribution")
    with serving(folder) as found:
        fill(found, market())
        yield found


def test_an_analysis_is_asked_for_until_it_is_there(service: Service) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    first = service.client.get("/v1/attribution?transition=mql", headers=headers)
    assert first.status_code == 200 or first.headers["retry-after"] == "5"
    answer = until(lambda: _ok(service, "/v1/attribution?transition=sql"))
    AttributionAnswer.model_validate(answer)
    assert answer["size"]["converted"] == 20
    assert answer["players"][0]["name"] == "Organic Search"


def _ok(service: Service, path: str) -> Any:
    found = service.client.get(path, headers={"authorization": f"Bearer {KEY}"})
    return found.json() if found.status_code == 200 else None


def test_one_model_may_be_asked_for(service: Service) -> None:
    answer = until(lambda: _ok(service, "/v1/attribution?transition=sql&model=linear"))
    assert [one["name"] for one in answer["models"]] == ["linear"]


def test_the_journeys_of_an_account_have_the_credit_of_each_touch(service: Service) -> None:
    answer = until(lambda: _ok(service, "/v1/accounts/a-002/attribution?transition=sql"))
    AccountAttributionAnswer.model_validate(answer)
    (journey,) = answer["journeys"]
    assert journey["converted"]
    given = [one["credit"] for touch in journey["touches"] for one in touch["credits"] if one["model"] == "linear"]
    left = [one["credit"] for one in journey["rest"] if one["model"] == "linear"]
    assert sum(given) + sum(left) == pytest.approx(1)


def credited(journey: Any, model: str) -> float:
    """Return what a model gives the touches of a journey, and leaves of it."""
    parts = [*journey["touches"], {"credits": journey["rest"]}]
    return sum(one["credit"] for part in parts for one in part["credits"] if one["model"] == model)


def test_a_rule_credits_what_came_after_the_analysis_and_a_model_that_learns_does_not(service: Service) -> None:
    path = "/v1/accounts/a-003/attribution?transition=sql"
    before = until(lambda: _ok(service, path))
    assert not before["journeys"][0]["converted"]
    change = {"changeId": "new", "accountId": "a-003", "stage": "sql", "setBy": "rule", "occurredAt": rfc3339(NOW)}
    service.post("/v1/stage-changes", {"stageChanges": [change], "backfill": True})
    answer = service.get(path)
    (journey,) = answer["journeys"]
    assert credited(journey, "linear") == pytest.approx(1)
    assert credited(journey, "shapley_sets") == 0
    moments = {one["name"]: one["creditedAsOf"] for one in answer["models"]}
    assert moments["linear"] == answer["asOf"] > answer["analysedAsOf"] == moments["shapley_sets"]
    assert journey["openedAt"] >= until(lambda: _ok(service, "/v1/attribution?transition=sql"))["dataFrom"]


def test_a_deal_that_moved_is_in_the_journeys_of_its_new_account_only(service: Service) -> None:
    deal = {"dealId": "d-1", "cycleId": "c-1", "kind": "new", "amount": 1000, "currency": "EUR"}
    rows = [
        {**deal, "accountId": "a-004", "outcome": "won", "occurredAt": rfc3339(NOW - 3 * DAY)},
        {**deal, "accountId": "a-005", "outcome": "won", "occurredAt": rfc3339(NOW - 2 * DAY)},
    ]
    assert service.post("/v1/deals", {"deals": rows, "backfill": True})["rejected"] == []
    old, new = (until(lambda one=one: _ok(service, f"/v1/accounts/{one}/attribution"))["journeys"]  # type: ignore[misc]
                for one in ("a-004", "a-005"))  # fmt: skip
    assert [one["dealId"] for one in old if one["converted"]] == []
    assert [(one["dealId"], one["endedAt"]) for one in new if one["converted"]] == [("d-1", rfc3339(NOW - 3 * DAY))]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/attribution?transition=wonn", 422, "Did you mean 'won'?"),
        ("/v1/attribution?by=chanel", 422, "Did you mean 'channel'?"),
        ("/v1/attribution?model=linea", 422, "Did you mean 'linear'?"),
        ("/v1/attribution?from=yesterday", 422, "RFC 3339"),
        ("/v1/attribution?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "later than `from`"),
        ("/v1/accounts/nobody/attribution", 404, "no such account"),
    ],
)
def test_a_wrong_question_gets_a_problem_document(service: Service, path: str, status: int, said: str) -> None:
    assert said in service.get(path, status=status)["detail"]
