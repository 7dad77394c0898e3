"""Numbers that add up as they are shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.pages.shares import rounded

points = st.floats(-60, 60, allow_nan=False, width=32)


@given(st.lists(points, min_size=1, max_size=12), st.floats(0, 100), st.sampled_from([1, 2]))
def test_rounded_parts_add_up_and_stay_within_two_units(parts: list[float], start: float, digits: int) -> None:
    first, last = round(start, digits), round(start + math.fsum(parts), digits)
    shown = rounded(parts, round(last - first, digits), digits)
    assert first + math.fsum(shown) == pytest.approx(last, abs=1e-9)
    assert all(abs(one - part) <= 2 / 10**digits for one, part in zip(shown, parts, strict=True))
    assert shown == [round(one, digits) for one in shown]
