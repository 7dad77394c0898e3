"""What every command shares: where the store and the agreement are, and how it speaks.

Results go to stdout, as words or with ``--json`` as JSON; progress and remarks go to stderr. Nothing here is imported
by code that is not a command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from features.agreement import Agreement


class ExitCode(IntEnum):
    """What the shell is told."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    GATE_REFUSED = 4
    DEGRADED = 5


@dataclass(frozen=True)
class Console:
    """Options of one call of the command line, and its two ways out.

    Parameters
    ----------
    store : str
        Path of the SQLite file, or a database address.
    agreement_path : Path or None
        File of the agreement; None means the built-in defaults.
    as_json : bool
        Whether results are written as JSON.
    """

    store: str
    agreement_path: Path | None
    as_json: bool

    @classmethod
    def of(cls, ctx: typer.Context) -> Console:
        """Return the console that the front door made for this call."""
        return ctx.ensure_object(cls)

    @property
    def cache(self) -> Path:
        """Folder of the models when none is named: beside a SQLite file, else in the working directory."""
        return Path("smarketing.bundles") if "://" in self.store else Path(self.store).with_name("smarketing.bundles")

    def agreement(self) -> Agreement:
        """Read the agreement.

        Raises
        ------
        AgreementError
            When the file is missing or says something that can not be.
        """
        from features.agreement import Agreement

        return Agreement.load(self.agreement_path)

    def emit(self, data: object, text: str) -> None:
        """Write a result to stdout: `text`, or `data` as one line of JSON under ``--json``."""
        typer.echo(json.dumps(data, ensure_ascii=False) if self.as_json else text)

    def emit_rows(self, rows: Sequence[Mapping[str, object]], *, columns: Sequence[str]) -> None:
        """Write records to stdout: an aligned table of `columns`, or under ``--json`` all that is in them."""
        if self.as_json:
            typer.echo(json.dumps([dict(row) for row in rows], ensure_ascii=False))
            return
        from rich.cells import cell_len

        cells = [list(columns)] + [
            ["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows
        ]
        widths = [max(cell_len(line[at]) for line in cells) for at in range(len(columns))]
        for line in cells:
            padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
            typer.echo("  ".join(padded).rstrip())

    def say(self, message: str) -> None:
        """Write a remark to stderr."""
        typer.echo(message, err=True)

    @contextmanager
    def progress(self, doing: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show a bar on stderr while the block runs; nothing when stderr is not a terminal.

        Parameters
        ----------
        doing : str
            What is going on, e.g. ``"Reading touches"``.
        total : int or None
            How many steps there are; None when that is not known.

        Yields
        ------
        callable
            ``advance(steps)``, to be called after that many steps.
        """
        if not sys.stderr.isatty():
            yield lambda steps: None
            return
        from rich.console import Console as Screen
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        layout = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*layout, console=Screen(stderr=True), transient=True) as bar:
            task = bar.add_task(doing, total=total)
            yield lambda steps: bar.update(task, advance=steps)


def spare_threads() -> None:
    """Keep numpy to one thread and let LightGBM's sleep; called before either is imported, for then they read it."""
    # The matrices are small: threads that spin while they wait for one another cost more than they give.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
