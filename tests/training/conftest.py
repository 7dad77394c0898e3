from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.agreement import Agreement
from features.catalogue import catalogue
from features.schema import DAY
from training.config import TrainingConfig, load_config
from training.dataset import Counts, Dataset
from training.registry import Registry
from training.run import Trained, train_on
from training.splits import time_split

NAMES = ("new_stage", "touches_30d", "inbound_30d", "touches_365d")


def hand_made(days: int, accounts: int = 300, every: int = 7, *, horizon: int = 90, seed: int = 0) -> Dataset:
    """Snapshots whose log-odds are known: a stage and two counts matter, the third count does not."""
    random = np.random.default_rng(seed)
    as_of = np.repeat(np.arange(0, days, every, dtype=np.int64) * DAY, accounts // 6)
    # New accounts come in over time, so that some of the test's were never seen.
    account = np.array([f"a{n:03d}" for n in random.integers(0, accounts, len(as_of)) + as_of // DAY // 2])
    counts = random.poisson(3.0, (3, len(as_of))).astype(float)
    stage = random.choice(["lead", "mql", "sql"], len(as_of))
    logit = -2.5 + 2.0 * np.log1p(counts[0]) - 0.8 * np.log1p(counts[1]) + np.where(stage == "sql", 1.2, 0.0)
    label = (random.random(len(as_of)) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    everything = catalogue(Agreement.load())
    declared = everything.subset([name for name in NAMES if name in everything.names] or everything.names[:4])
    grid = np.unique(as_of)
    split = time_split(account, as_of, grid, grid[grid >= 0.8 * grid.max()], horizon * DAY)
    kept = np.flatnonzero(split.train | split.test)
    split = split.only(account, kept)
    return Dataset(
        table=pa.table([pa.array(stage[kept]), *(pa.array(row[kept]) for row in counts)], names=list(declared.names)),
        catalogue=declared,
        label=label[kept],
        account_id=account[kept],
        as_of=as_of[kept],
        split=split,
        counts=Counts(len(as_of), 0, len(as_of) - len(kept), 0, int(split.train.sum()), int(split.test.sum())),
        data_from=0,
        data_until=days * DAY,
        lag=0,
        lag_is_assumed=True,
        test_weeks=10.0,
        weight=np.ones(len(kept)),
        is_event=np.zeros(len(kept), dtype=np.bool_),
        amount=np.full(len(kept), np.nan),
        digest="0" * 64,
    )


@pytest.fixture(scope="session")
def settings() -> tuple[Agreement, TrainingConfig]:
    return load_config(
        None,
        settings=[
            "lightgbm.learning_rate=0.3",
            "lightgbm.max_bin=15",
            "lightgbm.num_threads=1",
            "data.min_positives=10",
        ],
        seed=1,
    )


@pytest.fixture(scope="session")
def trained(settings: tuple[Agreement, TrainingConfig]) -> Trained:
    return train_on(hand_made(500), *settings)


@pytest.fixture(scope="session")
def bundle(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "bundle"
    trained.save(folder, trained_at=500 * DAY)
    return folder


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Registry]:
    """Return a function that makes a registry in a folder, from one that MLflow has set up once: that takes seconds."""
    pattern = tmp_path_factory.mktemp("pattern")

    def made(folder: Path) -> Registry:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            if not any(pattern.iterdir()):
                Registry.beside(str(pattern / "market.db")).prepare()
            shutil.copy(pattern / "mlflow.db", folder)
            return Registry.beside(str(folder / "market.db"))

    return made
