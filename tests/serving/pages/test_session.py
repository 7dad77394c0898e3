"""Who may see the pages."""

from __future__ import annotations

import time

import pytest

from serving.keys import ApiKey
from serving.pages.session import HOURS, Sessions
from tests.serving.conftest import KEY, Service, serving

PAGES = ("/", "/accounts", "/accounts/a-1", "/model")
FORM = {"content-type": "application/x-www-form-urlencoded"}


def key(*scopes: str, expires_at: int | None = None) -> ApiKey:
    return ApiKey("k", "digest", frozenset(scopes), expires_at=expires_at)


def sign_in(service: Service, given: str = KEY, onward: str = "/accounts", **headers: str):
    body = {"key": given, "next": onward}
    return service.client.post("/sign-in", data=body, headers=headers, follow_redirects=False)


def test_a_session_needs_the_scope_and_ends() -> None:
    now = 0
    sessions = Sessions(lambda: now)
    assert sessions.open(key("ingest", "score")) is None
    token = sessions.open(key("read"))
    assert sessions.find(token) is not None
    now = HOURS * 3_600_000_000
    assert sessions.find(token) is None


def test_a_session_does_not_outlive_its_key() -> None:
    sessions = Sessions(lambda: 10)
    assert sessions.find(sessions.open(key("read", expires_at=10))) is None


def test_a_link_opens_one_session() -> None:
    sessions = Sessions(lambda: 0, ticket="once")
    assert sessions.redeem("twice") is None
    assert sessions.find(sessions.redeem("once")) is not None
    assert sessions.redeem("once") is None
    assert Sessions(lambda: 0).redeem("once") is None


@pytest.mark.parametrize("path", PAGES)
def test_who_is_not_signed_in_is_sent_to_the_form(empty: Service, path: str) -> None:
    answer = empty.client.get(path, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=%2F")


def test_a_key_in_the_header_opens_no_page(empty: Service) -> None:
    answer = empty.client.get("/accounts", headers={"authorization": f"Bearer {KEY}"}, follow_redirects=False)
    assert answer.status_code == 303


def test_a_cookie_opens_no_interface_for_machines(empty: Service) -> None:
    sign_in(empty)
    assert empty.client.get("/v1/accounts/a-1").status_code == 401


def test_the_cookie_is_kept_from_scripts_and_other_sites(empty: Service) -> None:
    answer = sign_in(empty, onward="/model?goal=won_90d")
    assert (answer.status_code, answer.headers["location"]) == (303, "/model?goal=won_90d")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert KEY not in cookie


@pytest.mark.parametrize(
    "onward", ["https://other.example/", "//other.example", "/\\other.example", "javascript:1", "/\r\nx: y"]
)
def test_signing_in_leads_to_no_other_site(empty: Service, onward: str) -> None:
    assert sign_in(empty, onward=onward).headers["location"] == "/accounts"


def test_a_wrong_key_and_a_form_of_another_site_are_refused(empty: Service) -> None:
    assert sign_in(empty, "a-wrong-key-that-is-long-enough").status_code == 401
    refused = sign_in(empty, **{"sec-fetch-site": "cross-site"})
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


def test_who_comes_by_a_link_of_another_site_is_sent_on_with_the_cookie(empty: Service) -> None:
    page = empty.client.get("/sign-in?next=/accounts/a-1", headers={"sec-fetch-site": "cross-site"})
    assert 'content="0;url=/accounts/a-1"' in page.text


def test_signing_out_ends_the_session(empty: Service) -> None:
    sign_in(empty)
    token = empty.client.cookies["smarketing_session"]
    assert empty.client.get("/model").status_code == 200
    empty.client.post("/sign-out", headers=FORM)
    empty.client.cookies.set("smarketing_session", token)
    assert empty.client.get("/model", follow_redirects=False).status_code == 303


def test_a_form_is_short_and_nothing_else(empty: Service) -> None:
    assert empty.client.post("/sign-in", content=b"key=" + b"x" * 5000, headers=FORM).status_code == 413
    assert empty.client.post("/sign-in", json={"key": KEY}).status_code == 415
    assert (
        empty.client.post("/v1/scores", content=b"a=b", headers=FORM | {"authorization": f"Bearer {KEY}"}).status_code
        == 415
    )


def test_a_board_is_made_only_for_who_is_signed_in(empty: Service) -> None:
    folder = empty.settings.cache / "boards"
    empty.client.get("/sign-in")
    sign_in(empty, "a-wrong-key-that-is-long-enough")
    time.sleep(1)
    assert not folder.exists()
    sign_in(empty)
    end = time.monotonic() + 30
    while not folder.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert folder.exists()


def test_a_link_printed_at_the_start_signs_in(tmp_path) -> None:
    with serving(tmp_path, ticket="a-ticket") as service:
        answer = service.client.get("/sign-in?ticket=a-ticket&next=/model", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/model")
        assert service.client.get("/sign-in?ticket=a-ticket").status_code == 200
