"""The scores of all accounts, made beside the service."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.board import Board, Boards
from serving.bulk import SCHEMA

HOUR = 3_600_000_000


def until(found: Callable[[], Any]) -> Any:
    """Return what is found, as soon as it is something."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError("it did not come")


class World:
    """A ledger and a model that move, and a command that writes what they are as a board."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.version, self.seq, self.now, self.made = folder, "7.0", 1, 1_000_000, 0

    def champions(self) -> Any:
        return SimpleNamespace(of=lambda goal: SimpleNamespace(version=self.version))

    def command(self, goal: str, path: Path) -> list[str]:
        self.made += 1
        source = self.folder / f"{self.made}.parquet"
        row = {
            "account_id": "a-1",
            "goal": goal,
            "as_of": self.now,
            "model_version": self.version,
            "ledger_seq": self.seq,
        }
        pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), source)
        return [sys.executable, "-c", "import shutil, sys; shutil.copy(*sys.argv[1:])", str(source), str(path)]

    def boards(self, command: Callable[[str, Path], list[str]] | None = None) -> Boards:
        folder = self.folder / "boards"
        return Boards(folder, command or self.command, self.champions(), lambda: self.seq, lambda: self.now, 10)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def when(boards: Boards, holds: Callable[[Board], bool]) -> Board:
    found: Board = until(lambda: (board := boards.of("g")) is not None and holds(board) and board)
    return found


def test_a_board_is_made_when_somebody_asks(world: World) -> None:
    with world.boards() as boards:
        time.sleep(0.6)
        assert world.made == 0
        assert when(boards, lambda board: True).version == "7.0"


def test_another_model_and_a_moved_ledger_make_another_board(world: World) -> None:
    with world.boards() as boards:
        when(boards, lambda board: True)
        world.version = "8.0"
        when(boards, lambda board: board.version == "8.0")
        world.seq, world.now = 2, world.now + 10_000_000
        when(boards, lambda board: board.ledger_seq == 2)
        assert world.made == 3


def test_a_board_of_another_model_than_the_one_that_answers_is_not_made_without_end(world: World) -> None:
    def command(goal: str, path: Path) -> list[str]:
        made, world.version = world.version, "7.0"
        written = world.command(goal, path)
        world.version = made
        return written

    world.version = "8.0"
    with world.boards(command) as boards:
        assert when(boards, lambda board: True).version == "7.0"
        time.sleep(1.2)
        assert world.made == 1


def test_a_board_is_made_again_after_a_day_though_nothing_happened(world: World) -> None:
    with world.boards() as boards:
        when(boards, lambda board: True)
        world.now += HOUR
        boards.of("g")
        time.sleep(0.6)
        assert world.made == 1
        world.now += 24 * HOUR
        when(boards, lambda board: board.as_of == world.now)


def test_a_goal_nobody_asks_for_any_more_is_left_alone(world: World) -> None:
    with world.boards() as boards:
        when(boards, lambda board: True)
        world.now, world.seq = world.now + HOUR, 2
        time.sleep(1.2)
        assert world.made == 1
        assert when(boards, lambda board: board.ledger_seq == 2)


def test_a_board_outlives_the_service(world: World) -> None:
    with world.boards() as boards:
        when(boards, lambda board: True)
    with world.boards(command=lambda goal, path: ["false"]) as boards:
        assert when(boards, lambda board: True).ledger_seq == 1


def test_a_goal_that_applies_to_nobody_has_an_empty_board_and_is_left_alone(world: World) -> None:
    path = world.folder / "none.parquet"
    pq.write_table(SCHEMA.empty_table(), path)
    made: list[str] = []

    def command(goal: str, fresh: Path) -> list[str]:
        made.append(goal)
        return ["cp", str(path), str(fresh)]

    with world.boards(command) as boards:
        assert when(boards, lambda board: True).table.num_rows == 0
        time.sleep(1.2)
        assert made == ["g"]


def test_a_damaged_file_is_made_anew(world: World) -> None:
    (world.folder / "boards").mkdir()
    (world.folder / "boards" / "g.parquet").write_bytes(b"no Parquet")
    with world.boards() as boards:
        assert when(boards, lambda board: True).ledger_seq == 1


def test_a_board_that_can_not_be_made_leaves_the_old_one(world: World) -> None:
    with world.boards() as boards:
        when(boards, lambda board: True)
    world.version = "8.0"
    tried: list[str] = []
    with world.boards(command=lambda goal, path: tried.append(goal) or ["false"]) as boards:  # type: ignore[func-returns-value]
        when(boards, lambda board: True)
        until(lambda: tried)
        time.sleep(0.6)
        assert when(boards, lambda board: True).version == "7.0"
        assert tried == ["g"]
