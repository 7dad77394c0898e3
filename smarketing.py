"""The front door: the `smarketing` command. It wires and decides nothing.

How a command is added: write it as one typer function in a module of its own, `<package>/commands/<name>.py`, where the
package is the highest one it needs (features, training or serving), and name it in `COMMANDS`. Its first parameter is
``ctx: typer.Context``; ``Console.of(ctx)`` gives the store, the agreement, output and progress (`features.console`).
At the top of such a module stand only light imports (typer, `features.console`, `features.errors`); what costs time to
import stands inside the function. Errors of the project are raised, never printed: `Door` turns them into words and an
exit code, here and nowhere else.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from features.console import Console, ExitCode
from features.errors import SmarketingError, UnknownError, nearest

COMMANDS = MappingProxyType(
    {
        "demo": "serving.commands.demo:demo",
        "init": "features.commands.init:init",
        "simulate": "features.commands.simulate:simulate",
        "ingest": "features.commands.ingest:ingest",
        "features": "features.commands.features:features",
        "train": "training.commands.train:train",
        "tune": "training.commands.tune:tune",
        "evaluate": "training.commands.evaluate:evaluate",
        "models": "training.commands.models:models",
        "score": "serving.commands.score:score",
        "attribute": "serving.commands.attribute:attribute",
        "serve": "serving.commands.serve:serve",
        "doctor": "training.commands.doctor:doctor",
    }
)
"""Command -> ``module:attribute`` of its function, or of a `typer.Typer` where it has commands of its own."""

AGREEMENT_FILE = Path("smarketing.toml")


class Door(typer.core.TyperGroup):
    """The group of all commands: imports a command when it is asked for, and words every error.

    typer keeps the type of its contexts to itself, hence Any.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return one command; an unknown name is a usage error that suggests the nearest."""
        if cmd_name not in COMMANDS:
            ctx.fail(f"There is no command {cmd_name!r}.{nearest(cmd_name, COMMANDS)}")
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name)(found)
        return typer.main.get_command(single)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let the shared options stand behind the command too: ``smarketing train --json``."""
        return super().parse_args(ctx, _shared_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error of the project becomes a message on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except SmarketingError as error:
            typer.echo(f"Error: {error}", err=True)
            if error.hint:
                typer.echo(f"Next:  {error.hint}", err=True)
            raise typer.Exit(ExitCode.NOT_FOUND if isinstance(error, UnknownError) else ExitCode.FAILURE) from error


app = typer.Typer(
    cls=Door,
    add_completion=False,
    no_args_is_help=True,
    # Boxes and colours would triple the time that --help takes.
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
    help="One ledger of every touch with an account; propensity, attribution and the closed loop computed from it.",
    epilog="The options above may stand before or after the command. Results go to stdout, progress to stderr.",
)


@app.callback()
def _root(
    ctx: typer.Context,
    store: Annotated[
        str, typer.Option(envvar="SMARKETING_STORE", help="The ledger: a SQLite file or a database address.")
    ] = "smarketing.db",
    agreement: Annotated[
        Path | None,
        typer.Option(
            envvar="SMARKETING_AGREEMENT",
            help="The agreement; without it smarketing.toml of this directory, else the defaults.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write results as JSON.")] = False,
) -> None:
    if agreement is None and AGREEMENT_FILE.exists():
        agreement = AGREEMENT_FILE
    ctx.obj = Console(store=store, agreement_path=agreement, as_json=as_json)


def _shared_options_first(args: list[str]) -> list[str]:
    first: list[str] = []
    rest: list[str] = []
    remaining = iter(args)
    for arg in remaining:
        if arg == "--":
            rest += [arg, *remaining]
        elif arg == "--json" or arg.startswith(("--store=", "--agreement=")):
            first.append(arg)
        elif arg in ("--store", "--agreement"):
            first += [arg, *([value] if (value := next(remaining, None)) is not None else [])]
        else:
            rest.append(arg)
    return first + rest


if __name__ == "__main__":
    app()
