"""The catalogues of the two languages."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO

import pytest
from babel.messages.mofile import write_mo

from features.agreement import Agreement, Goal
from serving.pages.messages import files, gathered, read
from serving.pages.render import TEMPLATES
from serving.pages.words import words

CATALOGUES = list(files())


def test_there_is_a_catalogue_for_every_language_but_english() -> None:
    assert [path.parts[-3] for path in CATALOGUES] == ["zh"]


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_every_message_is_translated_and_none_is_left_over(path) -> None:
    found = {message.id: message.string for message in read(path) if message.id}
    assert set(found) == {message.id for message in gathered() if message.id}
    assert [source for source, said in found.items() if not said or not all(said)] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_translation_keeps_the_blanks_of_its_message(path) -> None:
    blanks = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
    for message in read(path):
        if isinstance(message.id, str) and isinstance(message.string, str) and message.id:
            assert sorted(blanks.findall(message.id)) == sorted(blanks.findall(message.string)), message.id


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_percent_sign_is_doubled_where_blanks_are_filled(path) -> None:
    texts = [part.read_text(encoding="utf-8") for part in TEMPLATES.glob("*.html")]
    for message in read(path):
        if isinstance(message.string, str) and any(f"'{message.id}'" in text for text in texts):
            assert not re.search(r"%(?![%(])", message.string.replace("%%", "")), message.id


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_what_is_compiled_is_what_is_written(path) -> None:
    fresh = BytesIO()
    write_mo(fresh, read(path))
    fresh.seek(0)
    with path.with_suffix(".mo").open("rb") as file:
        assert file.read() == fresh.read()


def goal(reach: str, kind: str = "new") -> Goal:
    found = [one for one in Agreement.load(None).goals.values() if (one.reach, one.kind) == (reach, kind)]
    return found[0]


@pytest.mark.parametrize(
    ("probability", "en", "zh"),
    [
        (0.0004, "Fewer than 1 of 100 such accounts", "每 100 个类似客户中，不到 1 个会"),
        (0.031, "About 3 of 100 such accounts", "每 100 个类似客户中，约有 3 个会"),
        (0.27, "About 3 of 10 such accounts", "每 10 个类似客户中，约有 3 个会"),
        (0.83, "About 8 of 10 such accounts", "每 10 个类似客户中，约有 8 个会"),
        (0.972, "About 97 of 100 such accounts", "每 100 个类似客户中，约有 97 个会"),
        (0.999, "More than 99 of 100 such accounts", "每 100 个类似客户中，有超过 99 个会"),
    ],
)
def test_a_probability_is_told_as_a_count_of_accounts(probability: float, en: str, zh: str) -> None:
    assert words("en").odds(probability, goal("won")) == f"{en} reach Won within 90 days."
    assert words("zh").odds(probability, goal("won")) == f"{zh}在 90 天内赢单。"


@pytest.mark.parametrize(
    ("reach", "kind", "en", "zh", "step"),
    [
        ("sql", "new", "SQL within 30 days", "30 天内成为 SQL", "reach SQL"),
        ("deal", "new", "Deal within 60 days", "60 天内进入商机", "reach Deal"),
        ("won", "new", "Won within 90 days", "90 天内赢单", "reach Won"),
        ("won", "renewal", "Renewed within 180 days", "180 天内续约", "renew"),
        ("won", "expansion", "Expanded within 180 days", "180 天内增购", "expand"),
    ],
)
def test_a_goal_is_named_by_what_the_account_does(reach: str, kind: str, en: str, zh: str, step: str) -> None:
    asked = goal(reach, kind)
    assert (words("en").goal(asked), words("zh").goal(asked), words("en").step(asked)) == (en, zh, step)


def test_a_goal_of_ones_own_is_named_by_stage_and_kind() -> None:
    asked = replace(goal("sql"), kind="renewal", reach="in_trial")
    assert words("en").goal(asked) == "in trial within 30 days (renewal)"
    assert words("zh").goal(asked) == "30 天内成为 in trial (续约)"


def test_numbers_money_and_days_are_written_as_the_reader_does() -> None:
    en, zh = words("en"), words("zh")
    assert (en.percent(0.2741), zh.percent(0.2741)) == ("27.4%", "27.4%")
    assert (en.short_money(34_567, "EUR"), zh.short_money(34_567, "EUR")) == ("€34.6K", "€3.5万")
    assert (en.short_money(6_237.659, "EUR"), zh.short_money(6_237.659, "EUR")) == ("€6.2K", "€6,238")
    assert (en.day(1_795_000_000_000_000), zh.day(1_795_000_000_000_000)) == ("Nov 18, 2026", "2026年11月18日")
    assert en.points(-1.26) == "\N{MINUS SIGN}1.3"
