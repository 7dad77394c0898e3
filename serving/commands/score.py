"""`smarketing score`: one account, all of them, or scores of the past given again; no server is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from features.commands.moments import parse_moment
from features.console import Console, ExitCode

if TYPE_CHECKING:
    from features.agreement import Agreement
    from features.catalogue import Catalogue
    from features.ledger import Ledger
    from models.bundle_cache import BundleCache

_EVERY = "all"


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
    declared = catalogue(agreement)
    bundles = BundleCache(cache or console.cache)
    with Ledger.open(console.store, must_exist=True) as ledger:
        if account is not None:
            code = _one(console, ledger, agreement, declared, bundles, account, goal, moment)
        elif out is not None:
            code = _all(console, ledger, agreement, declared, bundles, out, goal, moment)
        else:
            code = _replay(console, ledger, agreement, declared, bundles, str(replay))
    if code is not ExitCode.OK:
        raise typer.Exit(code)


def _one(
    console: Console,
    ledger: Ledger,
    agreement: Agreement,
    declared: Catalogue,
    bundles: BundleCache,
    account: str,
    goal: str | None,
    moment: int | None,
) -> ExitCode:
    import secrets

    from features.ledger import now_micros
    from serving.answers import render
    from serving.champion import Champions
    from serving.scorebook import Scorebook
    from serving.scoring import Scoring
    from serving.service import ScoreService

    champions = Champions(bundles, agreement, declared)
    champions.refresh()
    with Scorebook(ledger, now_micros) as book:
        service = ScoreService(ledger, Scoring(agreement, declared), champions, book, now_micros, capacity=1)
        scored = service.give(account, agreement.goal(goal).name, moment)
    answer = render(scored, "en", f"req_{secrets.token_hex(8)}")
    console.emit(answer, json.dumps(answer, ensure_ascii=False, indent=2))
    return ExitCode.DEGRADED if scored.degraded else ExitCode.OK


def _all(
    console: Console,
    ledger: Ledger,
    agreement: Agreement,
    declared: Catalogue,
    bundles: BundleCache,
    out: Path,
    goal_name: str | None,
    moment: int | None,
) -> ExitCode:
    from features.ledger import now_micros
    from serving.bulk import score_all, write
    from serving.champion import Champions
    from serving.wire import rfc3339

    goal = agreement.goal(goal_name)
    champions = Champions(bundles, agreement, declared)
    champions.refresh()
    champion = champions.of(goal.name)
    head = ledger.head()
    as_of = max(now_micros(), head.known_at) if moment is None else moment
    tables = ledger.tables(at=head.ledger_seq)
    with console.progress("Scoring accounts") as advance:
        found = score_all(
            tables, agreement, declared, champion, goal, as_of, ledger_seq=head.ledger_seq, advance=advance
        )
    write(found, out)
    version = None if champion is None else champion.version
    said = {"goal": goal.name, "asOf": rfc3339(as_of), "accounts": found.num_rows, "modelVersion": version}
    by = "points: there is no model yet" if version is None else f"model {version}"
    words = f"{found.num_rows} accounts scored for {goal.name} as of {said['asOf']} by {by}; they are in {out}."
    console.emit({**said, "ledgerSeq": head.ledger_seq, "out": str(out)}, words)
    return ExitCode.DEGRADED if champion is None or champions.degraded(goal.name) else ExitCode.OK


def _replay(
    console: Console,
    ledger: Ledger,
    agreement: Agreement,
    declared: Catalogue,
    bundles: BundleCache,
    which: str,
) -> ExitCode:
    from serving.replay import Verdict, read_scores, replay

    records = ledger.export("scores") if which == _EVERY else read_scores(Path(which))
    found: list[Verdict] = []
    with console.progress("Replaying scores", records.num_rows) as advance:
        for verdict in replay(records, ledger, agreement, declared, bundles):
            found.append(verdict)
            advance(1)
    equal = sum(verdict.is_equal for verdict in found)
    wrong = [verdict.document() for verdict in found if not verdict.is_equal]
    for one in wrong[:10]:
        console.say(f"{one['accountId']} {one['goal']} {one['asOf']}: {one['difference']}")
    said = {"replayed": len(found), "equal": equal, "different": len(wrong), "differences": wrong}
    console.emit(said, f"{len(found)} scores replayed: {equal} equal to the last bit, {len(wrong)} different.")
    return ExitCode.FAILURE if wrong else ExitCode.OK


def _misused(message: str, option: str) -> NoReturn:
    raise typer.BadParameter(message, param_hint=option)
