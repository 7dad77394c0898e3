"""The layout of journeys as flows."""

from __future__ import annotations

import pytest

from serving.pages.sankey import HEIGHT, WIDTH, sankey

WAYS = [(["Email", "Event"], 30), (["Event"], 10), (["Email", "Email"], 5)]


def test_what_flows_in_flows_out() -> None:
    drawn = sankey(WAYS, "Won")
    into_end = sum(link.count for link in drawn.links if link.target == "Won")
    assert into_end == 45
    assert next(node.count for node in drawn.nodes if node.label == "Won") == 45


def test_heights_are_in_proportion_and_inside_the_picture() -> None:
    drawn = sankey(WAYS, "Won")
    scale = {round(node.height / node.count, 1) for node in drawn.nodes}
    assert len(scale) == 1
    assert all(0 <= node.x < WIDTH and node.y >= 0 and node.y + node.height <= HEIGHT for node in drawn.nodes)


def test_a_label_has_one_colour_everywhere() -> None:
    drawn = sankey(WAYS, "Won")
    colours = {node.label: {one.colour for one in drawn.nodes if one.label == node.label} for node in drawn.nodes}
    assert all(len(found) == 1 for found in colours.values())
    assert len({colour for found in colours.values() for colour in found}) == 3


@pytest.mark.parametrize("ways", [[], [([], 3)]])
def test_nothing_to_flow_draws_no_link_between_steps(ways: list[tuple[list[str], float]]) -> None:
    assert sankey(ways, "Won").links == ()
