"""A service over a real store and a real small model."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from features.agreement import Agreement
from features.catalogue import catalogue
from features.catalogue.assemble import points_features
from features.ledger import Ledger
from features.offline import evaluate
from features.relations import build
from models.background import fit_background
from models.bundle import save_bundle
from models.bundle_cache import BundleCache
from models.calibration import Platt, fit_platt
from models.encoding import Encoding
from models.ladder import FittedRung, cross_fit
from models.rungs import ladder_rungs
from models.uncertainty import fit_band
from models.value import fit_value
from serving.app import create_app
from serving.settings import Settings
from serving.wire import rfc3339

KEY = "a-key-for-the-tests-only"
DAY = 86_400_000_000
NOW = 1_795_000_000_000_000
"""November 2026, in microseconds: what the clock of the service says."""

_TYPES = ("page_view", "pricing_view", "demo_request", "content_download", "email_click", "call", "meeting")
_FAST = {"learning_rate": 0.2, "min_data_in_leaf": 10, "num_threads": 1}


class Clock:
    """A clock that a test can set; it moves by a millisecond each time it is read."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        self.now += 1_000
        return self.now


@dataclass
class Service:
    """A running service: its client, its clock, and its files."""

    client: TestClient
    clock: Clock
    settings: Settings

    def post(self, path: str, body: object, *, status: int = 200, language: str = "en") -> Any:
        answer = self.client.post(path, json=body, headers=_headers(language))
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str, *, status: int = 200, language: str = "en") -> Any:
        answer = self.client.get(path, headers=_headers(language))
        assert answer.status_code == status, answer.text
        return answer.json()

    def score(self, account_id: str, *, status: int = 200, query: str = "", **body: object) -> Any:
        return self.post(f"/v1/scores{query}", {"accountId": account_id, **body}, status=status)


def _headers(language: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEY}", "accept-language": language}


def touch(number: int, account: str, at: int, **columns: object) -> dict[str, object]:
    """Return a touchpoint as a client sends it."""
    row: dict[str, object] = {
        "source": "web",
        "eventId": f"{number:06d}",
        "occurredAt": rfc3339(at),
        "accountId": account,
        "touchType": "page_view",
        "channel": "Organic Search",
    }
    return row | columns


def market(accounts: int = 60, touches: int = 12, seed: int = 5) -> dict[str, list[dict[str, object]]]:
    """Return the rows of a small market, by path: accounts with facts, stages, and touches over 200 days."""
    draw = random.Random(seed)
    rows: dict[str, list[dict[str, object]]] = {"accounts": [], "stage-changes": [], "touchpoints": []}
    for number in range(accounts):
        account, start = f"a-{number:03d}", NOW - draw.randint(120, 200) * DAY
        rows["accounts"].append(
            {
                "accountId": account,
                "name": f"Company {number}",
                "createdAt": rfc3339(start),
                "attributes": {"industry": draw.choice(["software", "retail"]), "employees": 7 * number},
                "occurredAt": rfc3339(start),
            }
        )
        for step, stage in enumerate(("mql", "sql")[: number % 3]):
            entered = rfc3339(start + (step + 1) * 20 * DAY)
            change = {"changeId": f"{account}-{stage}", "accountId": account, "stage": stage, "occurredAt": entered}
            rows["stage-changes"].append({**change, "setBy": "rule"})
        for index in range(touches):
            at = start + draw.randint(0, (NOW - start) // DAY - 1) * DAY + draw.randint(0, DAY)
            kind = draw.choice(_TYPES)
            rows["touchpoints"].append(
                touch(number * touches + index, account, at, touchType=kind, contactId=f"c-{number}-{index % 3}")
            )
    return rows


def fill(service: Service, rows: dict[str, list[dict[str, object]]]) -> None:
    """Send the rows of a market as a backfill."""
    for path, batch in rows.items():
        name = {"stage-changes": "stageChanges"}.get(path, path)
        taken = service.post(f"/v1/{path}", {name: batch, "backfill": True})
        assert taken["rejected"] == [], taken["rejected"][:3]


def train(store: Path, folder: Path, metrics: dict[str, Any] | None = None) -> None:
    """Train a small boosted model on a store and save it as two bundles that differ in their calibration.

    What decides is the number of touches, and chance.
    """
    agreement = Agreement.load(None)
    declared = catalogue(agreement)
    with Ledger.open(str(store)) as ledger:
        relations = build(ledger.tables(), agreement)
    ids = [account for account in relations.account_ids for _ in range(5)]
    moments = np.array([NOW - (10 + 20 * (row % 5)) * DAY for row in range(len(ids))], dtype=np.int64)
    table = evaluate(relations, ids, moments, declared)
    draw = np.random.default_rng(1)
    busy = table.column("touches_90d").to_numpy()
    labels = (draw.random(len(ids)) < 1 / (1 + np.exp(-(busy - np.median(busy)) / 2))).astype(float)
    encoding = Encoding.fit(table, declared.features)
    X = encoding.matrix(table)
    rung = ladder_rungs(encoding, "new_stage", points_features(agreement), _FAST)[-1]
    fit = cross_fit(rung, X, labels, ids, folds=2, seed=1)
    line = fit_platt(fit.margins, labels)
    band = fit_band(line.a, line.b, fit.margins, labels, ids)
    fitted = FittedRung(rung.name, fit, line, 0.5, 0.0, 0.0)
    amounts = np.where(labels > 0, 1000.0 * (1 + np.arange(len(ids)) % 7), np.nan)
    background = fit_background(fitted, X, labels, ids, moments, encoding, declared.features)
    for number in (1, 2):
        save_bundle(
            folder / f"bundle-{number}",
            goal=agreement.goal("won_90d"),
            scorer=fitted.scorer,
            calibration=Platt(number * line.a, line.b, band=band),
            encoding=encoding,
            background=background,
            catalogue=declared,
            metrics=metrics or {},
            value=fit_value(X, amounts, ids, encoding, declared.features, currency="EUR", seed=1),
            trained_at=NOW - 10 * DAY,
            data_from=NOW - 200 * DAY,
            data_until=NOW - 10 * DAY,
        )


@contextmanager
def serving(folder: Path, **changes: Any) -> Iterator[Service]:
    """Run the service over the files of a folder."""
    settings = Settings(
        store=str(folder / "market.db"), cache=folder / "cache", api_key=KEY, watch_seconds=0.05, **changes
    )
    clock = Clock()
    with TestClient(create_app(settings, clock=clock), raise_server_exceptions=True) as client:
        yield Service(client, clock, settings)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Service]:
    """A service without rows and without a model."""
    with serving(tmp_path) as service:
        yield service


@dataclass(frozen=True)
class Models:
    """Two models, in a cache that has checked them: `promote` puts one in front of a service."""

    cache: Path
    digests: tuple[str, str]

    def copy(self, folder: Path) -> BundleCache:
        """Return the cache of a service, a copy of ours when it has none yet."""
        if not self.folder(folder, 1).exists():
            shutil.copytree(self.cache, folder / "cache", dirs_exist_ok=True)
        return BundleCache(folder / "cache")

    def promote(self, folder: Path, number: int, version: str) -> None:
        """Make model 1 or 2 the current one of a service, under a version."""
        self.copy(folder).switch("won_90d", self.digests[number - 1], version)

    def point(self, folder: Path, number: int, version: str) -> None:
        """Do the same without looking at the model, as when it was damaged afterwards."""
        pointer = {"goal": "won_90d", "digest": self.digests[number - 1], "version": version}
        fresh = folder / "cache" / "pointer"
        fresh.write_text(json.dumps(pointer))
        fresh.replace(folder / "cache" / "CURRENT.won_90d")

    def folder(self, folder: Path, number: int) -> Path:
        """Return where the cache of a service holds a model."""
        return folder / "cache" / "bundles" / self.digests[number - 1]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Return two models, trained on the small market."""
    folder = tmp_path_factory.mktemp("trained")
    with serving(folder) as service:
        fill(service, market())
    train(folder / "market.db", folder)
    cache = BundleCache(folder / "checked")
    return Models(folder / "checked", (cache.put(folder / "bundle-1"), cache.put(folder / "bundle-2")))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Iterator[Service]:
    """A service over the small market, with a model; shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("filled")
    models.promote(folder, 1, "7.0")
    with serving(folder) as service:
        fill(service, market())
        yield service
