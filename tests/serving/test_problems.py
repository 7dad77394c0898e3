"""What a client is told when something is wrong, and what nobody is told."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from features.console import Console
from serving.app import create_app
from serving.authorisation import Rule, SessionRule
from serving.keys import SCOPES, ApiKey, KeyRing
from serving.problems import Problem
from serving.settings import Settings
from tests.serving.conftest import KEY, NOW, Service, serving, touch

AUTHORISED = {"authorization": f"Bearer {KEY}"}
JSON = {"content-type": "application/json", **AUTHORISED}
CANARY = "canary-7f3a@secret.example"

BAD = [
    ("POST", "/v1/scores", JSON, b"accountId=a-1", 400),
    ("POST", "/v1/scores", JSON, b"", 400),
    ("POST", "/v1/scores", {"content-type": "application/json"}, b"{}", 401),
    ("POST", "/v1/scores", {**JSON, "authorization": "Bearer wrong"}, b"{}", 401),
    ("POST", "/v1/scores", {**JSON, "authorization": f"Basic {KEY}"}, b"{}", 401),
    ("POST", "/v1/scores", JSON, b'{"accountId": "nobody"}', 404),
    ("GET", "/v1/nothing", AUTHORISED, b"", 404),
    ("GET", "/v1/accounts/nobody", AUTHORISED, b"", 404),
    ("DELETE", "/v1/scores", AUTHORISED, b"", 405),
    ("POST", "/v1/scores", JSON, b'{"accountId": "' + b"x" * 1_000_001 + b'"}', 413),
    ("POST", "/v1/scores", JSON, b"[" * 11 + b"]" * 11, 413),
    ("POST", "/v1/scores", {**JSON, "content-type": "text/csv"}, b"a-1", 415),
    ("POST", "/v1/scores", JSON, b"{}", 422),
    ("POST", "/v1/scores", JSON, b'{"accountId": "a-1", "accoutId": "a-1"}', 422),
    ("POST", "/v1/scores", JSON, b'{"accountId": 7}', 422),
    ("POST", "/v1/scores", JSON, b'{"accountId": "a-1", "asOf": "2026-11-21"}', 422),
    ("POST", "/v1/scores?contributions=some", JSON, b'{"accountId": "a-1"}', 422),
    ("GET", "/v1/accounts/a-1?limit=201", AUTHORISED, b"", 422),
    ("GET", "/v1/accounts/a-1?cursor=%21", AUTHORISED, b"", 422),
    ("POST", "/v1/scores/batch", JSON, b'{"requests": []}', 422),
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("plain")) as service:
        service.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-1", NOW - 10**9)]})
        yield service


@pytest.mark.parametrize(("method", "path", "headers", "body", "status"), BAD)
def test_a_bad_request_gets_a_problem_document(
    plain: Service, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = plain.client.request(method, path, headers=headers, content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = Problem.model_validate_json(answer.content)
    assert problem.status == status
    assert problem.request_id == answer.headers["x-request-id"]
    assert problem.retryable == (status == 503)
    assert problem.title
    assert problem.detail.endswith(".")


@pytest.mark.parametrize(
    ("path", "body", "field", "said"),
    [
        ("/v1/scores", {"accountId": "a-1", "accoutId": "a-1"}, "accoutId", "Did you mean 'accountId'?"),
        ("/v1/scores", {"accountId": "a-1", "zzz": 1}, "zzz", "Allowed: accountId, goal, asOf."),
        ("/v1/touchpoints", {"touchpoints": [], "backfil": True}, "backfil", "Did you mean 'backfill'?"),
        ("/v1/stage-changes", {"stageChange": []}, "stageChange", "Did you mean 'stageChanges'?"),
        ("/v1/scores?contributions=some", {"accountId": "a-1"}, "contributions", "'top' or 'all'"),
        ("/v1/scores", {}, "accountId", "required"),
    ],
)
def test_the_field_at_fault_is_named_as_sent_with_what_is_allowed(
    plain: Service, path: str, body: dict[str, object], field: str, said: str
) -> None:
    found = {item["field"]: item["message"] for item in plain.post(path, body, status=422)["errors"]}
    assert said in found[field]


def test_a_fault_in_the_query_bears_the_name_of_the_parameter(plain: Service) -> None:
    (fault,) = plain.get("/v1/accounts/a-1?limit=201", status=422)["errors"]
    assert fault["field"] == "limit"
    assert "200" in fault["message"]


def test_a_refused_key_is_told_how_to_send_one(plain: Service) -> None:
    answer = plain.client.post("/v1/scores", json={})
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_key_is_asked_for_before_the_body_is_looked_at(plain: Service) -> None:
    assert plain.client.post("/v1/scores", content=b"x" * 2_000_000).status_code == 401


def test_every_route_has_a_rule_and_only_known_routes_are_public() -> None:
    public = set()
    for route in create_app(Settings(api_key=KEY)).routes:
        assert isinstance(route, APIRoute), route
        rules = [part.call for part in route.dependant.dependencies if isinstance(part.call, Rule)]
        assert len(rules) == 1, route.path
        if rules[0].scope is None:
            public.add(route.path)
        else:
            assert isinstance(rules[0], SessionRule) is not route.path.startswith("/v1/"), route.path
    machines = {"/livez", "/readyz", "/version", "/docs", "/openapi.json"}
    assert public == machines | {"/sign-in", "/sign-out", "/static/{name:path}"}


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        *(("POST", f"/v1/{path}", {name: []}, "ingest") for path, name in [
            ("touchpoints", "touchpoints"), ("stage-changes", "stageChanges"), ("deals", "deals"),
            ("accounts", "accounts"), ("contacts", "contacts"), ("handoffs", "handoffs"),
        ]),
        ("POST", "/v1/scores", {"accountId": "a-1"}, "score"),
        ("GET", "/v1/accounts/a-1", None, "read"),
    ],
)  # fmt: skip
def test_a_key_opens_what_its_scope_names_and_nothing_else(
    plain: Service, method: str, path: str, body: object, scope: str
) -> None:
    for held in SCOPES:
        with holding(plain, held):
            answer = plain.client.request(method, path, json=body, headers=AUTHORISED)
        assert answer.status_code == (200 if held == scope else 403), held


@pytest.mark.parametrize(
    "body", [{"backfill": True}, {"touchpoints": [touch(9, "a-1", NOW, knownAt="2026-01-01T00:00:00Z")]}]
)
def test_only_an_admin_says_when_something_was_learnt(plain: Service, body: dict[str, object]) -> None:
    with holding(plain, "ingest"):
        plain.post("/v1/touchpoints", {"touchpoints": [], **body}, status=403)
    with holding(plain, "ingest", "admin"):
        plain.post("/v1/touchpoints", {"touchpoints": [], **body})


def test_nothing_of_an_unexpected_error_is_told_or_logged(
    plain: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError(CANARY)

    monkeypatch.setattr("features.online.Evaluator.prepare", broken)
    plain.post("/v1/touchpoints", {"touchpoints": [touch(7, "a-7", NOW - 10**9)]})
    with caplog.at_level(logging.DEBUG):
        problem = plain.score("a-7", status=500)
    assert CANARY not in str(problem)
    assert problem["retryable"] is True
    assert CANARY not in caplog.text
    assert problem["requestId"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_no_address_key_or_payload_is_logged_or_sent_back(plain: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        texts = [
            plain.client.request(method, path, headers=JSON, content=content).text
            for method, path, content in (
                ("POST", "/v1/contacts", f'{{"contacts": [{{"contactId": "c", "email": "{CANARY}"}}]}}'),
                ("POST", "/v1/contacts", f'{{"contacts": [{{"contactId": "c", "email": ["{CANARY}"]}}]}}'),
                ("POST", "/v1/scores", f'{{"accountId": "a-1", "asOf": "{CANARY}"}}'),
                ("POST", "/v1/scores", f'{{"accountId": "{CANARY}"}}'),
                ("POST", "/v1/scores", f'"{CANARY}'),
            )
        ]
        texts.append(plain.client.get("/v1/accounts/a-1", headers={"authorization": f"Bearer {CANARY}"}).text)
    assert not any(CANARY in text for text in texts)
    assert CANARY not in caplog.text
    assert KEY not in caplog.text


def test_a_store_that_does_not_answer_is_a_problem_that_passes(tmp_path: Path) -> None:
    row = touch(1, "a-1", NOW - 10**9)
    with serving(tmp_path) as service:
        service.post("/v1/touchpoints", {"touchpoints": [row]})
        _rename(service, "head", "gone")
        for path, body in (("/v1/scores", {"accountId": "a-1"}), ("/v1/touchpoints", {"touchpoints": [row]})):
            answer = service.client.post(path, json=body, headers=AUTHORISED)
            assert (answer.status_code, answer.json()["retryable"], answer.headers["retry-after"]) == (503, True, "1")
        service.get("/readyz", status=503)
        _rename(service, "gone", "head")
        assert service.score("a-1")["eventsFolded"] == 1


def test_the_first_key_is_printed_once_and_opens_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(store=str(tmp_path / "market.db"), cache=tmp_path / "cache")
    with TestClient(create_app(settings)):
        said = capsys.readouterr()
    key = said.err.strip().rpartition(" ")[2]
    with TestClient(create_app(settings)) as client:
        assert (
            client.post("/v1/deals", json={"deals": []}, headers={"authorization": f"Bearer {key}"}).status_code == 200
        )
    assert said.out == ""
    assert key not in capsys.readouterr().err


def test_models_lie_beside_the_store_unless_they_are_placed_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMARKETING_CACHE", raising=False)
    for store in ("/data/market.db", "market.db", "postgresql://host/market"):
        assert Settings(store=store).cache == Console(store, None, as_json=False).cache
    assert Settings(store="/data/market.db", cache=Path("elsewhere")).cache == Path("elsewhere")


def _rename(service: Service, table: str, name: str) -> None:
    store = sqlite3.connect(service.settings.store)
    with store:
        store.execute(f"ALTER TABLE {table} RENAME TO {name}")
    store.close()


@contextmanager
def holding(service: Service, *scopes: str) -> Iterator[None]:
    """Give the key of the tests these scopes only."""
    import hashlib

    app = service.client.app
    ring = service.client.app_state["keys"]
    kept = ring._keys
    ring._keys = (ApiKey("k", hashlib.sha256(KEY.encode()).hexdigest(), frozenset(scopes)),)
    assert app is not None
    assert isinstance(ring, KeyRing)
    yield
    ring._keys = kept
