"""The bars of the truth suite: what is missed is said."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.truth_suite import _missed, _readings

Arms = dict[str, list[dict[str, Any]]]


def arms(tvd: float = 0.02, null: float = 0.01, totals: tuple[float, float] = (0.01, -0.01)) -> Arms:
    peers = {"close": (0.15, 0.12), "blind": (0.60, 0.0), "dead": (float("nan"), float("nan"))}
    found: Arms = {"incremental": [{"tvd": tvd, "null": null, "total": total} for total in totals]}
    return found | {f"peer: {name}": [{"tvd": far, "null": idle}] for name, (far, idle) in peers.items()}


@pytest.mark.parametrize("shape", ["logistic", "confounded_weak", "confounded_strong", "unobserved"])
def test_what_is_within_the_bars_is_not_missed(shape: str) -> None:
    assert _missed(shape, arms()) == []


@pytest.mark.parametrize(
    ("shape", "worse", "said"),
    [
        ("logistic", arms(tvd=0.08), "distance"),
        ("confounded_weak", arms(tvd=0.22), "distance"),
        ("hazard", arms(null=0.03), "without effect"),
        ("confounded_strong", arms(null=0.13), "of peer: close"),
        ("confounded_strong", arms(totals=(0.2, 0.2)), "total off by 20.0%"),
    ],
)
def test_what_misses_a_bar_is_said(shape: str, worse: Arms, said: str) -> None:
    (line,) = _missed(shape, worse)
    assert line.startswith(shape) and said in line


def test_errors_of_the_total_do_not_cancel() -> None:
    assert _missed("logistic", arms(totals=(0.3, -0.3)))


def test_both_readings_of_the_best_peer_are_printed() -> None:
    (line,) = _readings("confounded_strong", arms(null=0.05))
    assert "closest to the truth peer: close 0.120" in line and "least of all peer: blind 0.000" in line
    assert _readings("logistic", arms()) == []


def test_without_peers_there_is_no_reading() -> None:
    assert _readings("confounded_strong", {"incremental": arms()["incremental"]}) == []
