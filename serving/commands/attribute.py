"""`smarketing attribute`: which touches what was reached is associated with, by every model, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.commands.moments import parse_moment
from features.console import Console, spare_threads
from features.errors import FileError, UnknownError

if TYPE_CHECKING:
    import pyarrow as pa

    from features.agreement import Attribution
    from features.journeys import Journeys
    from models.attribution.analysis import Analysis
    from models.attribution.falsification import Falsification
    from models.attribution.incremental import LiftTest
    from models.attribution.question import Question

attribute = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)

_LANGUAGES = ("en", "zh")

Transition = Annotated[
    str | None, typer.Option(help="A stage, renewed or expanded; what the agreement says unless given.")
]
AsOf = Annotated[str | None, typer.Option(help="Only what was known at this moment; default: all the ledger knows.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]
Draws = Annotated[int, typer.Option(min=20, help="Draws of the accounts that intervals rest on.")]
Channel = Annotated[str | None, typer.Argument(help="A lever; the one most often used unless given.")]


@attribute.callback()
def _attribute(
    ctx: typer.Context,
    transition: Transition = None,
    by: Annotated[str, typer.Option(help="channel, campaign, content, product, actor_id, team, ...")] = "channel",
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be given several times.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Only conversions from this day or moment on.")] = None,
    to: Annotated[str | None, typer.Option(help="Only conversions before this day or moment.")] = None,
    as_of: AsOf = None,
    lookback_days: Annotated[
        int | None, typer.Option(min=0, help="How long before the end touches count; 0 for no limit.")
    ] = None,
    seed: Seed = 0,
    draws: Draws = 200,
    teams: Annotated[
        Path | None, typer.Option(help="CSV of actor_id and team, for --by team.", exists=True, dir_okay=False)
    ] = None,
    lift_tests: Annotated[
        Path | None,
        typer.Option(help="CSV of channel, estimate, standard_error: experiments.", exists=True, dir_okay=False),
    ] = None,
    falsify: Annotated[
        bool, typer.Option("--falsify", help="Also try to prove the incremental model wrong: slower.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="File for the credit of every touch; CSV when it ends in .csv, else Parquet.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="File for a report with pictures: HTML, all in one.")] = None,
    language: Annotated[str, typer.Option(help="Language of the report: en, zh.")] = "en",
) -> None:
    """Say what reaching a step is associated with: every model side by side, intervals, and whether the books agree."""
    spare_threads()
    if ctx.invoked_subcommand is not None:
        return
    if language not in _LANGUAGES:
        raise UnknownError(f"There is no language {language!r}. Languages: {', '.join(_LANGUAGES)}.")
    moments = [
        None if text is None else parse_moment(text, option) for text, option in ((from_, "--from"), (to, "--to"))
    ]
    console = Console.of(ctx)
    from models.attribution.question import Question
    from serving.score_file import check_writable

    for path in (out, report):
        if path is not None:
            check_writable(path)
    question = Question(
        transition or console.agreement().attribution.transition, by, tuple(model or ()), moments[0], moments[1],
        lookback_days, seed, draws, {} if teams is None else _teams(teams),
        () if lift_tests is None else _lift_tests(lift_tests), falsify,
    )  # fmt: skip
    question.check(console.agreement())
    if by == "team" and teams is None:
        raise typer.BadParameter("needs a file that says who is in which team.", param_hint="--by team / --teams")
    found = _answer(console, question, as_of)
    if out is not None:
        from serving.score_file import write_scores

        write_scores(found.frame(), out)
    from serving.attribution import published
    from serving.attribution_text import attribution_text

    document = published(found)
    if report is not None:
        from serving.pages.attribution_report import attribution_report

        _write(report, attribution_report(document, "zh" if language == "zh" else "en"))
    console.emit(document, attribution_text(document))
    for path in (out, report):
        if path is not None:
            console.say(f"Wrote {path}.")


@attribute.command()
def placebo(
    ctx: typer.Context,
    channel: Channel = None,
    transition: Transition = None,
    as_of: AsOf = None,
    seed: Seed = 0,
    draws: Draws = 200,
) -> None:
    """Give a lever's touches to other accounts at random: the incremental model must find no effect of them."""
    from models.attribution.falsification import placebo as check

    def tried(journeys: Journeys, lever: str, known: pa.Table, told: Attribution) -> Falsification:
        return check(
            journeys,
            lever,
            confounders=known,
            step_days=told.step_days,
            horizon_days=told.horizon_days,
            seed=seed,
            draws=draws,
        )

    _falsify(Console.of(ctx), tried, channel, transition, as_of)


@attribute.command(name="time-shift")
def time_shift(
    ctx: typer.Context,
    channel: Channel = None,
    transition: Transition = None,
    as_of: AsOf = None,
    days: Annotated[float, typer.Option(min=1, help="How long before.")] = 14,
) -> None:
    """Look at the days before a lever's touches: what is still to come must show no effect."""
    from models.attribution.falsification import time_shift as check

    def tried(journeys: Journeys, lever: str, known: pa.Table, told: Attribution) -> Falsification:
        return check(journeys, lever, confounders=known, days=days, step_days=told.step_days)

    _falsify(Console.of(ctx), tried, channel, transition, as_of)


def _answer(console: Console, question: Question, as_of: str | None) -> Analysis:
    from models.attribution.analysis import analyse

    tables, moment, seq = _tables(console, as_of)
    console.say("Finding journeys, fitting models and drawing accounts ...")
    return analyse(tables, console.agreement(), question, as_of=moment, ledger_seq=seq)


def _tables(console: Console, as_of: str | None) -> tuple[dict[str, Any], int, int]:
    """Return what is read of the ledger, the moment it is read as of, and its position."""
    from features.ledger import Ledger

    with Ledger.open(console.store, must_exist=True) as ledger:
        head = ledger.head()
        tables = {
            **ledger.tables(at=head.ledger_seq), "touchpoints": ledger.export("touchpoints"),
            "spend": ledger.export("spend"),
        }  # fmt: skip
    return tables, head.known_at if as_of is None else parse_moment(as_of, "--as-of"), head.ledger_seq


def _falsify(
    console: Console,
    tried: Callable[[Journeys, str, pa.Table, Attribution], Falsification],
    channel: str | None,
    transition: str | None,
    as_of: str | None,
) -> None:
    from features.relations import build
    from models.attribution.analysis import exposed_journeys
    from models.attribution.question import Question

    agreement = console.agreement()
    question = Question(transition or agreement.attribution.transition)
    question.check(agreement)
    tables, moment, _ = _tables(console, as_of)
    journeys, known = exposed_journeys(tables, build(tables, agreement), agreement, question, as_of=moment)
    found = tried(journeys, channel or _commonest_lever(journeys), known, agreement.attribution)
    effect = {"value": found.effect.value, "low": found.effect.low, "high": found.effect.high}
    told = {"kind": found.kind, "channel": found.channel, "effect": effect, "passed": found.passed}
    console.emit({**told, "verdict": found.verdict}, found.verdict)


def _commonest_lever(journeys: Journeys) -> str:
    from models.attribution.incremental.exposure import lever_names

    levers = lever_names(journeys)
    if not levers:
        hint = "`levers` in the section [attribution] of the agreement names them."
        raise UnknownError("No touch of these journeys is a lever.", hint=hint)
    return levers[0]


def _teams(path: Path) -> dict[str, str]:
    return {row["actor_id"]: row["team"] for row in _rows(path, ("actor_id", "team"))}


def _lift_tests(path: Path) -> tuple[LiftTest, ...]:
    from models.attribution.incremental import LiftTest

    found = []
    for number, row in enumerate(_rows(path, ("channel", "estimate", "standard_error")), 2):
        try:
            told = float(row["estimate"]), float(row["standard_error"])
        except ValueError:
            said = f"{row['estimate']!r} and {row['standard_error']!r}"
            raise FileError(
                f"{path}, line {number}: estimate and standard_error must be numbers. Got {said}."
            ) from None
        try:
            found.append(LiftTest(row["channel"], *told))
        except ValueError as error:
            raise FileError(f"{path}, line {number}: {error}") from None
    return tuple(found)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    import csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if not {*columns} <= {*(rows.fieldnames or ())}:
            got = ", ".join(rows.fieldnames or ())
            raise FileError(f"{path} must have the columns {', '.join(columns)}. Got {got or 'none'} instead.")
        # A short line has None where a text is missing.
        return [{name: row[name] or "" for name in columns} for row in rows]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(f"The file {str(path)!r} can not be written: {error.strerror}.") from error
