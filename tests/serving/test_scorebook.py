"""Every score that is given is on record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.errors import StoreError
from features.ledger import Batch, Ledger, Receipt
from serving.scorebook import Scorebook, write_rows
from serving.wire import moment, rfc3339
from tests.serving.conftest import DAY, NOW, Models, Service, fill, market, serving, touch


def recorded(store: str) -> list[dict[str, Any]]:
    with Ledger.open(store) as ledger:
        return ledger.export("scores").to_pylist()


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_single_answers_batches_and_accounts_are_recorded_as_given(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "7.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=4))
        answers = [service.score("a-000"), service.get("/v1/accounts/a-001")["score"]]
        batch = service.post("/v1/scores/batch", {"requests": [{"accountId": "a-002"}, {"accountId": "a-003"}]})
        answers += [one["answer"] for one in batch["results"]]
        service.score("a-000", goal="renewed_180d")
    rows = {row["account_id"]: row for row in recorded(service.settings.store)}
    assert len(rows) == len(recorded(service.settings.store)) == 4
    for answer in answers:
        row = rows[answer["accountId"]]
        for name in ("probability", "logit", "score", "grade", "goal"):
            assert row[name] == answer[name]
        assert (row["scored_at"], row["ledger_seq"]) == (moment(answer["asOf"]), answer["ledgerSeq"])
        assert (row["model_version"], row["model_digest"]) == ("7.0", models.digests[0])
        assert row["given_at"] >= row["scored_at"]
        assert row["origin"] == "single"


def test_the_same_answer_is_one_row_and_another_ledger_or_model_another(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        asked = rfc3339(NOW)
        first = [service.score("a-000", asOf=asked) for _ in range(3)]
        service.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-000", NOW - DAY, source="late")]})
        service.score("a-000", asOf=asked)
        models.promote(tmp_path, 2, "2.0")
        wait_for(lambda: service.score("a-000", asOf=asked)["model"]["version"] == "2.0")
    rows = recorded(service.settings.store)
    assert sorted((row["model_version"], row["ledger_seq"] > first[0]["ledgerSeq"]) for row in rows) == [
        ("1.0", False),
        ("1.0", True),
        ("2.0", True),
    ]


def test_scores_by_points_are_recorded_without_a_probability(empty: Service) -> None:
    empty.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-1", NOW - DAY, touchType="demo_request")]})
    answer = empty.score("a-1")
    wait_for(lambda: bool(recorded(empty.settings.store)))
    (row,) = recorded(empty.settings.store)
    assert (row["model_version"], row["probability"], row["score"]) == ("points", None, answer["score"])


def test_recording_takes_no_position_of_the_ledger(filled: Service) -> None:
    before = filled.score("a-001")["ledgerSeq"]
    time.sleep(0.5)
    assert filled.score("a-001")["ledgerSeq"] == before


def test_when_recording_fails_answers_go_on_and_say_so_until_it_works_again(
    tmp_path: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.promote(tmp_path, 1, "1.0")
    append = Ledger.append

    def full(ledger: Ledger, batch: Batch) -> Receipt:
        if batch.scores:
            raise StoreError("The disk is full.")
        return append(ledger, batch)

    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        with monkeypatch.context() as patched:
            patched.setattr(Ledger, "append", full)
            wait_for(lambda: service.score("a-000")["degradedReasons"] == ["not_recorded"])
            assert service.score("a-000")["probability"] is not None
        wait_for(lambda: not service.score("a-000")["degraded"])
        given = service.score("a-001")
    rows = recorded(service.settings.store)
    assert len(rows) > 2
    assert rows[-1]["account_id"] == given["accountId"]


def a_row(account_id: str, grade: str | None = "B", logit: object = 0.5) -> tuple[object, ...]:
    return (account_id, "won_90d", NOW, 1, "d", "a", "single", "1.0", NOW, 0.5, logit, 50, grade)


def test_what_is_given_during_the_last_writing_is_recorded_before_the_end(
    tmp_path: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.promote(tmp_path, 1, "1.0")
    append, writing = Ledger.append, threading.Event()

    def slow(ledger: Ledger, batch: Batch) -> Receipt:
        if batch.scores:
            writing.set()
            time.sleep(0.3)
        return append(ledger, batch)

    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        monkeypatch.setattr(Ledger, "append", slow)
        service.score("a-000")
        assert writing.wait(20)
        assert service.score("a-001")["degradedReasons"] == []
    assert [row["account_id"] for row in recorded(service.settings.store)] == ["a-000", "a-001"]


def test_a_store_that_comes_back_at_the_end_gets_the_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, tries = Ledger.append, []

    def broken(ledger: Ledger, batch: Batch) -> Receipt:
        tries.append(len(batch.scores))
        if len(tries) < 4:
            raise StoreError("The disk is full.")
        return append(ledger, batch)

    monkeypatch.setattr(Ledger, "append", broken)
    with Ledger.open(tmp_path / "market.db") as ledger, Scorebook(ledger, lambda: NOW, every=0.01) as book:
        book._waiting.append(a_row("a-1"))
    assert len(tries) == 4
    assert [row["account_id"] for row in recorded(str(tmp_path / "market.db"))] == ["a-1"]


@pytest.mark.parametrize("wrong", [a_row("x", grade=None), a_row("x", logit=object()), (*a_row("x")[:3], 2**70, "d")])
def test_a_score_that_can_not_be_stored_keeps_no_other_off_the_record(
    wrong: tuple[object, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [a_row(f"a-{number}") for number in range(9)]
    rows.insert(4, (*wrong, *a_row("x")[len(wrong) :]))
    with Ledger.open(tmp_path / "market.db") as ledger:
        assert write_rows(ledger, rows) == 1
    assert [row["account_id"] for row in recorded(str(tmp_path / "market.db"))] == [f"a-{n}" for n in range(9)]
    assert "can not be recorded" in caplog.text


def test_a_full_disk_is_no_fault_of_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def full(ledger: Ledger, batch: Batch) -> Receipt:
        tries.append(batch)
        raise StoreError("The disk is full.") from OSError("no space")

    monkeypatch.setattr(Ledger, "append", full)
    with Ledger.open(tmp_path / "market.db") as ledger, pytest.raises(StoreError):
        write_rows(ledger, [a_row("a-1"), a_row("a-2")])
    assert len(tries) == 1
