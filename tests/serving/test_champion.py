"""Models come and go while the service runs."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.conftest import Models, Service, fill, market, serving


def wait_for(what: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def version(service: Service, account: str = "a-001") -> str | None:
    model = service.score(account)["model"]
    return None if model is None else str(model["version"])


def test_a_model_is_taken_up_while_the_service_runs(tmp_path: Path, models: Models) -> None:
    with serving(tmp_path) as service:
        fill(service, market(accounts=3))
        assert version(service) is None
        models.promote(tmp_path, 1, "1.0")
        wait_for(lambda: version(service) == "1.0")
        assert service.score("a-001")["degraded"] is False
        service.get("/readyz")


def test_every_answer_under_a_swap_is_wholly_of_one_model(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=3))
        query, as_of = "?contributions=all", "2026-11-01T00:00:00Z"

        def answer() -> str:
            found = service.score("a-001", asOf=as_of, query=query)
            del found["requestId"]
            return json.dumps(found)

        seen: list[str] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                seen.append(answer())

        before = answer()
        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        wait_for(lambda: len(seen) > 10)
        models.promote(tmp_path, 2, "2.0")
        wait_for(lambda: version(service) == "2.0")
        after = answer()
        wait_for(lambda: seen.count(after) > 10)
        done.set()
        for asker in askers:
            asker.join()
    assert before != after
    assert set(seen) == {before, after}


def damage_bytes(folder: Path) -> None:
    (folder / "model.txt").write_bytes((folder / "model.txt").read_bytes().replace(b"1", b"2", 1))


def damage_length(folder: Path) -> None:
    (folder / "background.json").write_bytes((folder / "background.json").read_bytes()[:-100])


def damage_missing(folder: Path) -> None:
    (folder / "calibration.json").unlink()


@pytest.mark.parametrize("damage", [damage_bytes, damage_length, damage_missing])
def test_a_damaged_model_is_refused_and_the_last_good_one_answers(
    tmp_path: Path, models: Models, damage: Callable[[Path], None]
) -> None:
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        damage(models.folder(tmp_path, 2))
        models.point(tmp_path, 2, "2.0")
        wait_for(lambda: version(service) == "1.0" and service.score("a-001")["degraded"])
        answer = service.score("a-001")
        assert answer["degradedReasons"] == ["bundle_refused"]
        assert answer["probability"] is not None
        told = service.get("/version")["models"]
        assert [(model["version"], model["degradedReason"]) for model in told] == [("1.0", "bundle_refused")]
        shutil.copytree(models.cache / "bundles", tmp_path / "cache" / "bundles", dirs_exist_ok=True)
        models.promote(tmp_path, 2, "2.1")
        wait_for(lambda: version(service) == "2.1")
        assert service.score("a-001")["degraded"] is False


def test_a_damaged_pointer_is_refused(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        (tmp_path / "cache" / "CURRENT.won_90d").write_text("{")
        wait_for(lambda: bool(service.score("a-001")["degraded"]))
        assert version(service) == "1.0"


def test_a_pointer_that_can_not_even_be_opened_does_not_end_the_watch(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        pointer = tmp_path / "cache" / "CURRENT.won_90d"
        pointer.unlink()
        pointer.mkdir()
        wait_for(lambda: bool(service.score("a-001")["degraded"]))
        pointer.rmdir()
        models.promote(tmp_path, 2, "2.0")
        wait_for(lambda: version(service) == "2.0")


def test_a_refused_model_is_taken_up_once_its_files_are_whole_again(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        damage_bytes(models.folder(tmp_path, 2))
        models.point(tmp_path, 2, "2.0")
        wait_for(lambda: bool(service.score("a-001")["degraded"]))
        shutil.copytree(models.cache / "bundles", tmp_path / "cache" / "bundles", dirs_exist_ok=True)
        models.point(tmp_path, 2, "2.0")
        wait_for(lambda: version(service) == "2.0")
        assert service.score("a-001")["degraded"] is False


def test_a_model_of_other_definitions_is_refused(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    agreement = tmp_path / "smarketing.toml"
    shutil.copy(Path(__file__).parents[2] / "smarketing.toml", agreement)
    with agreement.open("a", encoding="utf-8") as file:
        file.write('\n[touch_types.site_tour]\nplural = "site_tours"\nzh = "现场参观"\n')
        file.write('content_stage = "mofu"\ndirection = "inbound"\n')
    with serving(tmp_path, agreement=agreement) as service:
        fill(service, market(accounts=2))
        # The new type has features of its own; those of the model are formed as before.
        assert version(service) == "1.0"
    cache = models.copy(tmp_path)
    other = _altered(models.folder(tmp_path, 1), tmp_path / "other", catalogue_digest="0" * 64)
    cache.switch("won_90d", cache.put(other), "2.0")
    with serving(tmp_path) as service:
        answer = service.score("a-001")
        assert (answer["degradedReasons"], answer["probability"]) == (["no_model", "catalogue_changed"], None)
        assert answer["points"] > 0


def test_a_model_of_another_definition_of_the_goal_is_refused_and_the_last_good_one_answers(
    tmp_path: Path, models: Models
) -> None:
    models.promote(tmp_path, 1, "1.0")
    question = {"kind": "new", "from": ["lead", "mql", "bql", "sql", "deal"], "reach": "won", "within_days": 60}
    cache = models.copy(tmp_path)
    other = cache.put(_altered(models.folder(tmp_path, 1), tmp_path / "other", question=question))
    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        assert version(service) == "1.0"
        cache.switch("won_90d", other, "2.0")
        wait_for(lambda: service.score("a-001")["degradedReasons"] == ["goal_changed"])
        assert version(service) == "1.0"
    with serving(tmp_path) as service:
        assert service.score("a-001")["degradedReasons"] == ["no_model", "goal_changed"]


def test_a_start_without_any_registry_is_answered_from_the_cache(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=2))
        assert service.get("/readyz")["status"] == "ok"
        assert service.score("a-001", asOf="2026-11-01T00:00:00Z")["probability"] is not None


def _altered(folder: Path, into: Path, **changes: object) -> Path:
    """Return a copy of a bundle whose manifest says something else, and is sealed anew."""
    from models.bundle_files import digest_of, to_bytes

    shutil.copytree(folder, into)
    manifest = json.loads((into / "manifest.json").read_bytes())
    manifest |= changes
    manifest["digest"] = digest_of(manifest)
    (into / "manifest.json").write_bytes(to_bytes(manifest))
    return into
