"""The snapshots that none of some models has learnt from: what a promotion is judged on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from features.agreement import Agreement
from features.relations import Tables
from models.bundle import Bundle
from training.config import DataSettings, TrainingConfig
from training.dataset import Dataset, Say, build_dataset
from training.splits import Flags


def judged_since(bundles: Sequence[Bundle]) -> int | None:
    """Return the first moment that none of the bundles has learnt anything of; None when accounts divided the data.

    A training run purges its own test: whatever taught the model was known, horizon and reporting lag included, before
    its first test moment. From the latest of those moments on, all are judged on what is new to them.
    """
    since = [bundle.metrics.get("test_from") for bundle in bundles]
    told = [int(moment) for moment in since if moment is not None]
    return max(told) if len(told) == len(since) else None


def gates_config(
    agreed: TrainingConfig, told: Callable[[], TrainingConfig], bundles: Sequence[Bundle]
) -> TrainingConfig:
    """Return by what the gates ask: the agreement's moments and the default limits, whatever a training was told.

    The one exception are accounts that divide the data: only the candidate's own division, of the data, the seed and
    the fold that the champion had too, leaves snapshots that are new to both. It can not be chosen for its luck.

    Parameters
    ----------
    agreed : TrainingConfig
        What the agreement alone gives.
    told : callable
        Returns what the candidate's run was told.
    bundles : sequence of Bundle
        Of the candidate, and of the champion where there is one.
    """
    if judged_since(bundles) is not None:
        return agreed
    return dataclasses.replace(told(), goal=agreed.goal)


def asks_alike(one: TrainingConfig, other: TrainingConfig) -> bool:
    """Return whether two configurations lead to the same snapshots of the same ledger."""
    return all(getattr(one, name) == getattr(other, name) for name in ("snapshots", "split", "data", "seed"))


def holdout_of(data: Dataset, bundles: Sequence[Bundle]) -> Dataset:
    """Return the test snapshots of a data set that are new to every bundle, and nothing else.

    Where accounts divided the data, a snapshot is new to a bundle only when that was trained on this very data set,
    divided in this very way, which its digest says: other folds would have taught it some of these accounts. Else none
    is left.
    """
    since = judged_since(bundles)
    if since is not None:
        return _only(data, data.split.test & (data.as_of >= since))
    same = all(one.metrics.get("digest") == data.digest for one in bundles)
    return _only(data, data.split.test & same)


def build_holdout(
    tables: Tables,
    agreement: Agreement,
    config: TrainingConfig,
    bundles: Sequence[Bundle],
    *,
    say: Say | None = None,
) -> Dataset:
    """Label the ledger's snapshots that are new to every bundle, and compute their features.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        As `Ledger.tables` gives them.
    agreement : Agreement
    config : TrainingConfig
        Its moments; the test begins where the last of the bundles stopped learning.
    bundles : sequence of Bundle
    say : callable, optional
        Told what is being done.

    Raises
    ------
    NotEnoughDataError
        When no snapshot is left.
    """
    since = judged_since(bundles)
    if since is None:
        return holdout_of(build_dataset(tables, agreement, config, say=say), bundles)
    day = datetime.fromtimestamp(since // 1_000_000, UTC).astimezone(ZoneInfo(config.snapshots.tz)).date()
    # What would teach is not used here: as little of it as may be is worked out.
    data = DataSettings(max_train=100, max_test=config.data.max_test, min_positives=0)
    told = dataclasses.replace(config, split=dataclasses.replace(config.split, kind="time", test_from=day), data=data)
    found = holdout_of(build_dataset(tables, agreement, told, say=say), bundles)
    # Which accounts taught a bundle is not kept: none is told to be new.
    return dataclasses.replace(found, split=dataclasses.replace(found.split, unseen=np.zeros_like(found.split.unseen)))


def outcomes(data: Dataset) -> tuple[int, int]:
    """Return the number of accounts with a positive snapshot, and with a negative one."""
    positive = data.label > 0
    return len(np.unique(data.account_id[positive])), len(np.unique(data.account_id[~positive]))


def _only(data: Dataset, kept: Flags) -> Dataset:
    rows = np.flatnonzero(kept)
    return dataclasses.replace(
        data,
        table=data.table.take(pa.array(rows)),
        label=data.label[rows],
        account_id=data.account_id[rows],
        as_of=data.as_of[rows],
        split=dataclasses.replace(
            data.split, train=data.split.train[rows], test=data.split.test[rows], unseen=data.split.unseen[rows]
        ),
        counts=dataclasses.replace(data.counts, purged=0, sampled_out=0, train=0, test=len(rows)),
        weight=data.weight[rows],
        is_event=data.is_event[rows],
        amount=data.amount[rows],
        origin=None if data.origin is None else data.origin[rows],
    )
