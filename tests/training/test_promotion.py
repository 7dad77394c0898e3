"""Promotion goes through the gates, in the registry and in the cache together; a refusal leaves both as they were."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import StoreError, UnknownError
from models.bundle import load_bundle
from models.bundle_cache import BundleCache
from tests.training.faulty import FAULTS, Partial, bent
from training.delivery import Delivered
from training.gates import GATES, judge
from training.holdout import holdout_of
from training.promotion import APPROVAL, answer_with, approval, bring, promote, rollback, standing
from training.registry import Registered, Registry
from training.run_record import RunRecord

GOAL = "won_90d"


@pytest.fixture(scope="module")
def registry(empty_registry, tmp_path_factory):
    return empty_registry(tmp_path_factory.mktemp("promotion"))


@pytest.fixture(scope="module")
def sound(bundle):
    return load_bundle(bundle)


@pytest.fixture(scope="module")
def config(settings):
    return settings[1]


@pytest.fixture(scope="module")
def holdout(trained, sound):
    rows = holdout_of(trained.dataset, [sound])
    return replace(rows, origin=np.array(rows.table.column("new_stage").to_pylist()))


@pytest.fixture(scope="module")
def versions(registry, bundle, sound) -> list[Registered]:
    """Three versions, published in this order."""
    return [registry.publish(RunRecord(GOAL, {}, {}), bundle, sound.digest) for _ in range(3)]


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

    def approvals(self, version: Registered) -> dict[str, str]:
        tags = self.registry.find(GOAL, str(version.version)).tags
        return {name: told for name, told in tags.items() if name.startswith(APPROVAL)}

    def is_answered_by(self, version: Registered) -> bool:
        return self.registry.champion(GOAL) == version and self.answering == version.shown


@pytest.fixture
def scene(registry, versions, sound, holdout, config, tmp_path) -> Scene:
    cache = BundleCache(tmp_path / "cache")
    bring(registry, cache, versions[0])
    assert promote(registry, cache, versions[0], judge(sound, None, holdout, config))
    return Scene(registry, cache, versions)


def test_a_promotion_switches_the_registry_and_the_cache_and_says_who_approved(scene, sound, holdout, config):
    assert promote(scene.registry, scene.cache, scene.versions[1], judge(sound, sound, holdout, config))
    assert scene.is_answered_by(scene.versions[1])
    approvals = scene.approvals(scene.versions[1])
    assert any(name.endswith("Z") and told.endswith(": the gates passed") for name, told in approvals.items())


@pytest.mark.parametrize("refusing", GATES)
def test_each_gate_refuses_its_fault_and_the_champion_stays(scene, sound, holdout, config, tmp_path, refusing):
    champion = replace(sound, scorer=Partial(sound, "lead", 2.0)) if refusing == "slices" else sound
    verdict = judge(FAULTS[refusing](sound), champion, holdout, config)
    assert refusing in verdict.refused
    assert not promote(scene.registry, scene.cache, scene.versions[2], verdict)
    assert scene.is_answered_by(scene.versions[0])
    assert scene.gates(scene.versions[2], tmp_path)[refusing] == "refused"


def test_a_rollback_switches_the_registry_and_the_cache(scene, sound, holdout, config):
    promote(scene.registry, scene.cache, scene.versions[1], judge(sound, sound, holdout, config))
    before = scene.approvals(scene.versions[0])
    assert rollback(scene.registry, scene.cache, GOAL) == scene.versions[0]
    assert scene.is_answered_by(scene.versions[0])
    after = scene.approvals(scene.versions[0])
    assert before.items() < after.items()
    assert [told.partition(": ")[2] for name, told in after.items() if name not in before] == ["a rollback"]


def test_without_a_previous_champion_there_is_nothing_to_roll_back_to(registry, versions, tmp_path):
    with pytest.raises(UnknownError, match="no version 'previous'"):
        rollback(registry, BundleCache(tmp_path), "sql_30d")


def test_a_champion_that_can_not_be_read_is_none(registry, versions, tmp_path):
    assert standing(registry, BundleCache(tmp_path), replace(versions[0], digest="0" * 64)) is None


def test_a_registry_that_refuses_half_way_leaves_the_champion_alone(scene, sound, holdout, config, monkeypatch):
    from mlflow import MlflowClient

    def failing(self, name, alias, version):
        raise OSError("the disk is full")

    verdict = judge(sound, sound, holdout, config)
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", failing)
    with pytest.raises(StoreError, match="the disk is full"):
        promote(scene.registry, scene.cache, scene.versions[1], verdict)
    monkeypatch.undo()
    assert scene.is_answered_by(scene.versions[0])


def test_a_promotion_without_its_approval_on_record_does_not_stand(scene, sound, holdout, config, monkeypatch):
    from mlflow import MlflowClient

    def failing(self, name, version, key, value):
        raise OSError("the disk is full")

    before, verdict = scene.approvals(scene.versions[1]), judge(sound, sound, holdout, config)
    monkeypatch.setattr(MlflowClient, "set_model_version_tag", failing)
    with pytest.raises(StoreError, match="the disk is full"):
        promote(scene.registry, scene.cache, scene.versions[1], verdict)
    monkeypatch.undo()
    assert scene.is_answered_by(scene.versions[0])
    assert scene.approvals(scene.versions[1]) == before


def test_a_promotion_that_broke_off_at_the_cache_is_brought_to_its_end(scene, sound, holdout, config, tmp_path):
    scene.registry.promote(scene.versions[1], approval("the gates passed"))
    assert scene.answering == "1.0"
    answer_with(scene.registry, scene.cache, scene.versions[1])
    assert scene.is_answered_by(scene.versions[1])
    empty = BundleCache(tmp_path / "other")
    answer_with(scene.registry, empty, scene.versions[1])
    current = empty.current(GOAL)
    assert current is not None
    assert empty.load(current).digest == sound.digest


def test_a_later_calibration_of_the_champion_stays(scene, sound):
    scene.cache.switch(GOAL, sound.digest, "1.1")
    answer_with(scene.registry, scene.cache, scene.versions[0])
    assert scene.answering == "1.1"


def test_a_delivery_says_in_one_line_what_became_of_it(trained, versions, sound, holdout, config):
    verdict = judge(bent(sound, slope=1.6), None, holdout, config)
    challenger, refused = (Delivered(trained, versions[1], found, False).line() for found in (None, verdict))
    assert challenger.startswith("won_90d: version 2.0 (logistic, AUC 0.")
    assert challenger.endswith(" is the challenger.")
    assert refused.endswith(" is the challenger, refused by calibration.")


def test_a_bent_model_is_refused_as_a_first_version_too(sound, holdout, config):
    assert judge(bent(sound, slope=1.6), None, holdout, config).refused == ("calibration",)
