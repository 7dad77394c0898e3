"""The pages in a browser: what they say in both languages, and that they keep to themselves."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import HOSTILE, Site

ACCOUNT = "/accounts/a-010"
ATTRIBUTION = "/attribution?transition=sql"
PATHS = ("/accounts", ACCOUNT, "/model", ATTRIBUTION, "/accounts/nobody")
RULE = "\N{MINUS SIGN}0.134 – \N{MINUS SIGN}0.051"
"""The interval of the difference to the rule, of which the stored report tells."""
SAID = {
    ("en", "/accounts"): ["Accounts", "Likelihood", "Expected revenue", "as of"],
    ("zh", "/accounts"): ["客户", "可能性", "预期收入", "截至"],
    ("en", ACCOUNT): ["such accounts reach Won within 90 days", "Compared with the reference account", "buying group"],
    ("zh", ACCOUNT): ["个类似客户中", "与参照客户相比", "采购团队"],
    ("en", "/model"): ["The ladder of models", "Does it beat your rule?", "Model card", "boosted trees", RULE],
    ("zh", "/model"): ["模型阶梯", "它优于现有规则吗？", "模型卡", "梯度提升树", RULE],
    ("en", ATTRIBUTION): [
        "What each is credited with",
        "is associated with",
        "Do the books agree?",
        "Yes, to the last cent",
    ],
    ("zh", ATTRIBUTION): ["各自分得的功劳", "相关联", "账目是否一致？", "一致，分毫不差"],
    ("en", "/accounts/nobody"): ["Not found"],
    ("zh", "/accounts/nobody"): ["未找到"],
}


def open_page(site: Site, page: Page, path: str) -> str:
    """Go to a page, wait until its pictures are drawn, and return its text."""
    page.goto(site.address + path)
    if path.startswith("/accounts/") and path != "/accounts/nobody":
        page.wait_for_selector("[data-chart=over-time]")
    if path == ATTRIBUTION:
        page.wait_for_selector("#books", timeout=120_000)
    page.wait_for_function("[...document.querySelectorAll('[data-chart]')].every((box) => box.dataset.ready)")
    return page.inner_text("body")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_speaks_the_language_of_its_reader(site: Site, page: Page, language: str, path: str) -> None:
    text = open_page(site, page, path)
    assert [words for words in SAID[language, path] if words not in text] == []
    assert page.get_attribute("html", "lang") == {"en": "en", "zh": "zh-CN"}[language]
    assert not re.search(r"because|log-odds|_\d+d\b|\bNone\b|nan", text)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_no_fault_of_accessibility(site: Site, page: Page, path: str) -> None:
    open_page(site, page, path)
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found] == []


@pytest.mark.parametrize("path", PATHS[:4])
def test_a_page_needs_nothing_from_elsewhere_and_breaks_no_rule(site: Site, page: Page, path: str) -> None:
    site.faults.clear()
    answer = page.goto(site.address + path)
    open_page(site, page, path)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert (site.faults, site.elsewhere) == ([], [])


def test_the_other_language_is_one_click_away_and_stays(site: Site) -> None:
    page = site.reader("en")
    page.click("a[hreflang=zh]")
    page.goto(f"{site.address}/accounts")
    assert page.inner_text("h1") == "客户"
    page.context.close()


def test_sorting_swaps_the_table_and_can_be_linked_to(site: Site, page: Page) -> None:
    open_page(site, page, "/accounts")
    page.evaluate("window.kept = true")
    page.click("#by-name")
    page.wait_for_url("**sort=name**")
    names = page.locator("tbody th").all_inner_texts()
    assert names == sorted(names)
    assert len(set(names)) > 20
    assert page.evaluate("window.kept") is True
    page.click("#by-name")
    page.wait_for_url("**sort=-name**")
    page.reload()
    assert page.locator("tbody th").all_inner_texts() == sorted(names_of_all(site, page), reverse=True)[: len(names)]


def names_of_all(site: Site, page: Page) -> list[str]:
    """Return the names on every page of the table, from a window of its own."""
    other = page.context.new_page()
    names: list[str] = []
    for number in (1, 2):
        other.goto(f"{site.address}/accounts?sort=name&page={number}")
        names += other.locator("tbody th").all_inner_texts()
    other.close()
    return sorted(set(names))


def test_filters_narrow_the_table_and_stand_in_the_address(site: Site, page: Page) -> None:
    open_page(site, page, "/accounts")
    page.select_option("select[name=grade]", "A")
    page.wait_for_url("**grade=A**")
    assert set(page.locator("tbody .grade").all_inner_texts()) == {"A"}
    page.fill("#q", "company 1")
    page.wait_for_url("**q=company+1**")
    assert all(name.startswith("Company 1") for name in page.locator("tbody th").all_inner_texts())


def test_without_scripts_the_table_is_sorted_all_the_same(site: Site, page: Page) -> None:
    context = site.browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(f"{site.address}/accounts")
    plain.click("#by-fit")
    fits = [int(text) for text in plain.locator("tbody td:nth-child(6)").all_inner_texts()]
    assert fits == sorted(fits, reverse=True)
    context.close()


def test_the_numbers_of_an_account_are_those_of_the_interface(site: Site, page: Page) -> None:
    answer = site.ask("/v1/scores", {"accountId": "a-010", "goal": "won_90d"})
    open_page(site, page, ACCOUNT)
    assert float(page.get_attribute("#probability", "value") or "") == pytest.approx(answer["probability"], rel=1e-3)
    assert page.inner_text(".cards .score") == str(answer["score"])
    assert page.inner_text(".cards .grade") == answer["grade"]
    shown = [float(one.get_attribute("value") or "") for one in page.locator(".reasons data").all()]
    told = [one["percentagePoints"] for way in ("up", "down") for one in answer["reasons"][way]]
    assert shown == pytest.approx(told, abs=0.02)


def test_the_table_beside_the_waterfall_adds_up_as_shown(site: Site, page: Page) -> None:
    open_page(site, page, ACCOUNT)
    cells = page.locator(".beside td").all_inner_texts()
    start, *steps, end = [round(10 * float(text.replace("\N{MINUS SIGN}", "-").rstrip("%"))) for text in cells]
    assert start + sum(steps) == end
    assert len(steps) > 3


def test_a_name_made_of_html_is_shown_as_text(site: Site, page: Page) -> None:
    open_page(site, page, "/accounts?q=onerror")
    assert page.inner_text("tbody th") == HOSTILE
    page.click("tbody th a")
    page.wait_for_selector(".head h1")
    assert page.inner_text("h1") == HOSTILE
    assert "owned" not in page.evaluate("document.title").split("=")[0]
    assert page.locator("main img").count() == 0


def test_who_signs_out_sees_nothing_more(site: Site) -> None:
    page = site.reader("en")
    page.click("text=Sign out")
    page.goto(f"{site.address}{ACCOUNT}")
    assert page.inner_text("h1") == "Sign in"
    page.fill("input[name=key]", "a-wrong-key-that-is-long-enough")
    page.click("main button")
    assert page.locator("[role=alert]").count() == 1
    page.context.close()
