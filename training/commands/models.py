"""`smarketing models`: what is registered, how two versions differ, which one answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.console import Console, ExitCode, spare_threads
from training.commands.options import CacheOption, ConfigOption, GoalOption, SettingsOption

if TYPE_CHECKING:
    from features.agreement import Agreement
    from models.bundle import Bundle
    from models.bundle_cache import BundleCache
    from training.config import TrainingConfig
    from training.dataset import Dataset
    from training.registry import Registered, Registry, Version

models = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What is registered, how two versions differ, and which one answers.",
)

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="Number of a version, or an alias.")]


@models.command("list")
def list_(
    ctx: typer.Context,
    goal: Annotated[str | None, typer.Option(help="Only this goal's.")] = None,
) -> None:
    """List every version: its aliases, its rung, when it was made, its measures with intervals, who approved it."""
    from training.registry import Registry

    console = Console.of(ctx)
    registry = Registry.beside(console.store)
    registry.check()
    rows = [_row(version) for version in registry.versions(goal)]
    if not rows:
        console.say("No model is registered. Next: smarketing train")
    console.emit_rows(rows, columns=("goal", "version", "aliases", "rung", "made", "AUC", "Brier", "ECE", "approved"))


@models.command()
def diff(
    ctx: typer.Context,
    a: VersionArgument,
    b: VersionArgument,
    goal: GoalOption = None,
    config: ConfigOption = None,
    settings: SettingsOption = None,
    cache: CacheOption = None,
) -> None:
    """Compare two versions: parameters, features, and measures on the rows of the ledger that taught neither."""
    from training.comparison import compare
    from training.config import load_config

    console = Console.of(ctx)
    told = _Told(console, goal, cache)
    first, second = told.versions(a, b)
    bundles = told.bundles([first, second])
    asked = load_config(
        console.agreement_path,
        training=config,
        settings=settings or (),
        goal=told.goal_name,
        seed=int(bundles[0].metrics["seed"]),
    )
    found = compare((first, bundles[0]), (second, bundles[1]), told.holdout(*asked, bundles))
    names = {"goal": told.goal_name, "a": first.registered.shown, "b": second.registered.shown}
    console.emit(names | found.document(), f"{names['goal']}: {names['a']} -> {names['b']}\n{found.text()}")


@models.command()
def promote(
    ctx: typer.Context,
    version: VersionArgument = "challenger",
    goal: GoalOption = None,
    cache: CacheOption = None,
) -> None:
    """Make a version the champion, if the gates let it; exit code 4 if they do not."""
    from training.gates import judge
    from training.promotion import answer_with, standing
    from training.promotion import promote as pass_on

    console = Console.of(ctx)
    told = _Told(console, goal, cache)
    (candidate,) = told.versions(version)
    registered, before = candidate.registered, told.registry.champion(told.goal_name)
    if before == registered:
        answer_with(told.registry, told.cache, registered)
        text = f"Version {registered.shown} of {registered.model} is the champion already."
        console.emit({"version": registered.shown, "promoted": True, "gates": None}, text)
        return
    (bundle,) = told.bundles([candidate])
    champion = None if before is None else standing(told.registry, told.cache, before)
    known = [bundle] if champion is None else [bundle, champion]
    agreement, config = told.gates_config(registered, known)
    verdict = judge(bundle, champion, told.holdout(agreement, config, known), config)
    promoted = pass_on(told.registry, told.cache, registered, verdict)
    last = (
        f"Version {registered.shown} of {registered.model} is the champion."
        if promoted
        else f"Version {registered.shown} of {registered.model} is not promoted: refused by"
        f" {', '.join(verdict.refused)}. The champion stays."
    )
    document = {"version": registered.shown, "promoted": promoted, "gates": verdict.document()}
    console.emit(document, f"{verdict.text()}\n{last}")
    if not promoted:
        raise typer.Exit(ExitCode.GATE_REFUSED)


@models.command()
def rollback(ctx: typer.Context, goal: GoalOption = None, cache: CacheOption = None) -> None:
    """Let the previous champion answer again; a second rollback takes the first one back."""
    from training.promotion import rollback as roll_back

    console = Console.of(ctx)
    told = _Told(console, goal, cache)
    before = told.registry.champion(told.goal_name)
    version = roll_back(told.registry, told.cache, told.goal_name)
    was = None if before is None else before.shown
    console.emit(
        {"goal": version.goal, "version": version.shown, "was": was},
        f"Version {version.shown} of {version.model} is the champion again; version {was} is now the previous one.",
    )


@dataclass(frozen=True)
class _Told:
    """What a command on versions was told, and what it needs of it."""

    console: Console
    goal: str | None
    folder: Path | None

    @property
    def goal_name(self) -> str:
        return self.console.agreement().goal(self.goal).name

    @property
    def registry(self) -> Registry:
        from training.registry import Registry

        registry = Registry.beside(self.console.store)
        registry.check()
        return registry

    @property
    def cache(self) -> BundleCache:
        from models.bundle_cache import BundleCache

        return BundleCache(self.folder or self.console.cache)

    def versions(self, *names: str) -> list[Version]:
        spare_threads()
        return [self.registry.find(self.goal_name, name) for name in names]

    def bundles(self, versions: Sequence[Version]) -> list[Bundle]:
        from training.promotion import bring

        return [bring(self.registry, self.cache, version.registered) for version in versions]

    def gates_config(self, candidate: Registered, bundles: Sequence[Bundle]) -> tuple[Agreement, TrainingConfig]:
        """Return the agreement as its file says, and by what the gates ask."""
        from training.config import TrainingConfig, recorded_config
        from training.holdout import gates_config

        agreement = self.console.agreement()

        def told() -> TrainingConfig:
            run = self.registry.config_of(candidate)
            return recorded_config(self.console.agreement_path, run, self.goal_name)

        return agreement, gates_config(TrainingConfig.of(agreement, self.goal_name), told, bundles)

    def holdout(self, agreement: Agreement, config: TrainingConfig, bundles: Sequence[Bundle]) -> Dataset:
        from features.ledger import Ledger
        from training.holdout import build_holdout

        self.console.say("measuring on snapshots that taught none of them ...")
        with Ledger.open(self.console.store, must_exist=True) as ledger:
            tables = ledger.tables()
        return build_holdout(tables, agreement, config, bundles)


def _row(version: Version) -> dict[str, object]:
    from training.dataset import shown
    from training.promotion import APPROVAL

    one, tags = version.registered, version.tags
    approved = max((name for name in tags if name.startswith(APPROVAL)), default=None)
    return {
        "goal": one.goal,
        "version": one.shown,
        "aliases": ", ".join(version.aliases),
        "rung": tags.get("smarketing.rung", ""),
        "made": shown(version.made_at),
        **{heading: _measure(version, name) for heading, name in (("AUC", "auc"), ("Brier", "brier"), ("ECE", "ece"))},
        "approved": None if approved is None else f"{approved.removeprefix(APPROVAL)} {tags[approved]}",
        "model": one.model,
        "run_id": one.run_id,
        "bundle": one.digest,
        "metrics": {name: value for name, value in version.metrics.items() if name.startswith("test.")},
    }


def _measure(version: Version, name: str) -> str | None:
    value, low, high = (version.metrics.get(f"test.{name}{end}") for end in ("", ".low", ".high"))
    if value is None:
        return None
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} ({low:.4f} to {high:.4f})"
