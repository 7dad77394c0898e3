"""What the commands on models share: their options, and how they set up and tell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from features.console import Console

GoalOption = Annotated[str | None, typer.Option(help="Goal; the agreement's default goal unless given.")]
ConfigOption = Annotated[Path | None, typer.Option(help="Training file: [snapshots], [split], [data], [lightgbm].")]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="One setting over all files; repeatable."),
]
SeedOption = Annotated[int, typer.Option(help="Seed of everything random.")]
CacheOption = Annotated[
    Path | None,
    typer.Option(envvar="SMARKETING_CACHE", help="Folder of the models; beside the store unless given."),
]


def teller(console: Console, advance: Callable[[int], None]) -> Callable[[str], None]:
    """Return a function that moves the bar on, or says what is being done where there is none."""

    def say(message: str) -> None:
        advance(1)
        if not sys.stderr.isatty():
            console.say(f"{message} ...")

    return say
