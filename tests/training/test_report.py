from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from training.model_card import card
from training.record import record_of
from training.report_page import report_page


@pytest.fixture(scope="module")
def record(trained):
    return record_of(trained, {})


@pytest.fixture(scope="module")
def page(record):
    return record.pages["report.html"]


def codes(report):
    return {line["code"] for section in card(report) for line in section["lines"]}


def test_the_text_says_how_close_the_rungs_are(trained):
    text = trained.report.text()
    for words in ("AUC", "floor", "never seen in training", "Best rung:", "±", "Calibration on", "purged", "speak"):
        assert words in text


def test_tables_fit_a_screen_of_110_columns(trained):
    lines = [line for line in trained.report.text().splitlines() if "±." in line and "rung" not in line]
    assert len(lines) >= 2 * len(trained.report.rungs)
    assert max(map(len, lines)) <= 110


def test_precision_of_rows_that_are_all_acted_on_is_not_shown(trained):
    for capacity, says, last in (
        (trained.report.counts.test, "Capacity covers every row", "-"),
        (7, "Capacity: 7 of", "±"),
    ):
        report = dataclasses.replace(trained.report, capacity=capacity)
        row = next(line for line in report.text().splitlines() if line.strip().startswith("lightgbm"))
        assert says in report.text()
        assert row.split()[-1].startswith(last)


def test_the_page_is_one_file_without_script_or_request(page):
    asked: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag not in {"script", "link", "iframe"}
            asked.extend(value for name, value in attrs if name in {"src", "href", "xlink:href"})

    Reader().feed(page)
    assert asked
    assert all(value.startswith(("data:", "#")) for value in asked)
    assert "@import" not in page


def test_the_page_holds_every_part_of_the_report(page, trained):
    for section in ("ladder", "reliability", "lift", "weekly", "slices", "moves", "card"):
        assert f'id="{section}"' in page
    for rung in trained.report.rungs:
        assert f"<td>{rung.name}</td>" in page
    assert page.count("<svg") == 5
    assert page.count("data:image/png;base64,") == 2
    assert trained.report.verdict() in page


def test_the_numbers_of_the_page_are_those_of_the_report(page, trained):
    auc = trained.report.champion.parts["use"]["auc"]
    cell = f"<td>{auc.value:.3f}<small>{auc.low:.3f} to {auc.high:.3f}</small></td>".replace("0.", ".")
    assert cell in page


def test_text_from_the_data_can_not_become_markup(trained):
    document = trained.report.document()
    slices = [{**one, "value": "<img src=x onerror=alert(1)>"} for one in document["slices"]]
    page = report_page({**document, "slices": slices}, {})
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_pictures_are_the_same_for_the_same_report_and_share_no_names(trained, record, page):
    assert {"reliability.png", "lift.png", "weekly_slope.png", "concepts_beeswarm.png", "features_bar.png"} <= set(
        record.pictures
    )
    assert all(png.startswith(b"\x89PNG") for png in record.pictures.values())
    clips = [set(re.findall(r'clipPath id="(\w+)"', svg)) for svg in page.split("<svg")[1:]]
    assert sum(map(len, clips)) == len(set().union(*clips)) > 0
    assert record_of(trained, {}).pages["report.html"] == page


def test_the_card_warns_where_there_is_something_to_warn_of(trained):
    assert "few_outcomes" not in codes(trained.report)
    assert "assumed_times" in codes(trained.report)
    few = dataclasses.replace(trained.report, outcomes_train=12, lag_is_assumed=False)
    assert {"few_outcomes", "reporting_lag"} <= codes(few)
    assert "assumed_times" not in codes(few)


def test_the_card_says_when_calibration_is_off(trained):
    best = trained.report.champion
    use = best.parts["use"]
    wrong = dataclasses.replace(best, parts={"use": {**use, "ece": dataclasses.replace(use["ece"], value=0.3)}})
    report = dataclasses.replace(
        trained.report, rungs=tuple(wrong if one is best else one for one in trained.report.rungs)
    )
    assert "ece_above_floor" in codes(report)


def test_the_document_has_the_keys_that_the_guide_describes(trained, root):
    guide = (root / "docs/report.md").read_text(encoding="utf-8")
    document = json.loads(json.dumps(trained.report.document(), allow_nan=False))
    assert {key for key in document if f"`{key}`" not in guide} == set()
    assert {key for key in document["rungs"][0] if f"`{key}`" not in guide} == set()
    assert {name for rung in trained.report.rungs for name in rung.test if f"`{name}`" not in guide} == set()
