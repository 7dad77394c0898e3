"""`smarketing features`: what is declared, and what it is for one account at a moment."""

from __future__ import annotations

from typing import Annotated

import typer

from features.commands.moments import parse_moment
from features.console import Console
from features.errors import UnknownError


def features(
    ctx: typer.Context,
    list_: Annotated[bool, typer.Option("--list", help="List every declared feature.")] = False,
    account: Annotated[str | None, typer.Option(help="Account to show the values of.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Moment, RFC 3339; default: now.")] = None,
    family: Annotated[str | None, typer.Option(help="Only features of this family.")] = None,
) -> None:
    """List the catalogue, or show its values for one account at any moment."""
    if list_ == (account is not None):
        raise typer.BadParameter("give either --list or --account ID.", param_hint="--list / --account")
    if list_ and as_of is not None:
        raise typer.BadParameter("goes with --account ID: a list has no moment.", param_hint="--as-of")
    console = Console.of(ctx)
    from features.catalogue import catalogue

    agreement = console.agreement()
    declared = catalogue(agreement)
    families = sorted({feature.family for feature in declared.features})
    if family is not None and family not in families:
        raise UnknownError(f"There is no family {family!r}. Families: {', '.join(families)}.")
    shown = [feature for feature in declared.features if family in {None, feature.family}]
    rows: list[dict[str, object]] = [
        {
            "feature": feature.name,
            "concept": feature.concept,
            "family": feature.family,
            "side": feature.side,
            "dtype": feature.dtype,
            "unit": feature.unit,
            "en": feature.meaning["en"],
            "zh": feature.meaning["zh"],
        }
        for feature in shown
    ]
    if account is None:
        console.emit_rows(rows, columns=("feature", "family", "unit", "dtype", "en", "zh"))
        console.say(f"{len(rows)} features. Next: smarketing features --account ID --as-of 2026-11-21T09:00:00Z")
        return
    values = dict(zip(declared.names, _values(console, account, as_of), strict=True))
    for row in rows:
        row["value"] = _plain(values[str(row["feature"])], is_count=row["dtype"] == "count")
    console.emit_rows(rows, columns=("feature", "value", "unit", "family", "en"))


def _values(console: Console, account: str, as_of: str | None) -> list[float | str | None]:
    from features.catalogue import catalogue
    from features.ledger import Ledger, now_micros
    from features.online import Evaluator
    from features.relations import build

    moment = now_micros() if as_of is None else parse_moment(as_of, "--as-of")
    agreement = console.agreement()
    with Ledger.open(console.store, must_exist=True) as ledger:
        if ledger.account_seq(account) is None:
            raise UnknownError(f"There is no account {account!r} in {console.store}.", hint="smarketing ingest FILE...")
        relations = build(ledger.account_tables(account), agreement)
    evaluator = Evaluator(catalogue(agreement))
    return evaluator.evaluate(evaluator.prepare(relations, account), moment)


def _plain(value: float | str | None, *, is_count: bool) -> float | str | None:
    if isinstance(value, float) and value != value:
        return None
    return int(value) if is_count and isinstance(value, float) else value
