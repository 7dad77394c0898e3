"""`smarketing score`: one account, all of them, or scores of the past given again; no server is needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from features.commands.moments import parse_moment
from features.console import Console, ExitCode

if TYPE_CHECKING:
    from features.agreement import Agreement, Goal
    from features.catalogue import Catalogue
    from features.ledger import Ledger
    from models.bundle_cache import BundleCache
    from serving.champion import Champions

_EVERY = "all"
_SHOWN = 10
"""Differences of a replay said in words; with --json all are in the result."""


def score(
    ctx: typer.Context,
    account: Annotated[str | None, typer.Argument(help="Account to score.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Score every account that the goal applies to.")] = False,
    out: Annotated[Path | None, typer.Option(help="File for --all; CSV when it ends in .csv, else Parquet.")] = None,
    goal: Annotated[str | None, typer.Option(help="Goal; the agreement's default unless given.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Moment, past or future, RFC 3339; default: now.")] = None,
    replay: Annotated[
        str | None,
        typer.Option(help="Give recorded scores again and compare: all, or a Parquet file of the table scores."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(envvar="SMARKETING_CACHE", help="Folder of the models; beside the store unless given."),
    ] = None,
) -> None:
    """Score one account, or all of them into a file, or replay the scores on record, by the current models."""
    if sum((account is not None, all_, replay is not None)) != 1:
        _misused("give one of an account, --all and --replay.", "ACCOUNT / --all / --replay")
    if all_ != (out is not None):
        _misused("goes with --all, and --all needs it.", "--out")
    if replay is not None and (goal is not None or as_of is not None):
        _misused("a recorded score has its own goal and moment.", "--replay")
    console = Console.of(ctx)
    moment = None if as_of is None else parse_moment(as_of, "--as-of")
    from features.catalogue import catalogue
    from features.ledger import Ledger
    from models.bundle_cache import BundleCache

    agreement = console.agreement()
    bundles = BundleCache(cache or console.cache)
    with Ledger.open(console.store, must_exist=True) as ledger:
        desk = _Desk(console, ledger, agreement, catalogue(agreement), bundles)
        if account is not None:
            code = _one(desk, account, agreement.goal(goal), moment)
        elif out is not None:
            code = _all(desk, out, agreement.goal(goal), moment)
        else:
            code = _replay(desk, str(replay))
    if code is not ExitCode.OK:
        raise typer.Exit(code)


@dataclass(frozen=True)
class _Desk:
    """What it takes to give a score, and where to say it."""

    console: Console
    ledger: Ledger
    agreement: Agreement
    declared: Catalogue
    bundles: BundleCache

    def champions(self) -> Champions:
        """Return the models that answer now."""
        from serving.champion import Champions

        champions = Champions(self.bundles, self.agreement, self.declared)
        champions.refresh()
        return champions


def _one(desk: _Desk, account: str, goal: Goal, moment: int | None) -> ExitCode:
    import secrets

    from features.ledger import now_micros
    from serving.answers import render
    from serving.scorebook import Scorebook
    from serving.scoring import Scoring
    from serving.service import ScoreService

    scoring = Scoring(desk.agreement, desk.declared)
    with Scorebook(desk.ledger, now_micros) as book:
        service = ScoreService(desk.ledger, scoring, desk.champions(), book, now_micros, capacity=1)
        scored = service.give(account, goal.name, moment)
    answer = render(scored, "en", f"req_{secrets.token_hex(8)}")
    desk.console.emit(answer, json.dumps(answer, ensure_ascii=False, indent=2))
    return ExitCode.DEGRADED if scored.degraded else ExitCode.OK


def _all(desk: _Desk, out: Path, goal: Goal, moment: int | None) -> ExitCode:
    from features.ledger import now_micros
    from serving.bulk import score_all
    from serving.score_file import write_scores
    from serving.wire import rfc3339

    champions = desk.champions()
    champion = champions.of(goal.name)
    head = desk.ledger.head()
    as_of = max(now_micros(), head.known_at) if moment is None else moment
    tables = desk.ledger.tables(at=head.ledger_seq)
    with desk.console.progress("Scoring accounts") as advance:
        found = score_all(
            tables, desk.agreement, desk.declared, champion, goal, as_of, ledger_seq=head.ledger_seq, advance=advance
        )
    write_scores(found, out)
    version = None if champion is None else champion.version
    said = {"goal": goal.name, "asOf": rfc3339(as_of), "accounts": found.num_rows, "modelVersion": version}
    by = "points: there is no model yet" if version is None else f"model {version}"
    words = f"{found.num_rows} accounts scored for {goal.name} as of {said['asOf']} by {by}; they are in {out}."
    desk.console.emit({**said, "ledgerSeq": head.ledger_seq, "out": str(out)}, words)
    return ExitCode.DEGRADED if champion is None or champions.degraded(goal.name) else ExitCode.OK


def _replay(desk: _Desk, which: str) -> ExitCode:
    from serving.replay import replay
    from serving.score_file import read_scores

    records = desk.ledger.export("scores") if which == _EVERY else read_scores(Path(which))
    different = []
    with desk.console.progress("Replaying scores", records.num_rows) as advance:
        for verdict in replay(records, desk.ledger, desk.agreement, desk.declared, desk.bundles):
            if not verdict.is_equal:
                different.append(verdict.document())
            advance(1)
    for one in different[:_SHOWN]:
        desk.console.say(f"{one['accountId']} {one['goal']} {one['asOf']}: {one['difference']}")
    total, equal = records.num_rows, records.num_rows - len(different)
    desk.console.emit(
        {"replayed": total, "equal": equal, "different": len(different), "differences": different},
        f"{total} scores given again: {equal} equal to the last bit, {len(different)} different.",
    )
    return ExitCode.FAILURE if different else ExitCode.OK


def _misused(message: str, option: str) -> NoReturn:
    raise typer.BadParameter(message, param_hint=option)
