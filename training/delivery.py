"""From a fitted ladder to a registered version, and to the champion where the gates let it."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from features.agreement import Agreement
from features.ledger import now_micros
from features.relations import Tables
from models.bundle import load_bundle
from models.bundle_cache import BundleCache
from training.config import TrainingConfig
from training.dataset import Say
from training.gates import judge
from training.holdout import asks_alike, build_holdout, gates_config, holdout_of
from training.promotion import promote, standing
from training.record import record_of
from training.registry import Registered, Registry
from training.run import Trained
from training.verdict import Verdict


@dataclass(frozen=True)
class Delivered:
    """What became of a trained model.

    Parameters
    ----------
    trained : Trained
    registered : Registered
    verdict : Verdict or None
        Of the gates; None when they were not asked.
    promoted : bool
        Whether it is the champion now.
    """

    trained: Trained
    registered: Registered
    verdict: Verdict | None
    promoted: bool

    def document(self) -> dict[str, Any]:
        """Return the report of the run, and what became of its model, as JSON writes it."""
        version = self.registered
        return self.trained.report.document() | {
            "model": version.model,
            "version": version.shown,
            "run_id": version.run_id,
            "bundle": version.digest,
            "gates": None if self.verdict is None else self.verdict.document(),
            "promoted": self.promoted,
        }

    def line(self) -> str:
        """Return the outcome in one line: version, rung, its measure, and what became of it."""
        champion = self.trained.report.champion
        became = "champion" if self.promoted else "challenger"
        if self.verdict is not None and not self.promoted:
            became += f", refused by {', '.join(self.verdict.refused)}"
        auc = f", AUC {champion.test['auc']:.3f}" if "auc" in champion.test else ""
        return f"{self.registered.goal}: version {self.registered.shown} ({champion.name}{auc}) is the {became}."

    def text(self) -> str:
        """Return what became of the model in words."""
        version = self.registered
        name = f"Version {version.shown} of {version.model}"
        gates = [] if self.verdict is None else [self.verdict.text()]
        if self.promoted:
            last = f"{name} is the champion."
        elif self.verdict is not None:
            last = f"{name} is not promoted: refused by {', '.join(self.verdict.refused)}. It stays the challenger."
        else:
            last = (
                f"{name} is the challenger. To compare it: smarketing models diff champion challenger --goal"
                f" {version.goal}; to make it the champion: smarketing models promote --goal {version.goal}"
            )
        return "\n".join([*gates, last])


def deliver(
    trained: Trained,
    tables: Tables,
    agreement: Agreement,
    registry: Registry,
    cache: BundleCache,
    *,
    promoting: bool,
    parent: str = "",
    say: Say,
) -> Delivered:
    """Register the best rung as the challenger; where it is the goal's first, or is to be promoted, ask the gates.

    Parameters
    ----------
    trained : Trained
    tables : mapping of str to pyarrow.Table
        Of the ledger: the gates ask by the agreement alone, whatever the training was told.
    agreement : Agreement
        As its file says.
    registry : Registry
    cache : BundleCache
    promoting : bool
        Whether to promote it although there is a champion.
    parent : str, default=""
        Run that this one is a part of.
    say : callable
        Told what is being done.

    Raises
    ------
    BundleError
        When the bundle fails its check.
    StoreError
        When the registry can not be reached or refuses.
    """
    say("checking the bundle in a process of its own")
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as beside:
        folder = Path(scratch, "bundle")
        trained.save(folder, trained_at=now_micros())
        checking = beside.submit(cache.put, folder)
        record = replace(record_of(trained, trained.config.flat()), parent=parent)
        digest = checking.result()
        say("writing to the registry")
        before = registry.champion(record.goal)
        registered = registry.publish(record, folder, digest)
        bundle = load_bundle(folder)
    if before is not None and not promoting:
        return Delivered(trained, registered, None, False)
    say("asking the gates")
    champion = None if before is None else standing(registry, cache, before)
    known = [bundle] if champion is None else [bundle, champion]
    config = gates_config(TrainingConfig.of(agreement, record.goal), lambda: trained.config, known)
    if asks_alike(config, trained.config):
        holdout = holdout_of(trained.dataset, known)
    else:
        holdout = build_holdout(tables, agreement, config, known)
    verdict = judge(bundle, champion, holdout, config)
    return Delivered(trained, registered, verdict, promote(registry, cache, registered, verdict))
