"""A Sankey diagram of the commonest journeys, as the parts of a drawing.

It is drawn by the server: the charts' script has no such diagram, and a reader without scripts sees it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 960.0, 420.0
_BAR = 12.0
_GAP = 10.0
_TOP = 26.0
_RIGHT = 130.0
_LEAST = 1.0
"""Pixels that the thinnest flow has."""


@dataclass(frozen=True)
class Node:
    """A place that flows pass: where it is drawn, its colour's number, and what is said of it."""

    x: float
    y: float
    height: float
    colour: int
    label: str
    count: float


@dataclass(frozen=True)
class Link:
    """A flow from one place to the next: its outline, its colour's number, and what is said of it."""

    outline: str
    colour: int
    source: str
    target: str
    count: float


@dataclass(frozen=True)
class Diagram:
    """A drawing of `WIDTH` by `HEIGHT`."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


def sankey(ways: Sequence[tuple[Sequence[str], float]], end: str) -> Diagram:
    """Lay out ways that all lead to the same end, the last step of each beside it.

    Parameters
    ----------
    ways : sequence of (sequence of str, float)
        Labels from the earliest step to the last, and how many went that way.
    end : str
        Label of the end.

    Returns
    -------
    Diagram
        Flows of a column stand in the order of their size; what goes the same step is one flow.
    """
    longest = max((len(steps) for steps, _ in ways), default=0)
    flows: dict[tuple[int, str, str], float] = {}
    through: dict[tuple[int, str], float] = {}
    for steps, count in ways:
        labels, first = [*steps, end], longest - len(steps)
        for place, label in enumerate(labels, first):
            through[place, label] = through.get((place, label), 0.0) + count
        for place, (source, target) in enumerate(pairwise(labels), first):
            flows[place, source, target] = flows.get((place, source, target), 0.0) + count
    if not flows:
        return Diagram((), ())
    nodes = _nodes(through, longest, _colours(through, end))
    return Diagram(tuple(nodes.values()), tuple(_links(flows, nodes)))


def _colours(through: Mapping[tuple[int, str], float], end: str) -> dict[str, int]:
    """Return a number for each label, by how much passes them, so that one label has one colour in every column."""
    total: dict[str, float] = {}
    for (_, label), count in through.items():
        total[label] = total.get(label, 0.0) + count
    order = sorted((label for label in total if label != end), key=lambda label: (-total[label], label))
    return {label: number % 7 + 1 for number, label in enumerate(order)} | {end: 8}


def _nodes(
    through: Mapping[tuple[int, str], float], longest: int, colour: Mapping[str, int]
) -> dict[tuple[int, str], Node]:
    columns = [
        sorted(
            ((count, label) for (place, label), count in through.items() if place == column),
            key=lambda one: (-one[0], one[1]),
        )
        for column in range(longest + 1)
    ]
    room = min((HEIGHT - _TOP - _GAP * len(column)) / sum(count for count, _ in column) for column in columns if column)
    step = (WIDTH - _RIGHT - _BAR) / max(longest, 1)
    found = {}
    for place, column in enumerate(columns):
        y = _TOP
        for count, label in column:
            height = max(room * count, _LEAST)
            found[place, label] = Node(
                round(place * step, 1), round(y, 1), round(height, 1), colour[label], label, count
            )
            y += height + _GAP
    return found


def _links(flows: Mapping[tuple[int, str, str], float], nodes: Mapping[tuple[int, str], Node]) -> list[Link]:
    left: dict[tuple[int, str], float] = {}
    right: dict[tuple[int, str], float] = {}
    found = []
    order = sorted(flows, key=lambda one: (one[0], nodes[one[0], one[1]].y, nodes[one[0] + 1, one[2]].y))
    for place, source, target in order:
        count = flows[place, source, target]
        a, b = nodes[place, source], nodes[place + 1, target]
        out, into = a.height * count / a.count, b.height * count / b.count
        y0 = a.y + left.get((place, source), 0.0)
        y1 = b.y + right.get((place + 1, target), 0.0)
        left[place, source] = left.get((place, source), 0.0) + out
        right[place + 1, target] = right.get((place + 1, target), 0.0) + into
        x0, x1 = a.x + _BAR, b.x
        middle = (x0 + x1) / 2
        outline = (
            f"M{x0:.1f},{y0:.1f}C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"
            f"V{y1 + into:.1f}C{middle:.1f},{y1 + into:.1f} {middle:.1f},{y0 + out:.1f} {x0:.1f},{y0 + out:.1f}Z"
        )
        found.append(Link(outline, a.colour, source, target, count))
    return found
