"""`smarketing init`: write a commented agreement to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.console import Console
from features.errors import FileError


def init(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("smarketing.toml"),
) -> None:
    """Write a commented smarketing.toml with the defaults; an existing file is left alone."""
    from features.agreement import DEFAULTS

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(DEFAULTS.read_text(encoding="utf-8"))
    except FileExistsError:
        raise FileError(
            f"{str(path)!r} exists and is not overwritten.", hint="Edit it, or name another file: smarketing init FILE"
        ) from None
    except OSError as error:
        raise FileError(f"{str(path)!r} can not be written: {error.strerror}.") from error
    console = Console.of(ctx)
    console.emit({"path": str(path)}, f"Wrote {path}.")
    console.say("Next: edit its stages and goals, then smarketing ingest FILE --map MAP.toml")
