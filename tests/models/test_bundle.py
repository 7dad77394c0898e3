from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from features.errors import BundleError
from models.bundle import load_bundle, save_bundle, verify_in_child
from models.bundle_cache import BundleCache, Current
from models.bundle_files import digest_of, sha256, to_bytes
from models.encoding import Encoding
from models.value import fit_value
from tests.models.conftest import CATALOGUE, background_of, save


@pytest.fixture
def copy(boosted, tmp_path) -> Path:
    return Path(shutil.copytree(boosted, tmp_path / "copy"))


def _manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def _write_manifest(folder: Path, manifest: dict) -> None:
    """Write a manifest whose own digest fits, as someone who means harm would."""
    (folder / "manifest.json").write_bytes(to_bytes({**manifest, "digest": digest_of(manifest)}))


def _replace(folder: Path, name: str, content: bytes) -> None:
    """Change a file and its hash together, as a careless or malicious writer would."""
    (folder / name).write_bytes(content)
    manifest = _manifest(folder)
    manifest["files"][name] = {"sha256": sha256(content), "bytes": len(content)}
    _write_manifest(folder, manifest)


def test_a_bundle_scores_as_before_bit_for_bit(saved, rung, market):
    bundle = load_bundle(saved)
    expected = rung.calibration.logit(rung.scorer.margin(market.X))
    assert bundle.logit(market.X).tobytes() == expected.tobytes()
    assert bundle.probability(market.X).mean() == pytest.approx(market.y.mean(), abs=0.03)
    assert (bundle.kind, bundle.rung, bundle.goal) == (rung.scorer.kind, rung.name, "won_90d")


def test_everything_else_survives_too(boosted, ladder, market):
    bundle, rung = load_bundle(boosted), ladder.rungs["lightgbm"]
    background = background_of(rung, market)
    assert (bundle.encoding, bundle.calibration) == (market.encoding, rung.calibration)
    assert np.array_equal(bundle.background.golden_rows, background.golden_rows, equal_nan=True)
    assert bundle.background.margins.tobytes() == background.margins.tobytes()
    assert bundle.background.drift == background.drift
    assert (bundle.catalogue_digest, bundle.catalogue[0]["name"]) == (CATALOGUE.digest, "new_stage")
    assert bundle.metrics == {"train": {"log_loss": rung.log_loss}}
    assert bundle.outcomes == len(set(market.accounts[market.y > 0]))
    assert bundle.calibration.band is not None
    assert bundle.value is None
    assert (bundle.trained_at, bundle.data_until) == (1_795_000_000_000_000, 1_794_000_000_000_000)


def test_the_value_of_a_win_survives_too(ladder, market, tmp_path):
    amount = np.where(market.y > 0, 1000.0 + market.X[:, 2], np.nan)
    value = fit_value(market.X, amount, market.accounts, market.encoding, CATALOGUE.features, currency="EUR", seed=0)
    assert value is not None
    save(tmp_path / "new", ladder.rungs["logistic"], market, value=value)
    kept = load_bundle(tmp_path / "new").value
    assert kept is not None
    assert kept.expected(market.X, market.y) == value.expected(market.X, market.y)


def test_a_bundle_of_an_older_format_is_refused_with_what_to_do(copy):
    _write_manifest(copy, {**_manifest(copy), "format_version": 1})
    with pytest.raises(BundleError, match=r"must be 3\. Got 1") as refused:
        load_bundle(copy)
    assert "smarketing train" in refused.value.hint


def test_the_golden_batch_passes_here_and_in_a_child(saved):
    load_bundle(saved).check_golden()
    verify_in_child(saved)


def test_the_same_content_has_the_same_digest(boosted, ladder, market, tmp_path):
    assert save(tmp_path / "again", ladder.rungs["lightgbm"], market) == load_bundle(boosted).digest
    assert save(tmp_path / "other", ladder.rungs["lightgbm"], market, trained_at=1) != load_bundle(boosted).digest


@pytest.mark.parametrize(
    "name", ["manifest.json", "model.txt", "calibration.json", "catalogue.json", "background.json", "value.json"]
)
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove", "link", "folder", "append"])
def test_damage_to_any_file_is_refused(copy, name, damage):
    path = copy / name
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flip":
        content[len(content) // 2] ^= 0x04
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[:-7])
    elif damage == "append":
        path.write_bytes(content + b"x")
    elif damage == "empty":
        path.touch()
    elif damage == "link":
        (copy / "elsewhere").write_bytes(content)
        path.symlink_to(copy / "elsewhere")
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(BundleError):
        load_bundle(copy)


def test_every_flipped_bit_of_the_manifest_is_refused(copy):
    path = copy / "manifest.json"
    content = path.read_bytes()
    whole = json.loads(content)
    for position in range(0, len(content), 37):
        damaged = bytearray(content)
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        try:
            same = json.loads(damaged) == whole
        except ValueError:
            same = False
        if not same:
            with pytest.raises(BundleError):
                load_bundle(copy)


@pytest.mark.parametrize("name", ["../model.txt", "/etc/passwd", "extra.bin", "sub/model.txt", ".", "model.txt\0"])
def test_a_manifest_that_names_another_file_is_refused(copy, name):
    manifest = _manifest(copy)
    for files in ({**manifest["files"], name: manifest["files"]["model.txt"]}, {name: manifest["files"]["model.txt"]}):
        _write_manifest(copy, {**manifest, "files": files})
        with pytest.raises(BundleError, match="must list"):
            load_bundle(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 1},
        {"kind": "pickle"},
        {"kind": "logistic"},
        {"features": ["new_stage"]},
        {"trained_at": None},
        {"encoding": []},
        {"files": None},
        {"metrics": float("nan")},
    ],
)
def test_a_manifest_that_can_not_be_is_refused(copy, change):
    manifest = {**_manifest(copy), **change}
    manifest["digest"] = sha256(
        json.dumps({k: v for k, v in manifest.items() if k != "digest"}, sort_keys=True).encode()
    )
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError):
        load_bundle(copy)


@pytest.mark.parametrize("content", [b"[]", b"null", b"3", b"[" * 100_000, b'{"format_version": 1}', b"\xff\xff"])
def test_a_manifest_of_another_shape_is_refused(copy, content):
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError):
        load_bundle(copy)


def test_a_wrong_feature_count_is_refused(copy, market, ladder, tmp_path):
    fewer = Encoding(market.encoding.names[:-1], market.encoding.dtypes[:-1], market.encoding.categories)
    manifest = _manifest(copy)
    _write_manifest(copy, {**manifest, "encoding": fewer.to_json(), "features": list(fewer.names)})
    with pytest.raises(BundleError, match="declares 6 features, but the model has 7"):
        load_bundle(copy)
    with pytest.raises(BundleError, match="declares 6 features, but the model has 7"):
        save(tmp_path / "new", ladder.rungs["lightgbm"], market, encoding=fewer)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["calibration.json", "background.json", "catalogue.json"])
@pytest.mark.parametrize("content", [b"{}", b"[]", b"null", b'{"a": NaN}'])
def test_a_part_of_another_shape_is_refused_although_its_hash_fits(copy, name, content):
    _replace(copy, name, content)
    with pytest.raises(BundleError):
        load_bundle(copy)


def test_a_folder_that_is_there_is_not_overwritten(boosted, ladder, market):
    before = load_bundle(boosted).digest
    with pytest.raises(BundleError, match="exists already"):
        save(boosted, ladder.rungs["logistic"], market)
    assert load_bundle(boosted).digest == before


def test_a_bundle_that_can_not_be_saved_leaves_nothing(ladder, market, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save(tmp_path / "bundle", ladder.rungs["logistic"], market, metrics={"auc": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_no_bundle_holds_code(saved):
    assert {path.suffix for path in saved.iterdir()} <= {".json", ".txt"}
    assert save_bundle.__module__ == "models.bundle"


def test_a_golden_batch_that_differs_is_refused_by_the_child(copy):
    background = json.loads((copy / "background.json").read_text())
    background["golden_margins"][3] += 1e-6
    _replace(copy, "background.json", to_bytes(background))
    with pytest.raises(BundleError, match="1 of 41 margins of the golden batch differ"):
        verify_in_child(copy)


def test_a_model_that_ends_the_process_is_refused_by_the_child(copy):
    """The text is cut inside its trees with a hash that fits; some LightGBM versions crash, some answer wrongly."""
    text = (copy / "model.txt").read_bytes()
    _replace(copy, "model.txt", text.replace(b"left_child=", b"left_child=999999 ", 1))
    with pytest.raises(BundleError):
        verify_in_child(copy)


def test_a_child_that_hangs_is_given_up(boosted):
    with pytest.raises(BundleError, match=r"more than 0\.01 seconds"):
        verify_in_child(boosted, timeout=0.01)


def _current(cache: BundleCache) -> Current:
    current = cache.current("won_90d")
    assert current is not None
    return current


def test_the_cache_holds_what_was_put_and_promoted(linear, tmp_path):
    cache = BundleCache(tmp_path / "cache")
    assert cache.current("won_90d") is None
    digest = cache.put(linear)
    assert cache.put(linear) == digest
    cache.switch("won_90d", digest, "7.0")
    current = _current(BundleCache(tmp_path / "cache"))
    assert (current.digest, current.version) == (digest, "7.0")
    assert cache.load(current).digest == digest


def test_a_start_does_not_verify_twice_but_still_hashes(linear, tmp_path):
    cache = BundleCache(tmp_path)
    digest = cache.put(linear)
    cache.switch("won_90d", digest, "1.0")
    current = _current(cache)
    cache.load(current, timeout=0.001)
    (tmp_path / "verified" / digest).unlink()
    with pytest.raises(BundleError, match="more than"):
        cache.load(current, timeout=0.001)
    model = current.folder / "model.json"
    model.write_bytes(model.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(BundleError, match="damaged"):
        cache.load(current)


def test_a_damaged_bundle_does_not_displace_the_current_one(linear, tmp_path):
    cache = BundleCache(tmp_path / "cache")
    digest = cache.put(linear)
    cache.switch("won_90d", digest, "1.0")
    copy = Path(shutil.copytree(linear, tmp_path / "copy"))
    (copy / "model.json").write_bytes(b"{}")
    with pytest.raises(BundleError):
        cache.put(copy)
    with pytest.raises(BundleError):
        cache.switch("won_90d", "0" * 64, "2.0")
    assert _current(cache).version == "1.0"
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["CURRENT.won_90d", "bundles", "verified"]


def test_putting_a_bundle_again_mends_a_damaged_copy(linear, tmp_path):
    cache = BundleCache(tmp_path)
    digest = cache.put(linear)
    (tmp_path / "bundles" / digest / "model.json").write_bytes(b"")
    cache.put(linear)
    cache.switch("won_90d", digest, "1.0")
    assert cache.load(_current(cache)).digest == digest


@pytest.mark.parametrize("goal", ["", "../x", "a/b", "a.b", "a\0"])
def test_a_goal_that_is_no_file_name_is_refused(goal, tmp_path):
    with pytest.raises(BundleError, match="letters, digits"):
        BundleCache(tmp_path).current(goal)


@pytest.mark.parametrize("pointer", ["", "{}", "[]", '{"digest": "../../x", "version": "1"}'])
def test_a_damaged_pointer_is_refused(pointer, tmp_path):
    (tmp_path / "CURRENT.won_90d").write_text(pointer)
    with pytest.raises(BundleError):
        BundleCache(tmp_path).current("won_90d")


def test_a_bundle_of_another_goal_is_not_promoted(linear, tmp_path):
    cache = BundleCache(tmp_path)
    with pytest.raises(BundleError, match="'won_90d', not 'sql_30d'"):
        cache.switch("sql_30d", cache.put(linear), "1.0")
