"""What is refused before a route sees it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.border import Border
from serving.gate import Gate

JSON = {"content-type": "application/json"}


@pytest.fixture
def client() -> TestClient:
    async def echo(request: Request) -> JSONResponse:
        return JSONResponse({"got": await request.json()})

    middleware = [Middleware(Border), Middleware(Gate, max_bytes=3000, max_depth=3)]
    return TestClient(Starlette(routes=[Route("/", echo, methods=["POST"])], middleware=middleware))


def test_a_good_body_is_handed_on_as_it_came(client: TestClient) -> None:
    assert client.post("/", content=b'{"a": [{"b": "[[[[{{{{"}]}', headers=JSON).json()["got"] == {
        "a": [{"b": "[[[[{{{{"}]
    }


def test_a_large_body_is_refused_by_its_header(client: TestClient) -> None:
    answer = client.post("/", content=b"[" + b"1," * 1600 + b"1]", headers=JSON)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_a_large_body_is_refused_by_what_arrives_when_no_header_tells(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    answer = client.post("/", content=chunks(), headers=JSON)
    assert "content-length" not in answer.request.headers
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[[[1]]]", 200), (b"[[[[1]]]]", 413), (b'{"a":' * 4 + b"1" + b"}" * 4, 413), (b"[" * 1200 + b"]" * 1200, 413)],
)
def test_depth_is_counted_over_arrays_and_objects(client: TestClient, body: bytes, status: int) -> None:
    assert client.post("/", content=body, headers=JSON).status_code == status


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b'"\xff"', b'"\\ud800"', b'{"a": 1} trailing'])
def test_what_is_not_json_is_a_bad_request(client: TestClient, body: bytes) -> None:
    answer = client.post("/", content=body, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_other_content_types_are_refused(client: TestClient, content_type: str) -> None:
    assert client.post("/", content=b"{}", headers={"content-type": content_type}).status_code == 415


def test_compressed_bodies_are_refused(client: TestClient) -> None:
    assert client.post("/", content=b"{}", headers=JSON | {"content-encoding": "gzip"}).status_code == 415


HOSTILE = (
    lambda size: b'"' + b"\\\\" * size + b'"',
    lambda size: b"[" + b'"",' * size + b'""]',
    lambda size: b"[" + b"[]," * size + b"[]]",
)


@pytest.mark.parametrize("body", HOSTILE)
def test_judging_a_hostile_body_takes_time_in_proportion_to_its_length(body: Callable[[int], bytes]) -> None:
    gate = Gate(Starlette(), max_bytes=1_000_000, max_depth=10)

    def seconds(size: int) -> float:
        content, found = body(size), []
        for _ in range(5):
            began = time.process_time()
            gate._check_json(content)
            found.append(time.process_time() - began)
        return min(found)

    gc.disable()  # its rounds over a list of many lists are not what is measured
    try:
        # 16 times as long: were the time quadratic, it would be 256 times.
        assert seconds(320_000) < 100 * max(seconds(20_000), 1e-3)
    finally:
        gc.enable()
