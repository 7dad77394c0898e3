"""`smarketing score`: one account, all of them into a file, and recorded scores given again."""

from __future__ import annotations

import csv
import fcntl
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from features.agreement import Agreement
from features.console import Console, ExitCode
from features.errors import StoreError
from features.ledger import Batch, Ledger, Receipt
from features.schema import TABLES
from serving.bulk import SCHEMA
from serving.scoring import agreement_digest
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
    [
        (),
        ("a-1", "--all"),
        ("--all",),
        ("--recorded",),
        ("a-1", "--out", "x.csv"),
        ("--replay", "all", "--goal", "won_90d"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(filled: Service, arguments: tuple[str, ...]) -> None:
    assert run(filled, *arguments).exit_code == ExitCode.USAGE


def test_an_unknown_account_or_goal_is_not_found(filled: Service) -> None:
    assert run(filled, "nobody").exit_code == ExitCode.NOT_FOUND
    assert "won_90d" in run(filled, "a-001", "--goal", "won_9d").stderr


@pytest.mark.parametrize(("name", "why"), [("nowhere/scores.csv", "there is no folder"), ("", "it is a folder")])
def test_a_file_that_can_not_be_written_is_a_failure_before_the_work(
    filled: Service, tmp_path: Path, name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Ledger, "tables")
    told = run(filled, "--all", "--out", str(tmp_path / name))
    assert told.exit_code == ExitCode.FAILURE
    assert f"can not be written: {why}" in told.stderr


def test_an_answer_that_can_not_be_recorded_says_so(filled: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(ledger: Ledger, batch: Batch) -> Receipt:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(Ledger, "append", full)
    told = run(filled, "a-001", "--as-of", AS_OF)
    assert (told.exit_code, json.loads(told.stdout)["degradedReasons"]) == (ExitCode.DEGRADED, ["not_recorded"])


def test_an_answer_does_not_wait_for_another_writer_for_ever(filled: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    emit = Console.emit
    with Path(f"{filled.settings.store}.lock").open() as lock, monkeypatch.context() as patched:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def release(console: Console, data: object, text: str) -> None:
            emit(console, data, text)
            fcntl.flock(lock, fcntl.LOCK_UN)

        patched.setattr(Console, "emit", release)
        patched.setattr("serving.commands.score._PATIENCE", 0.3)
        told = run(filled, "a-001", "--as-of", AS_OF)
    assert (told.exit_code, json.loads(told.stdout)["degradedReasons"]) == (ExitCode.DEGRADED, ["not_recorded"])


def test_without_a_model_and_without_points_there_is_no_score(empty: Service, tmp_path: Path) -> None:
    empty.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-1", NOW - DAY)], "backfill": True})
    agreement, out = tmp_path / "agreement.toml", tmp_path / "scores.parquet"
    agreement.write_text("[points]\nhalf_life_days = 30\n")
    own = ["--store", empty.settings.store, "--json", "--agreement", str(agreement), "score", "--as-of", AS_OF]
    one = json.loads(CliRunner().invoke(app, [*own, "a-1"]).stdout)
    assert [one[name] for name in ("applicable", "score", "grade", "points")] == [True, None, None, None]
    assert one["degradedReasons"] == ["no_model"]
    assert CliRunner().invoke(app, [*own, "--all", "--out", str(out)]).exit_code == ExitCode.DEGRADED
    (row,) = pq.read_table(out).to_pylist()
    assert [row[name] for name in ("account_id", "score", "grade")] == ["a-1", None, None]
    assert on_record(empty) == []


def on_record(service: Service) -> list[dict[str, Any]]:
    with Ledger.open(service.settings.store) as ledger:
        return ledger.export("scores").to_pylist()


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
    total = recorded.num_rows
    found = {"equal": total, "close": 0, "different": 0, "anotherAgreement": 0}
    assert said == {"replayed": total, **found, "differences": []}
    assert set(recorded["model_version"].to_pylist()) == {"points", "1.0", "2.0", "3.0"}
    assert total > 45


def test_the_scores_of_all_accounts_are_recorded_and_given_again_by_the_other_evaluator(
    changed: Service, tmp_path: Path
) -> None:
    copy = tmp_path / "market.db"
    shutil.copy(changed.settings.store, copy)
    shared = ["--store", str(copy), "--json", "score", "--cache", str(changed.settings.cache)]
    past = rfc3339(NOW - 40 * DAY) or ""
    out = ["--all", "--out", str(tmp_path / "scores.parquet")]
    told = [CliRunner().invoke(app, [*shared, *out, "--as-of", moment]) for moment in (AS_OF, past)]
    assert ["it may have learnt" in one.stderr for one in told] == [False, True]
    rows = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert {(row["in_sample"], row["trained_at"]) for row in rows} == {(True, NOW - 10 * DAY)}
    again = json.loads(CliRunner().invoke(app, [*shared, "--replay", "all"]).stdout)
    assert again["close"] == sum(json.loads(one.stdout)["accounts"] for one in told)
    assert (again["equal"] > 45, again["different"]) == (True, 0)


def test_a_score_of_all_accounts_that_is_off_by_more_than_two_evaluators_are_is_named(
    changed: Service, tmp_path: Path
) -> None:
    file = tmp_path / "scores.parquet"
    rows = [row | {"origin": "bulk"} for row in on_record(changed) if row["logit"]][:2]
    rows[0]["logit"] *= 1 + 1e-10
    rows[1]["logit"] *= 1 + 1e-7
    pq.write_table(pa.Table.from_pylist(rows, schema=TABLES["scores"].arrow), file)
    said = json.loads(run(changed, "--replay", str(file)).stdout)
    assert (said["close"], said["different"]) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[grades]\nA = 0.05\nB = 0.03\nC = 0.01\n",
        "[points]\ndemo_request = 31\n",
        '[stages]\nimplicit_first = ""\n',
        '[money]\nreporting_currency = "USD"\n',
        '[touch_types.booth]\ncontent_stage = ""\ndirection = "inbound"\nplural = "booths"\nzh = "展位"\n',
    ],
)
def test_scores_under_another_agreement_are_counted_apart(changed: Service, tmp_path: Path, text: str) -> None:
    agreement = tmp_path / "agreement.toml"
    agreement.write_text(text)
    shared = ["--store", changed.settings.store, "--agreement", str(agreement), "--json", "score", "--replay", "all"]
    told = CliRunner().invoke(app, [*shared, "--cache", str(changed.settings.cache)])
    said = json.loads(told.stdout)
    assert told.exit_code == ExitCode.OK
    assert said["anotherAgreement"] == said["replayed"] > 45
    assert "--agreement FILE" in told.stderr


def test_an_answer_under_another_agreement_is_a_record_of_its_own(changed: Service, tmp_path: Path) -> None:
    agreement, store = tmp_path / "agreement.toml", tmp_path / "market.db"
    shutil.copy(changed.settings.store, store)
    agreement.write_text("[grades]\nA = 0.05\nB = 0.03\nC = 0.01\n")
    own = ["--store", str(store), "--json"]
    for which in ([], ["--agreement", str(agreement)]):
        ask_one = [*own, *which, "score", "a-001", "--as-of", AS_OF, "--cache", str(changed.settings.cache)]
        assert CliRunner().invoke(app, ask_one).exit_code == 0
    with Ledger.open(store) as ledger:
        rows = [row for row in ledger.export("scores").to_pylist() if row["scored_at"] == NOW]
    assert len(rows) == len({row["agreement_digest"] for row in rows}) == 2


def test_a_setting_that_decides_no_score_is_no_other_agreement(tmp_path: Path) -> None:
    file = tmp_path / "agreement.toml"
    file.write_text("[split]\nfolds = 7\n[snapshots]\nevent_share = 0.1\n")
    assert agreement_digest(Agreement.load(file)) == agreement_digest(Agreement.load(None))


def test_the_scores_on_record_go_into_a_file_that_is_replayed(changed: Service, tmp_path: Path) -> None:
    file, sheet = tmp_path / "scores.parquet", tmp_path / "scores.csv"
    told = json.loads(run(changed, "--recorded", "--out", str(file)).stdout)
    assert run(changed, "--recorded", "--out", str(sheet)).exit_code == 0
    again = json.loads(run(changed, "--replay", str(file)).stdout)
    assert told["scores"] == again["equal"] == again["replayed"] > 45
    assert len(sheet.read_text(encoding="utf-8").splitlines()) == told["scores"] + 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"account_id": None}, "`account_id` must be given. Got None in row 1"),
        ({"ledger_seq": None}, "`ledger_seq` must be given"),
        ({"ledger_seq": 10**12}, "`ledger_seq` must be a position of this ledger"),
        ({"ledger_seq": -5}, "`ledger_seq` must be a position of this ledger"),
        ({"scored_at": 2**62}, "`scored_at` must lie in the years 1 to 9999"),
        ({"origin": "guess"}, "`origin` must be one of single, bulk. Got 'guess'"),
    ],
)
def test_records_that_can_not_be_are_refused(changed: Service, tmp_path: Path, wrong: Any, why: str) -> None:
    file = tmp_path / "scores.parquet"
    row = on_record(changed)[0] | wrong
    pq.write_table(pa.Table.from_pylist([row], schema=TABLES["scores"].arrow), file)
    told = run(changed, "--replay", str(file))
    assert told.exit_code == ExitCode.FAILURE
    assert why in told.stderr


@pytest.mark.parametrize(
    ("wrong", "why"), [({"account_id": "nobody"}, "no account"), ({"goal": "gone"}, "no goal"), ({"score": 0}, "was 0")]
)
def test_records_of_what_is_not_there_are_different(changed: Service, tmp_path: Path, wrong: Any, why: str) -> None:
    file = tmp_path / "scores.parquet"
    row = on_record(changed)[0] | wrong
    pq.write_table(pa.Table.from_pylist([row], schema=TABLES["scores"].arrow), file)
    said = json.loads(run(changed, "--replay", str(file)).stdout)
    assert why in said["differences"][0]["difference"]


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
