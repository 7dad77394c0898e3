from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import StoreError, UnknownError
from models.bundle import load_bundle
from models.bundle_cache import BundleCache, Current
from models.rungs import LIGHTGBM
from training.config import recorded_config
from training.record import record_of
from training.refresh import main, refresh
from training.registry import CHAMPION, Registry
from training.run_record import RunRecord

ROOT = Path(__file__).resolve().parents[2]
DEAD = "http://127.0.0.1:9"


def current(cache: BundleCache) -> Current:
    found = cache.current("won_90d")
    assert found is not None
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def registry(empty_registry, tmp_path_factory):
    return empty_registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def published(registry, trained, settings, bundle):
    """Two versions of one goal, published and promoted one after the other."""
    whole, digest = record_of(trained, settings[1].flat()), load_bundle(bundle).digest
    found = []
    for record in (RunRecord("won_90d", {}, {}), whole):
        found.append(registry.publish(record, bundle, digest))
        registry.promote(found[-1], {"smarketing.approved_by": "a person"})
    return found


@pytest.fixture
def tracked(registry):
    """MLflow itself, looking at the registry."""
    import mlflow

    mlflow.set_tracking_uri(registry.uri)
    yield
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def test_the_registry_lies_beside_the_store(registry):
    assert registry.uri.endswith("/mlflow.db")
    assert str(registry.artifacts).endswith("/mlartifacts")


def test_the_registry_of_one_store_is_not_that_of_the_next(registry, published, monkeypatch, tmp_path):
    assert Registry.beside(str(tmp_path / "market.db")).uri == f"sqlite:///{tmp_path}/mlflow.db"


def test_the_environment_names_another_registry(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://registry:5000")
    assert Registry.beside("market.db") == Registry("http://registry:5000")


def held(registry) -> dict[int, tuple[str, ...]]:
    """Return the aliases of every version."""
    return {one.registered.version: one.aliases for one in registry.versions("won_90d")}


def test_the_version_promoted_last_is_the_champion_and_the_one_before_is_called_previous(registry, published):
    assert registry.champions() == [published[1]]
    assert registry.champion("won_90d") == published[1]
    assert held(registry) == {2: ("champion",), 1: ("previous",)}
    assert registry.versions("won_90d")[0].tags["smarketing.approved_by"] == "a person"


def test_a_version_is_found_by_its_number_or_its_alias(registry, published):
    for name, expected in (("1", 0), ("1.0", 0), ("previous", 0), ("champion", 1)):
        assert registry.find("won_90d", name).registered == published[expected]
    with pytest.raises(UnknownError, match=r"2\.0 champion, 1\.0 previous"):
        registry.find("won_90d", "challenger")


def test_a_rollback_swaps_the_champion_with_the_one_before_and_a_second_takes_it_back(registry, published):
    assert registry.rollback("won_90d", {}) == published[0]
    assert held(registry) == {2: ("previous",), 1: ("champion",)}
    registry.rollback("won_90d", {})
    assert held(registry) == {2: ("champion",), 1: ("previous",)}


@pytest.mark.parametrize("moving", ["promote", "rollback"])
def test_aliases_that_move_half_way_go_back(registry, published, monkeypatch, moving):
    from mlflow import MlflowClient

    setting = MlflowClient.set_registered_model_alias

    def failing(self, name, alias, version):
        if alias == CHAMPION:
            raise OSError("the disk is full")
        setting(self, name, alias, version)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", failing)
    with pytest.raises(StoreError, match="the disk is full"):
        registry.promote(published[0], {}) if moving == "promote" else registry.rollback("won_90d", {})
    assert held(registry) == {2: ("champion",), 1: ("previous",)}


def test_the_configuration_of_a_version_is_on_record(registry, published, settings):
    assert recorded_config(None, registry.config_of(published[1]), "won_90d") == replace(settings[1], lightgbm={})


def test_runs_that_register_nothing_are_parts_of_the_first(registry, published):
    from mlflow import MlflowClient

    first, second = registry.record([RunRecord("won_90d", {}, {"loss": 1.0}), RunRecord("won_90d", {"a": 1}, {})])
    assert MlflowClient(registry.uri).get_run(second).data.tags["mlflow.parentRunId"] == first
    assert len(registry.versions("won_90d")) == 2


def test_a_run_records_its_parameters_data_measures_and_pictures(registry, published, trained):
    from mlflow import MlflowClient

    client = MlflowClient(registry.uri)
    run = client.get_run(published[1].run_id)
    assert run.data.params["data.sha256"] == trained.report.digest
    assert {"data.from", "data.until", "seed", "catalogue.sha256"} <= set(run.data.params)
    assert run.data.metrics["test.auc"] == trained.report.champion.test["auc"]
    # What the rung was fitted with: the run's own where it has one, else the default.
    assert run.data.params["lightgbm.learning_rate"] == "0.3"
    assert run.data.params["lightgbm.num_leaves"] == str(LIGHTGBM["num_leaves"])
    boosted = trained.report.rungs[-1]
    assert run.data.metrics["lightgbm.trees"] == boosted.trees > 0
    assert run.data.metrics["trees"] == trained.report.champion.trees
    (logged,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert {one.key: one.value for one in logged.metrics or ()} == run.data.metrics
    assert logged.params == run.data.params
    assert {one.path for one in client.list_artifacts(run.info.run_id)} >= {
        "report.json",
        "report.html",
        "config.json",
        "reliability.png",
    }
    assert run.info.status == "FINISHED"


def test_a_publication_that_fails_ends_its_run_as_failed(registry, published, bundle):
    from mlflow import MlflowClient

    with pytest.raises(StoreError):
        registry.publish(RunRecord("won_90d", {}, {"a//b": 1.0}), bundle, "0" * 64)
    client = MlflowClient(registry.uri)
    experiment = client.get_experiment_by_name("smarketing/won_90d")
    assert experiment is not None
    states = [run.info.status for run in client.search_runs([experiment.experiment_id])]
    assert states.count("FAILED") == 1
    assert registry.champions() == [published[1]]


def test_the_bundle_in_the_registry_is_the_bundle_byte_for_byte(registry, published, bundle, tmp_path):
    assert files(registry.fetch(published[1], tmp_path / "fetched")) == files(bundle)


def test_the_registered_model_scores_as_the_bundle_does(tracked, published, bundle, trained):
    import mlflow

    model = mlflow.pyfunc.load_model(f"models:/{published[1].model}@champion")
    loaded, table = load_bundle(bundle), trained.dataset.table.slice(0, 50)
    expected = loaded.probability(loaded.encoding.matrix(table))
    assert np.asarray(model.predict(table.to_pandas())) == pytest.approx(expected, abs=1e-12)


def test_the_registered_model_imports_none_of_our_packages_and_pins_what_it_needs(tracked, published):
    from mlflow.artifacts import download_artifacts

    folder = Path(download_artifacts(f"models:/{published[1].model}/2"))
    assert not any(
        name in (folder / "scorer.py").read_text() for name in ("from features", "from models", "from training")
    )
    assert all("==" in line for line in (folder / "requirements.txt").read_text().split())


def test_the_champion_reaches_the_cache_once(registry, published, bundle, tmp_path):
    cache = BundleCache(tmp_path / "cache")
    assert refresh(registry, cache).switched == (published[1],)
    assert refresh(registry, cache).switched == ()
    assert current(cache).version == "2.0"
    assert files(current(cache).folder) == files(bundle)


@pytest.mark.parametrize("damaged", ["bundles/{digest}/calibration.json", "CURRENT.won_90d"])
def test_a_damaged_cache_is_mended_from_the_registry(registry, published, bundle, tmp_path, damaged):
    cache = BundleCache(tmp_path / "cache")
    refresh(registry, cache)
    held = current(cache)
    assert cache.holds(held)
    (tmp_path / "cache" / damaged.format(digest=held.digest)).write_bytes(b"{}")
    done = refresh(registry, cache)
    assert (done.switched, done.refused) == ((published[1],), ())
    assert cache.holds(current(cache))
    assert cache.load(current(cache)).digest == published[1].digest
    assert files(current(cache).folder) == files(bundle)


def test_a_recalibrated_champion_is_not_replaced_by_its_first_calibration(registry, published, bundle, tmp_path):
    cache = BundleCache(tmp_path / "cache")
    cache.switch("won_90d", cache.put(bundle), "2.3")
    assert refresh(registry, cache).switched == ()


def test_a_damaged_champion_is_refused_and_the_cache_keeps_what_it_had(registry, published, bundle, tmp_path):
    cache = BundleCache(tmp_path / "cache")
    cache.switch("won_90d", cache.put(bundle), "1.0")
    (current(cache).folder / "calibration.json").write_bytes(b"{}")
    cache.pointer("won_90d").write_text(json.dumps({"goal": "won_90d", "digest": "0" * 64, "version": "1.0"}))
    stored = sorted(Path(registry.artifacts.removeprefix("file://")).rglob("calibration.json"))
    kept = stored[0].read_bytes()
    try:
        for path in stored:
            path.write_bytes(b"{}")
        done = refresh(registry, cache)
    finally:
        for path in stored:
            path.write_bytes(kept)
    assert "calibration.json" in done.refused[0]
    assert current(cache).version == "1.0"


def test_a_dead_registry_is_noticed_in_seconds_with_clear_words():
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9 did not answer") as caught:
        Registry(DEAD).check()
    with pytest.raises(StoreError, match="did not answer"):
        Registry(DEAD).champions()
    assert time.monotonic() - began < 20
    assert "MLFLOW_TRACKING_URI" in caught.value.hint


def test_refreshing_from_a_dead_registry_fails_once_and_leaves_the_cache_alone(bundle, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD)
    cache = BundleCache(tmp_path)
    cache.switch("won_90d", cache.put(bundle), "1.0")
    assert main(["--cache", str(tmp_path), "--once"]) == 1
    assert "did not answer" in caplog.text
    assert current(BundleCache(tmp_path)).version == "1.0"


def test_the_refresher_ends_at_once_while_it_imports_mlflow(registry, published, tmp_path):
    folder = Path(registry.uri.removeprefix("sqlite:///")).parent
    command = [sys.executable, "-m", "training.refresh", "--store", str(folder / "market.db"), "--cache", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        # MLflow brings pandas early in its import, and goes on for seconds.
        while "/pandas/" not in maps.read_text():
            assert process.poll() is None
            time.sleep(0.01)
        told = time.monotonic()
        process.terminate()
        assert process.wait(20) == 0
        assert time.monotonic() - told < 2
    assert BundleCache(tmp_path).current("won_90d") is None


def test_refreshing_without_any_registry_makes_none(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["--store", str(tmp_path / "market.db"), "--cache", str(tmp_path / "cache"), "--once"]) == 0
    assert not (tmp_path / "mlflow.db").exists()


def test_an_address_with_a_password_is_not_shown(monkeypatch):
    with pytest.raises(StoreError) as caught:
        Registry("http://user:secret@127.0.0.1:9").check()
    assert "secret" not in str(caught.value)
