"""A service over a real store and a real small model."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from features.agreement import Agreement
from features.catalogue import catalogue
from features.ledger import Ledger
from features.offline import evaluate
from features.relations import build
from models.background import fit_background
from models.bundle import BundleCache, save_bundle
from models.calibration import fit_platt
from models.encoding import Encoding
from models.ladder import FittedRung, cross_fit
from models.rungs import ladder_rungs
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

    def post(self, path: str, body: object, *, status: int = 200, **headers: str) -> Any:
        answer = self.client.post(path, json=body, headers={"authorization": f"Bearer {KEY}", **headers})
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str, *, status: int = 200, **headers: str) -> Any:
        answer = self.client.get(path, headers={"authorization": f"Bearer {KEY}", **headers})
        assert answer.status_code == status, answer.text
        return answer.json()

    def score(self, account_id: str, *, status: int = 200, query: str = "", **body: object) -> Any:
        return self.post(f"/v1/scores{query}", {"accountId": account_id, **body}, status=status)


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
        facts = {"industry": draw.choice(["software", "retail"]), "country": draw.choice(["NL", "CN"]), "employees": 7 * number}
        rows["accounts"].append(
            {"accountId": account, "name": f"Company {number}", "createdAt": rfc3339(start), "attributes": facts, "occurredAt": rfc3339(start)}
        )  # fmt: skip
        for step, stage in enumerate(("mql", "sql")[: number % 3]):
            at = rfc3339(start + (step + 1) * 20 * DAY)
            rows["stage-changes"].append(
                {"changeId": f"{account}-{stage}", "accountId": account, "stage": stage, "occurredAt": at, "setBy": "rule"}
            )
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


def make_bundle(store: Path, folder: Path, *, seed: int = 1, goal: str = "won_90d", trained_at: int = NOW - 10 * DAY) -> str:
    """Train a small boosted model on a store and save it; what decides is the number of touches, and chance."""
    agreement = Agreement.load(None)
    declared = catalogue(agreement)
    with Ledger.open(str(store)) as ledger:
        relations = build(ledger.tables(), agreement)
    ids = [account for account in relations.account_ids for _ in range(5)]
    moments = np.array([NOW - (10 + 20 * (row % 5)) * DAY for row in range(len(ids))], dtype=np.int64)
    table = evaluate(relations, ids, moments, declared)
    draw = np.random.default_rng(seed)
    busy = table.column("touches_90d").to_numpy()
    labels = (draw.random(len(ids)) < 1 / (1 + np.exp(-(busy - np.median(busy)) / 2))).astype(float)
    encoding = Encoding.fit(table, declared.features)
    X = encoding.matrix(table)
    rung = ladder_rungs(encoding, "new_stage", _FAST)[-1]
    fit = cross_fit(rung, X, labels, ids, seed=seed)
    fitted = FittedRung(rung.name, fit, fit_platt(fit.margins, labels), 0.5, 0.0, 0.0)
    return save_bundle(
        folder,
        goal=goal,
        scorer=fitted.scorer,
        calibration=fitted.calibration,
        encoding=encoding,
        background=fit_background(fitted, X, labels, ids, moments, encoding, declared.features),
        catalogue=declared,
        metrics={},
        trained_at=trained_at,
        data_from=NOW - 200 * DAY,
        data_until=trained_at,
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


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Return two trained bundles by number, over the small market."""
    folder = tmp_path_factory.mktemp("trained")
    with serving(folder) as service:
        fill(service, market())
    for number in (1, 2):
        make_bundle(folder / "market.db", folder / f"bundle-{number}", seed=number)
    return lambda number: folder / f"bundle-{number}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, bundles: Callable[[int], Path]) -> Iterator[Service]:
    """A service over the small market, with a model; shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("filled")
    promote(folder, bundles(1), "7.0")
    with serving(folder) as service:
        fill(service, market())
        yield service


def promote(folder: Path, bundle: Path, version: str, goal: str = "won_90d") -> None:
    """Make a bundle the current one of its goal in the cache of a service."""
    cache = BundleCache(folder / "cache")
    cache.switch(goal, cache.put(bundle), version)
