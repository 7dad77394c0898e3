"""The catalogues of the two languages."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from babel.messages.mofile import write_mo

from serving.pages.messages import files, gathered, read
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
def test_what_is_compiled_is_what_is_written(path) -> None:
    fresh = BytesIO()
    write_mo(fresh, read(path))
    fresh.seek(0)
    with path.with_suffix(".mo").open("rb") as file:
        assert file.read() == fresh.read()


@pytest.mark.parametrize(
    ("probability", "en", "zh"),
    [
        (0.0004, "fewer than 1 of 100", "不到百分之一的客户"),
        (0.031, "3 of 100", "每 100 个中有 3 个"),
        (0.27, "3 of 10", "每 10 个中有 3 个"),
        (0.83, "8 of 10", "每 10 个中有 8 个"),
        (0.972, "97 of 100", "每 100 个中有 97 个"),
        (0.999, "more than 99 of 100", "超过 99% 的客户"),
    ],
)
def test_a_probability_is_told_as_a_count_of_accounts(probability: float, en: str, zh: str) -> None:
    assert (words("en").odds(probability), words("zh").odds(probability)) == (en, zh)


def test_numbers_money_and_days_are_written_as_the_reader_does() -> None:
    en, zh = words("en"), words("zh")
    assert (en.percent(0.2741), zh.percent(0.2741)) == ("27.4%", "27.4%")
    assert (en.short_money(34_567, "EUR"), zh.short_money(34_567, "EUR")) == ("€34.6K", "€3.5万")
    assert (en.day(1_795_000_000_000_000), zh.day(1_795_000_000_000_000)) == ("Nov 18, 2026", "2026年11月18日")
    assert en.points(-1.26) == "\N{MINUS SIGN}1.3"
