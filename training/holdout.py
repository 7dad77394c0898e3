"""Rows that none of some models has learnt from: what a promotion is judged on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.agreement import Agreement
from features.catalogue import Catalogue
from features.relations import Tables
from models.bundle import Bundle
from training.config import DataSettings, TrainingConfig
from training.dataset import Dataset, Say, build_dataset
from training.splits import Accounts, Flags, Moments


@dataclass(frozen=True)
class Holdout:
    """Labelled snapshots of n (account, moment) pairs that judge.

    Parameters
    ----------
    table : pyarrow.Table of n rows
        A column per feature of the catalogue.
    catalogue : Catalogue
        Today's declarations.
    label : ndarray of int8, shape (n,)
    account_id : ndarray of str, shape (n,)
    as_of : ndarray of int64, shape (n,)
        UTC microseconds.
    weight : ndarray of float64, shape (n,)
    seed : int
        Of what is sampled from the rows.
    """

    table: pa.Table
    catalogue: Catalogue
    label: npt.NDArray[np.int8]
    account_id: Accounts
    as_of: Moments
    weight: npt.NDArray[np.float64]
    seed: int

    @property
    def outcomes(self) -> tuple[int, int]:
        """Accounts with a positive row, and with a negative one."""
        positive = self.label > 0
        return len(np.unique(self.account_id[positive])), len(np.unique(self.account_id[~positive]))


def judged_since(bundles: Sequence[Bundle]) -> int | None:
    """Return the first moment that none of the bundles has learnt anything of; None when accounts divided the data.

    A training run purges its own test: whatever taught the model was known, horizon and reporting lag included, before
    its first test moment. From the latest of those moments on, all are judged on what is new to them.
    """
    since = [bundle.metrics.get("test_from") for bundle in bundles]
    told = [int(moment) for moment in since if moment is not None]
    return max(told) if len(told) == len(since) else None


def holdout_of(data: Dataset, bundles: Sequence[Bundle], seed: int) -> Holdout:
    """Return the test rows of a data set that are new to every bundle.

    Where accounts divided the data, a row is new to a bundle only when that was trained on this very data set, which
    its digest says: other folds would have taught it some of these accounts. Else no row is left.
    """
    since = judged_since(bundles)
    if since is not None:
        return _rows(data, data.split.test & (data.as_of >= since), seed)
    same = all(_trained_on(bundle.metrics, data, seed) for bundle in bundles)
    return _rows(data, data.split.test & same, seed)


def build_holdout(
    tables: Tables,
    agreement: Agreement,
    config: TrainingConfig,
    bundles: Sequence[Bundle],
    *,
    say: Say | None = None,
) -> Holdout:
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
        return holdout_of(build_dataset(tables, agreement, config, say=say), bundles, config.seed)
    day = datetime.fromtimestamp(since // 1_000_000, UTC).astimezone(ZoneInfo(config.snapshots.tz)).date()
    # What would teach is not used here: as little of it as may be is worked out.
    data = DataSettings(max_train=100, max_test=config.data.max_test, min_positives=0)
    told = dataclasses.replace(config, split=dataclasses.replace(config.split, test_from=day), data=data)
    return holdout_of(build_dataset(tables, agreement, told, say=say), bundles, config.seed)


def _trained_on(metrics: Mapping[str, object], data: Dataset, seed: int) -> bool:
    return metrics.get("digest") == data.digest and metrics.get("seed") == seed


def _rows(data: Dataset, kept: Flags, seed: int) -> Holdout:
    return Holdout(
        table=data.table.filter(pa.array(kept)),
        catalogue=data.catalogue,
        label=data.label[kept],
        account_id=data.account_id[kept],
        as_of=data.as_of[kept],
        weight=data.weight[kept],
        seed=seed,
    )
