"""A running service over a small market with a model, and the system's Chromium in front of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from models.bundle_cache import BundleCache
from tests.serving.child import child
from tests.serving.conftest import KEY, fill, market, serving, train

CHROMIUM = Path("/usr/bin/chromium")
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
HOSTILE = "<img src=x onerror=document.title='owned'>"


@dataclass
class Site:
    """The pages of a running service, as a signed-in reader sees them."""

    address: str
    browser: Browser
    faults: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def ask(self, path: str, body: object = None) -> Any:
        """Return what the interface for machines answers."""
        headers = {"authorization": f"Bearer {KEY}"}
        answer = httpx2.request("GET" if body is None else "POST", self.address + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    def reader(self, language: str) -> Page:
        """Return a fresh window, signed in, that keeps a record of faults and of requests to elsewhere."""
        page = self.browser.new_context(locale=LANGUAGES[language]).new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda said: self.faults.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda sent: None if sent.url.startswith(self.address) else self.elsewhere.append(sent.url))
        page.goto(self.address)
        page.fill("input[name=key]", KEY)
        page.click("main button")
        page.wait_for_selector("#board table", timeout=120_000)
        return page


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: the pages are tested in the system's Chromium")
    folder = tmp_path_factory.mktemp("site")
    with serving(folder) as service:
        rows = market()
        rows["accounts"][4]["name"] = HOSTILE
        fill(service, rows)
    report = json.loads(Path(__file__).with_name("report.json").read_text(encoding="utf-8"))
    train(folder / "market.db", folder, report)
    cache = BundleCache(folder / "cache")
    cache.switch("won_90d", cache.put(folder / "bundle-1"), "7.0")
    with child(folder, "--no-refresh") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield Site(server.address, browser)
        browser.close()


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def page(site: Site, language: str) -> Iterator[Page]:
    """A window of a reader of the language, shared by the tests of a module."""
    found = site.reader(language)
    yield found
    found.context.close()
