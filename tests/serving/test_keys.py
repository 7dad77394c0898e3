"""API keys on file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from features.errors import AgreementError, StoreError
from serving.keys import SCOPES, ApiKey, KeyRing


def test_the_first_start_makes_a_key_and_says_it_once(tmp_path: Path) -> None:
    path = tmp_path / "store.keys"
    _, made = KeyRing.open(path, lambda: 5)
    ring, again = KeyRing.open(path, lambda: 5)
    assert made is not None
    assert again is None
    found = ring.find(made)
    assert found is not None
    assert found.scopes == frozenset(SCOPES)


def test_the_file_holds_no_key_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "store.keys"
    _, made = KeyRing.open(path, lambda: 5)
    assert made is not None
    assert made.rpartition("_")[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("guess", ["", "smk", "smk_00000000_x", "é" * 40, "\udcff" * 40])
def test_a_guess_finds_nothing(tmp_path: Path, guess: str) -> None:
    ring, _ = KeyRing.open(tmp_path / "keys", lambda: 5)
    assert ring.find(guess) is None


def test_a_key_from_the_environment_is_never_written(tmp_path: Path) -> None:
    ring, made = KeyRing.open(tmp_path / "keys", lambda: 5, given="a-key-from-the-environment")
    assert made is None
    assert not (tmp_path / "keys").exists()
    assert ring.find("a-key-from-the-environment") is not None


def test_a_short_key_from_the_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgreementError, match=r"at least 16 characters. Got 5"):
        KeyRing.open(tmp_path / "keys", lambda: 5, given="short")


def test_an_expired_key_is_no_key() -> None:
    import hashlib

    digest = hashlib.sha256(b"secret").hexdigest()
    ring = KeyRing((ApiKey("k", digest, frozenset({"read"}), expires_at=10),), clock=lambda: 10)
    assert ring.find("secret") is None


def test_a_damaged_file_is_a_clear_error_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("{")
    with pytest.raises(StoreError, match="can not be read"):
        KeyRing.open(path, lambda: 5)
    assert path.read_text() == "{"
