"""The commonest ways through the channels."""

from __future__ import annotations

from features.journeys import Journeys, counted_paths
from models.attribution.paths import STEPS, commonest_ways


def ways(
    paths: list[list[str]], converted: list[int], lost: list[int]
) -> list[tuple[tuple[str | None, ...], int, int]]:
    journeys: Journeys = counted_paths(paths, converted, [0] * len(paths), lost)
    return [(way.steps, way.journeys, way.converted) for way in commonest_ways(journeys)]


def test_the_same_channel_in_a_row_is_one_step() -> None:
    assert ways([["a", "a", "b"], ["a", "b", "b"], ["b"]], [2, 3, 1], [4, 0, 0]) == [(("a", "b"), 9, 5), (("b",), 1, 1)]


def test_of_a_long_way_the_last_steps_are_shown() -> None:
    long = ["x", "y", *["a", "b"] * (STEPS // 2)]
    journeys = counted_paths([long], [1], [0], [0])
    (way,) = commonest_ways(journeys)
    assert way.steps == tuple(["a", "b"] * (STEPS // 2))
    assert way.is_cut


def test_a_way_nobody_converted_on_is_not_among_them() -> None:
    assert ways([["a"], ["b"]], [1, 0], [0, 9]) == [(("a",), 1, 1)]


def test_rare_channels_are_taken_together() -> None:
    paths = [[f"c{number}"] for number in range(30)]
    found = ways(paths, [100 - number for number in range(30)], [0] * 30)
    assert (
        (None,),
        sum(100 - number for number in range(10, 30)),
        sum(100 - number for number in range(10, 30)),
    ) in found
