"""Promotion goes through the gates, in the registry and in the cache together; a refusal leaves both as they were."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from features.errors import StoreError, UnknownError
from models.bundle import load_bundle
from models.bundle_cache import BundleCache
from tests.training.faulty import FAULTS, Partial, bent
from training.gates import GATES, judge
from training.holdout import holdout_of
from training.promotion import bring, promote, rollback, standing
from training.record import record_of
from training.registry import CHAMPION, Registered, Registry

GOAL = "won_90d"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Registry.beside(str(tmp_path_factory.mktemp("promotion") / "market.db"))


@pytest.fixture(scope="module")
def sound(bundle):
    return load_bundle(bundle)


@pytest.fixture(scope="module")
def holdout(trained, sound):
    return holdout_of(trained.dataset, [sound])


@pytest.fixture(scope="module")
def versions(registry, trained, settings, bundle, sound, tmp_path_factory) -> list[Registered]:
    """Three versions, published in this order."""
    record = replace(record_of(trained, settings[1].flat()), pages={}, pictures={})
    return [registry.publish(record, bundle, sound.digest) for _ in range(3)]


@dataclass(frozen=True)
class Scene:
    """A registry and a cache that agree on a champion, and two challengers."""

    registry: Registry
    cache: BundleCache
    versions: list[Registered]

    @property
    def answering(self) -> str:
        current = self.cache.current(GOAL)
        assert current is not None
        return current.version

    def gates(self, version: Registered, into: Path) -> dict[str, str]:
        """Return the outcome of each gate as the run of the version has it."""
        from mlflow import MlflowClient

        path = MlflowClient(self.registry.uri).download_artifacts(version.run_id, "gates.json", str(into))
        return {one["name"]: one["outcome"] for one in json.loads(Path(path).read_text())["gates"]}

    def is_answered_by(self, version: Registered) -> bool:
        return self.registry.champion(GOAL) == version and self.answering == version.shown


@pytest.fixture
def scene(registry, versions, sound, holdout, tmp_path) -> Scene:
    cache = BundleCache(tmp_path / "cache")
    bring(registry, cache, versions[0])
    assert promote(registry, cache, versions[0], judge(sound, None, holdout))
    return Scene(registry, cache, versions)


def test_a_promotion_switches_the_registry_and_the_cache_and_says_who_approved(scene, sound, holdout):
    assert promote(scene.registry, scene.cache, scene.versions[1], judge(sound, sound, holdout))
    assert scene.is_answered_by(scene.versions[1])
    tags = scene.registry.find(GOAL, CHAMPION).tags
    assert tags["smarketing.approved_by"]
    assert tags["smarketing.approved_at"].endswith("Z")


@pytest.mark.parametrize("refusing", GATES)
def test_each_gate_refuses_its_fault_and_the_champion_stays(scene, sound, holdout, tmp_path, refusing):
    champion = replace(sound, scorer=Partial(sound, "lead", 2.0)) if refusing == "slices" else sound
    verdict = judge(FAULTS[refusing](sound), champion, holdout)
    assert refusing in verdict.refused
    assert not promote(scene.registry, scene.cache, scene.versions[2], verdict)
    assert scene.is_answered_by(scene.versions[0])
    assert scene.gates(scene.versions[2], tmp_path)[refusing] == "refused"


def test_a_rollback_switches_the_registry_and_the_cache(scene, sound, holdout):
    promote(scene.registry, scene.cache, scene.versions[1], judge(sound, sound, holdout))
    assert rollback(scene.registry, scene.cache, GOAL) == scene.versions[0]
    assert scene.is_answered_by(scene.versions[0])


def test_without_a_previous_champion_there_is_nothing_to_roll_back_to(registry, versions, tmp_path):
    with pytest.raises(UnknownError, match="no version 'previous'"):
        rollback(registry, BundleCache(tmp_path), "sql_30d")


def test_a_champion_that_can_not_be_read_is_none(registry, versions, tmp_path):
    assert standing(registry, BundleCache(tmp_path), replace(versions[0], digest="0" * 64)) is None


def test_a_registry_that_refuses_half_way_leaves_the_champion_alone(scene, sound, holdout, monkeypatch):
    from mlflow import MlflowClient

    def failing(self, name, alias, version):
        raise OSError("the disk is full")

    verdict = judge(sound, sound, holdout)
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", failing)
    with pytest.raises(StoreError, match="the disk is full"):
        promote(scene.registry, scene.cache, scene.versions[1], verdict)
    monkeypatch.undo()
    assert scene.is_answered_by(scene.versions[0])


def test_a_bent_model_is_refused_as_a_first_version_too(sound, holdout):
    assert judge(bent(sound, slope=1.6), None, holdout).refused == ("calibration",)
