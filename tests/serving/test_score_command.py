"""`smarketing score`: one account, all of them into a file, and recorded scores given again."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from features.console import ExitCode
from features.ledger import Ledger
from serving.bulk import SCHEMA
from serving.wire import rfc3339
from smarketing import app
from tests.serving.conftest import DAY, NOW, Models, Service, fill, market, serving, touch
from tests.serving.test_scorebook import wait_for

AS_OF = rfc3339(NOW) or ""


def run(service: Service, *arguments: str) -> Result:
    store = ["--store", service.settings.store, "--json"]
    return CliRunner().invoke(app, [*store, "score", *arguments, "--cache", str(service.settings.cache)])


def test_one_account_gets_the_answer_of_the_service(filled: Service) -> None:
    told = json.loads(run(filled, "a-001", "--as-of", AS_OF).stdout)
    answer = filled.score("a-001", asOf=AS_OF)
    assert told | {"requestId": ""} == answer | {"requestId": ""}


def test_without_a_model_the_answer_is_by_points_and_the_exit_code_says_degraded(
    empty: Service, tmp_path: Path
) -> None:
    rows = [touch(1, "=1+1", NOW - DAY, touchType="demo_request"), touch(2, "a-2", NOW - DAY)]
    empty.post("/v1/touchpoints", {"touchpoints": rows, "backfill": True})
    one = run(empty, "a-2", "--as-of", AS_OF)
    assert (one.exit_code, json.loads(one.stdout)["degradedReasons"]) == (ExitCode.DEGRADED, ["no_model"])
    out = tmp_path / "scores.csv"
    assert run(empty, "--all", "--out", str(out), "--as-of", AS_OF).exit_code == ExitCode.DEGRADED
    first, second = csv.DictReader(out.read_text(encoding="utf-8").splitlines())
    assert (first["account_id"], first["as_of"], first["probability"]) == ("'=1+1", AS_OF, "")
    assert (first["model_version"], first["top_up_code"], int(first["score"]) > int(second["score"])) == (
        "points",
        "demo_requests",
        True,
    )


def test_all_accounts_go_into_a_parquet_file(filled: Service, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    told = run(filled, "--all", "--as-of", AS_OF, "--goal", "won_90d", "--out", str(out))
    assert told.exit_code == 0, told.output
    found = pq.read_table(out)
    assert found.schema.equals(SCHEMA)
    assert json.loads(told.stdout)["accounts"] == found.num_rows > 50
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("a-1", "--all"), ("--all",), ("a-1", "--out", "x.csv"), ("--replay", "all", "--goal", "won_90d")],
)
def test_what_does_not_go_together_is_a_usage_error(filled: Service, arguments: tuple[str, ...]) -> None:
    assert run(filled, *arguments).exit_code == ExitCode.USAGE


def test_an_unknown_account_or_goal_is_not_found(filled: Service) -> None:
    assert run(filled, "nobody").exit_code == ExitCode.NOT_FOUND
    assert "won_90d" in run(filled, "a-001", "--goal", "won_9d").stderr


def test_a_file_that_can_not_be_written_is_a_failure_in_words(filled: Service, tmp_path: Path) -> None:
    told = run(filled, "--all", "--out", str(tmp_path / "nowhere" / "scores.csv"))
    assert told.exit_code == ExitCode.FAILURE
    assert "can not be written" in told.stderr


MOMENTS = (None, rfc3339(NOW - 40 * DAY), rfc3339(NOW + 20 * DAY))


def ask(service: Service) -> list[dict[str, Any]]:
    asked = [
        {"accountId": f"a-{number:03d}"} | ({} if at is None else {"asOf": at}) for number in range(6) for at in MOMENTS
    ]
    said = service.post("/v1/scores/batch", {"requests": asked})
    return [one["answer"] for one in said["results"] if one["answer"]["applicable"]]


def change_the_past(service: Service) -> None:
    """Add late rows, correct and retract what was known, and attach people who were strangers."""
    old = NOW - 60 * DAY
    rows = [touch(number, f"a-{number % 6:03d}", old, source="late", touchType="demo_request") for number in range(30)]
    service.post("/v1/touchpoints", {"touchpoints": rows, "backfill": True})
    again = [touch(number, f"a-{(number + 1) % 6:03d}", old) for number in range(0, 60, 4)]
    gone = [{"source": "web", "eventId": f"{number:06d}", "deleted": True} for number in range(2, 60, 7)]
    service.post("/v1/touchpoints", {"touchpoints": [*again, *gone]})
    service.post("/v1/touchpoints", {"touchpoints": [touch(900, "x", old, accountId=None, email="ann@one.example")]})
    person = {"contactId": "c-ann", "email": "ann@one.example", "occurredAt": rfc3339(old)}
    service.post("/v1/contacts", {"contacts": [person | {"attributes": {"employer": "a-002", "role": "champion"}}]})
    facts = {"attributes": {"industry": "retail", "employees": 9}, "occurredAt": rfc3339(old)}
    service.post("/v1/accounts", {"accounts": [{"accountId": "a-003", "name": "Other", **facts}]})
    deal = {"dealId": "d-1", "accountId": "a-004", "outcome": "open", "amount": 5_000, "currency": "EUR"}
    service.post("/v1/deals", {"deals": [deal | {"occurredAt": rfc3339(old)}], "backfill": True})


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Service:
    """Return a service that has given scores by points and two models, with a ledger that changed between them."""
    folder = tmp_path_factory.mktemp("changed")
    with serving(folder) as service:
        fill(service, market(accounts=6))
        ask(service)
        models.promote(folder, 1, "1.0")
        wait_for(lambda: service.score("a-000")["model"] is not None)
        before = ask(service)
        change_the_past(service)
        models.promote(folder, 2, "2.0")
        wait_for(lambda: service.score("a-000")["model"]["version"] == "2.0")
        models.promote(folder, 1, "3.0")
        wait_for(lambda: service.score("a-000")["model"]["version"] == "3.0")
        after = ask(service)
    differ = [old["logit"] != new["logit"] for old, new in zip(before, after, strict=True)]
    assert sum(differ) > 8, "what came later has changed answers about the past"
    return service


def test_recorded_scores_are_given_again_to_the_last_bit_whatever_came_later(changed: Service) -> None:
    told = run(changed, "--replay", "all")
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    with Ledger.open(changed.settings.store) as ledger:
        recorded = ledger.export("scores")
    assert said == {"replayed": recorded.num_rows, "equal": recorded.num_rows, "different": 0, "differences": []}
    assert set(recorded["model_version"].to_pylist()) == {"points", "1.0", "2.0", "3.0"}
    assert recorded.num_rows > 45


def test_a_score_that_is_not_given_again_is_named_and_fails(changed: Service, tmp_path: Path) -> None:
    with Ledger.open(changed.settings.store) as ledger:
        recorded = ledger.export("scores")
    column = recorded.column_names.index("logit")
    wrong = [None if value is None else value * (1 + 2**-52) for value in recorded["logit"].to_pylist()]
    file = tmp_path / "scores.parquet"
    pq.write_table(recorded.set_column(column, "logit", [wrong]).slice(recorded.num_rows - 2), file)
    told = run(changed, "--replay", str(file))
    assert told.exit_code == ExitCode.FAILURE
    said = json.loads(told.stdout)
    assert (said["equal"], said["different"]) == (0, 2)
    assert "logit was" in said["differences"][0]["difference"]


def test_a_score_whose_model_is_gone_can_not_be_given_again(changed: Service, models: Models, tmp_path: Path) -> None:
    copy = tmp_path / "cache"
    shutil.copytree(changed.settings.cache, copy)
    shutil.rmtree(copy / "bundles" / models.digests[1])
    arguments = ["--store", changed.settings.store, "--json", "score", "--replay", "all", "--cache", str(copy)]
    told = CliRunner().invoke(app, arguments)
    said = json.loads(told.stdout)
    assert told.exit_code == ExitCode.FAILURE
    assert {one["modelVersion"] for one in said["differences"]} == {"2.0"}
    assert "holds no model" in said["differences"][0]["difference"]


def test_what_is_no_file_of_scores_is_refused(changed: Service, tmp_path: Path) -> None:
    file = tmp_path / "scores.parquet"
    file.write_text("no")
    told = run(changed, "--replay", str(file))
    assert told.exit_code == ExitCode.FAILURE
    assert "can not be read as Parquet" in told.stderr
