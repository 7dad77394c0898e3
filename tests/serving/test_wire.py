"""Moments and languages as clients write them."""

from __future__ import annotations

import pytest

from serving.language import preferred
from serving.wire import moment, rfc3339


@pytest.mark.parametrize(
    ("sent", "micros"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:00.000001+01:00", 1),
        (1_500, 1_500_000),
        ("1969-12-31T23:59:59Z", -1_000_000),
    ],
)
def test_a_moment_is_read_to_the_microsecond(sent: object, micros: int) -> None:
    assert moment(sent) == micros


@pytest.mark.parametrize(
    "sent",
    [
        "2026-11-21T09:00:00", "yesterday", "", True, 1.5, None, 10**18, "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(sent: object) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        moment(sent)


def test_a_moment_is_written_as_it_would_be_read() -> None:
    for micros in (0, 1, -1, 1_763_712_000_123_456, -62_135_596_800_000_000, 253_402_300_799_999_999):
        assert moment(rfc3339(micros)) == micros


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh", "zh"),
        ("zh-TW,en;q=0.9", "zh"),
        ("en,zh", "en"),
        ("zh;q=0.1,en;q=0.2", "en"),
        ("de", "en"),
        ("zh;q=x", "en"),
    ],
)
def test_the_best_language_that_we_speak_is_chosen(header: str, language: str) -> None:
    assert preferred(header) == language
