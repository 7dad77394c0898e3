"""The report of an analysis of attribution: its figures are those of the document, and its gaps are words."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.simulated_ledger import ledger_tables
from features.agreement import Agreement
from features.journeys import journeys_of
from features.schema import DAY
from features.synthetic import PRESETS, simulate
from models.attribution.analysis import analyse, analyse_journeys
from models.attribution.question import Question
from serving.attribution import published
from serving.pages.attribution import attribution_page
from serving.pages.attribution_report import attribution_report
from serving.pages.words import words
from tests.models.attribution.test_money import invoice, invoices

AGREEMENT = Agreement.load(None)
AS_OF = 20_778 * DAY
FEW = Question(draws=20)


@pytest.fixture(scope="module")
def document() -> Mapping[str, Any]:
    tables = ledger_tables(simulate(replace(PRESETS["demo"], accounts=250, months=18), 3, AS_OF))
    spend = {"spend": invoices(invoice("Event", 90_000))}
    asked = replace(FEW, is_falsified=True)
    return published(analyse({**tables, **spend}, AGREEMENT, asked, as_of=AS_OF, ledger_seq=7))


def figures(report: str) -> set[str]:
    return set(re.findall(r'<data value="([^"]+)"', report))


def test_the_figures_of_the_report_are_those_of_the_document(document: Mapping[str, Any]) -> None:
    shown = figures(attribution_report(document, "en"))
    lines = [line for one in document["models"] for line in (*one["players"], one["rest"])]
    assert {str(line[name]["value"]) for line in lines for name in ("credit", "share")} <= shown
    assert {str(one["value"]) for line in lines for one in line["revenue"]} <= shown
    assert {str(one["conversions"]["value"]) for one in document["effects"]["channels"]} <= shown
    [event] = [one for one in document["money"]["channels"] if one["name"] == "Event"]
    assert {str(event["roas"]["value"]), str(event["costPer"]["won"]["value"])} <= shown


def test_the_strongest_evidence_comes_first_and_responses_have_none_of_it(document: Mapping[str, Any]) -> None:
    shown = attribution_page(document, words("en"))["models"]
    assert shown["tables"][0]["code"].startswith("incremental")
    first = {row["name"]: row["cells"][0] for row in shown["rows"]}
    assert first["Direct"] is None
    assert first["Outbound Sales"] is not None


def test_what_the_checks_found_is_shown(document: Mapping[str, Any]) -> None:
    report = html.unescape(attribution_report(document, "en"))
    assert report.count("placebo of ") == 1
    assert report.count("before touches of ") == sum(one["kind"] == "time_shift" for one in document["falsifications"])


def test_a_gap_is_said_in_words(document: Mapping[str, Any]) -> None:
    [event] = [one for one in document["money"]["channels"] if one["name"] == "Event"]
    gap = event | {"roas": None, "roi": None, "probabilityRoasBelow1": None, "gaps": ["amount missing"]}
    money = document["money"] | {"channels": [gap]}
    assert "amount missing" in attribution_report({**document, "money": money}, "en")
    assert "缺少金额" in attribution_report({**document, "money": money}, "zh")


def plain(channels: list[str], won: int) -> Mapping[str, Any]:
    """Return the document of accounts with one touch each, the first of which buy."""
    account = [f"a-{number}" for number in range(len(channels))]
    at = pa.array([number * DAY for number in range(len(channels))], pa.int64())
    touches = pa.table({"account": account, "occurred_at": at, "channel": channels})
    ends = {
        "account": pa.array(account[:won], pa.string()),
        "at": pa.array([number * DAY + 1 for number in range(won)], pa.int64()),
        "revenue": pa.array([1_000] * won, pa.int64()),
    }
    return published(analyse_journeys(journeys_of(touches, pa.table(ends)), AGREEMENT, FEW))


@pytest.mark.parametrize(
    ("channels", "won"),
    [(["Email"] * 40, 20), (["Email", "Event"] * 20, 0), ([f"c {n}" for n in range(2_000)], 700), (["Direct"] * 9, 9)],
    ids=["one channel", "nothing converted", "two thousand channels", "no lever"],
)
def test_what_has_little_to_say_is_a_page_all_the_same(channels: list[str], won: int) -> None:
    for language in ("en", "zh"):
        report = attribution_report(plain(channels, won), language)
        assert 'class="notes"' in report
        assert "nan" not in figures(report)


def test_a_picture_of_few_models_has_all_of_them(document: Mapping[str, Any]) -> None:
    few = [one for one in document["models"] if one["name"] in ("linear", "first")]
    shown = attribution_page({**document, "models": few, "differences": None}, words("en"))["models"]
    assert [name in str(shown["chart"]) for name in ("first touch", "all touches alike")] == [True, True]
