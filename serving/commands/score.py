"""`smarketing score`: one account, all of them, those on record, or these given again; no server is needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from features.commands.moments import parse_moment
from features.console import Console, ExitCode

if TYPE_CHECKING:
    from pyarrow import Table

    from features.agreement import Agreement, Goal
    from features.catalogue import Catalogue
    from features.ledger import Ledger
    from models.bundle_cache import BundleCache
    from serving.champion import Champions

_EVERY = "all"
_SHOWN = 10
"""Differences of a replay said in words; with --json all are in the result."""
_PATIENCE = 5.0
"""Seconds that an answer waits to be on record."""
_AT_ONCE = 5_000
"""Scores written in one transaction: a service that writes meanwhile waits for no longer than that takes."""


def score(
    ctx: typer.Context,
    account: Annotated[str | None, typer.Argument(help="Account to score.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Score every account that the goal applies to.")] = False,
    recorded: Annotated[bool, typer.Option("--recorded", help="Write the scores on record to a file.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="File for --all and --recorded; CSV when it ends in .csv, else Parquet.")
    ] = None,
    goal: Annotated[str | None, typer.Option(help="Goal; the agreement's default unless given.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Moment, past or future, RFC 3339; default: now.")] = None,
    replay: Annotated[
        str | None,
        typer.Option(help="Give recorded scores again and compare: all, or a Parquet file that --recorded wrote."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(envvar="SMARKETING_CACHE", help="Folder of the models; beside the store unless given."),
    ] = None,
) -> None:
    """Score one account, or all of them into a file, by the current models; write or replay the scores on record."""
    if sum((account is not None, all_, recorded, replay is not None)) != 1:
        _misused("give one of an account, --all, --recorded and --replay.", "ACCOUNT / --all / --recorded / --replay")
    if (all_ or recorded) != (out is not None):
        _misused("goes with --all and --recorded, which need it.", "--out")
    if (recorded or replay is not None) and (goal is not None or as_of is not None):
        _misused("a recorded score has its own goal and moment.", "--recorded / --replay")
    console = Console.of(ctx)
    moment = None if as_of is None else parse_moment(as_of, "--as-of")
    from features.catalogue import catalogue
    from features.ledger import Ledger
    from models.bundle_cache import BundleCache

    if out is not None:
        from serving.score_file import check_writable

        check_writable(out)
    agreement = console.agreement()
    bundles = BundleCache(cache or console.cache)
    with Ledger.open(console.store, must_exist=True) as ledger:
        desk = _Desk(console, ledger, agreement, catalogue(agreement), bundles)
        if account is not None:
            code = _one(desk, account, agreement.goal(goal), moment)
        elif out is not None:
            code = _recorded(desk, out) if recorded else _all(desk, out, agreement.goal(goal), moment)
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
    from serving.service import ScoreService, not_recorded

    scoring = Scoring(desk.agreement, desk.declared)
    with Scorebook(desk.ledger, now_micros) as book:
        service = ScoreService(desk.ledger, scoring, desk.champions(), book, now_micros, capacity=1)
        scored = service.give(account, goal.name, moment)
        if not book.flush_within(_PATIENCE):
            scored = not_recorded(scored)
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
    if champion is not None and as_of < champion.bundle.trained_at:
        desk.console.say(
            f"The model was trained at {rfc3339(champion.bundle.trained_at)}, after {rfc3339(as_of)}: it may have "
            "learnt from what came next, so these scores say nothing of how well it foresees."
        )
    tables = desk.ledger.tables(at=head.ledger_seq)
    with desk.console.progress("Scoring accounts") as advance:
        found = score_all(
            tables, desk.agreement, desk.declared, champion, goal, as_of, ledger_seq=head.ledger_seq, advance=advance
        )
    write_scores(found, out)
    is_recorded = _record(desk, found)
    version = None if champion is None else champion.version
    said = {"goal": goal.name, "asOf": rfc3339(as_of), "accounts": found.num_rows, "modelVersion": version}
    by = "points: there is no model yet" if version is None else f"model {version}"
    words = f"{found.num_rows} accounts scored for {goal.name} as of {said['asOf']} by {by}; they are in {out}."
    desk.console.emit({**said, "ledgerSeq": head.ledger_seq, "out": str(out)}, words)
    is_degraded = champion is None or champions.degraded(goal.name) or not is_recorded
    return ExitCode.DEGRADED if is_degraded else ExitCode.OK


def _record(desk: _Desk, found: Table) -> bool:
    """Put the scores of all accounts on record, and return whether that was done."""
    from features.errors import StoreError
    from features.ledger import now_micros
    from serving.scorebook import bulk_rows, write_rows
    from serving.scoring import agreement_digest

    digest, given_at = agreement_digest(desk.agreement), now_micros()
    try:
        batches = found.to_batches(max_chunksize=_AT_ONCE)
        refused = sum(write_rows(desk.ledger, bulk_rows(batch.to_pylist(), digest, given_at)) for batch in batches)
    except StoreError as error:
        desk.console.say(f"The scores are in the file, but may not be on record: {error}")
        return False
    return refused == 0


def _recorded(desk: _Desk, out: Path) -> ExitCode:
    from serving.score_file import write_scores

    records = desk.ledger.export("scores")
    write_scores(records, out)
    words = f"{records.num_rows} scores are on record; they are in {out}."
    desk.console.emit({"scores": records.num_rows, "out": str(out)}, words)
    return ExitCode.OK


def _replay(desk: _Desk, which: str) -> ExitCode:
    from collections import Counter

    from serving.replay import Finding, replay
    from serving.score_file import read_scores

    head = desk.ledger.head().ledger_seq
    records = desk.ledger.export("scores") if which == _EVERY else read_scores(Path(which), head)
    count: Counter[Finding] = Counter()
    different = []
    with desk.console.progress("Replaying scores", records.num_rows) as advance:
        for verdict in replay(records, desk.ledger, desk.agreement, desk.declared, desk.bundles):
            count[verdict.finding] += 1
            if verdict.finding is Finding.DIFFERENT:
                different.append(verdict.document())
            advance(1)
    for one in different[:_SHOWN]:
        desk.console.say(f"{one['accountId']} {one['goal']} {one['asOf']}: {one['difference']}")
    if count[Finding.ANOTHER_AGREEMENT]:
        desk.console.say("Scores under another agreement were not compared: give that one with --agreement FILE.")
    desk.console.emit(
        {
            "replayed": records.num_rows,
            **{finding.value: count[finding] for finding in Finding},
            "differences": different,
        },
        f"{records.num_rows} scores given again: {count[Finding.EQUAL]} equal to the last bit, {count[Finding.CLOSE]} "
        f"of all accounts at once equal to 1e-9, {count[Finding.DIFFERENT]} different, "
        f"{count[Finding.ANOTHER_AGREEMENT]} under another agreement.",
    )
    return ExitCode.FAILURE if different else ExitCode.OK


def _misused(message: str, option: str) -> NoReturn:
    raise typer.BadParameter(message, param_hint=option)
