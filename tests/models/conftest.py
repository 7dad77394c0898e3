"""A small market with a known response: stage, country and touches decide, noise does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.agreement import Agreement
from features.algebra import Count, Decayed, Latest, Recency, where
from features.catalogue import Catalogue
from features.feature import Feature
from models.arrays import Floats
from models.background import Background, fit_background
from models.bundle import save_bundle
from models.encoding import Encoding
from models.ladder import FittedRung, Ladder, fit_ladder

ACCOUNTS, ROWS = 150, 900
STAGES = ("bql", "lead", "mql", "sql")
FAST = {"learning_rate": 0.2, "min_data_in_leaf": 20, "num_threads": 1}
POINTS = {"visits_decayed": 12.0, "calls_30d": -3.0}
RUNGS = ("base_rate", "stage_table", "points", "shrunk", "logistic", "lightgbm")


def _feature(name, concept, family, unit, expression):
    said = {"en": f"{name} is {{n}}", "zh": f"{name} 为 {{n}}"}
    return Feature(name, concept, family, unit, {"en": name, "zh": name}, said, {"en": "none", "zh": "无"}, expression)


CATALOGUE = Catalogue(
    (
        _feature("new_stage", "stage", "stage", "stage", Latest("stages", "stage")),
        _feature("calls_30d", "calls made", "sales effort", "touches", Count("touches", where(touch_type="call"), 30)),
        _feature("visits_7d", "visits", "frequency", "touches", Count("touches", where(direction="inbound"), 7)),
        _feature("visits_decayed", "visits", "decayed engagement", "touches", Decayed(7.0, where(direction="inbound"))),
        _feature("visit_days", "recent visit", "recency", "days", Recency("touches")),
        _feature("country", "country", "fit", "category", Latest("attributes", "value", where(field="country"))),
        _feature("employees", "size", "fit", "people", Latest("attributes", "number", where(field="employees"))),
    )
)


@dataclass(frozen=True)
class Market:
    table: pa.Table
    X: Floats
    y: Floats
    accounts: np.ndarray
    as_of: np.ndarray
    truth: Floats
    encoding: Encoding

    @property
    def values(self) -> list[list[float | str | None]]:
        return [list(row.values()) for row in self.table.to_pylist()]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return CATALOGUE


@pytest.fixture(scope="session")
def market() -> Market:
    random = np.random.default_rng(7)
    account = random.integers(0, ACCOUNTS, ROWS)
    visits = random.poisson(2.0, ROWS).astype(float)
    stage = random.integers(0, 4, ROWS)
    country = random.integers(0, 3, ACCOUNTS)[account]
    employees = np.where(random.random(ROWS) < 0.2, np.nan, np.exp(random.normal(4, 1.5, ROWS)))
    logit = -1.5 + 0.8 * np.array([0.5, -1.0, 0.0, 1.5])[stage] + 0.5 * visits - 1.0 * (country == 2)
    table = pa.table(
        {
            "new_stage": pa.array([STAGES[code] for code in stage]),
            "calls_30d": pa.array(random.poisson(1.0, ROWS).astype(float)),
            "visits_7d": pa.array(visits),
            "visits_decayed": pa.array(visits * random.uniform(0.3, 1.0, ROWS)),
            "visit_days": pa.array(
                [None if v == 0 else float(d) for v, d in zip(visits, random.random(ROWS) * 7, strict=True)]
            ),
            "country": pa.array([None if code == 0 else ("CN", "NL")[code - 1] for code in country]),
            "employees": pa.array(employees, from_pandas=True),
        }
    )
    encoding = Encoding.fit(table, CATALOGUE.features)
    truth = 1 / (1 + np.exp(-logit))
    y = (random.random(ROWS) < truth).astype(float)
    return Market(table, encoding.matrix(table), y, account, random.integers(0, 10**15, ROWS), truth, encoding)


def fit(market: Market, y, *, seed=0, **more) -> Ladder:
    told = {"stage": "new_stage", "points": POINTS, "params": FAST} | more
    return fit_ladder(market.X, y, market.accounts, market.encoding, seed=seed, **told)


@pytest.fixture(scope="session")
def ladder(market) -> Ladder:
    return fit(market, market.y, seed=3)


@pytest.fixture(scope="session", params=RUNGS)
def rung(request, ladder) -> FittedRung:
    return ladder.rungs[request.param]


def background_of(rung: FittedRung, market: Market) -> Background:
    return fit_background(rung, market.X, market.y, market.accounts, market.as_of, market.encoding, CATALOGUE.features)


def save(folder: Path, rung: FittedRung, market: Market, **changes) -> str:
    parts = {
        "goal": Agreement.load().goal("won_90d"),
        "scorer": rung.scorer,
        "calibration": rung.calibration,
        "encoding": market.encoding,
        "background": background_of(rung, market),
        "catalogue": CATALOGUE,
        "metrics": {"train": {"log_loss": rung.log_loss}},
        "trained_at": 1_795_000_000_000_000,
        "data_from": 1_700_000_000_000_000,
        "data_until": 1_794_000_000_000_000,
    }
    return save_bundle(folder, **{**parts, **changes})


@pytest.fixture(scope="session")
def saved(rung, market, tmp_path_factory) -> Path:
    """Folder of a bundle of each rung; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("saved") / rung.name
    save(folder, rung, market)
    return folder


@pytest.fixture(scope="session")
def boosted(ladder, market, tmp_path_factory) -> Path:
    """Folder of a LightGBM bundle."""
    folder = tmp_path_factory.mktemp("boosted") / "bundle"
    save(folder, ladder.rungs["lightgbm"], market)
    return folder


@pytest.fixture(scope="session")
def linear(ladder, market, tmp_path_factory) -> Path:
    """Folder of a logistic bundle, quick to check in a child process."""
    folder = tmp_path_factory.mktemp("linear") / "bundle"
    save(folder, ladder.rungs["logistic"], market)
    return folder
