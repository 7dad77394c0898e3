"""The files pages are made with."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path

from serving.pages.assets import FOLDER, address, assets
from serving.pages.render import TEMPLATES

VENDOR = FOLDER / "vendor"
LOCK = json.loads((VENDOR / "vendor.lock.json").read_text(encoding="utf-8"))


def test_every_vendored_file_is_the_one_that_is_locked() -> None:
    kept = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.suffix != ".json"
    }
    assert {one["file"]: one["sha256"] for one in LOCK} == kept
    assert all(one["version"] and one["licence"] and one["package"] for one in LOCK)
    assert "://" not in json.dumps(LOCK)


def test_an_address_changes_with_the_content() -> None:
    mark = hashlib.sha256((FOLDER / "pages.css").read_bytes()).hexdigest()[:12]
    assert address("pages.css") == f"/static/pages.css?v={mark}"
    assert assets()["pages.css"].packed != assets()["pages.css"].content


def test_no_template_holds_a_script_a_style_or_an_address_of_elsewhere() -> None:
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+=|https?://|\|\s*safe", text), path.name
        inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", text)
        assert all('type="application/json"' in tag for tag in inline), path.name


def test_no_script_or_style_ends_its_own_tag() -> None:
    for name, asset in assets().items():
        assert not re.search(r"</(script|style)", asset.content.decode(), re.I), name


def test_our_own_style_and_scripts_are_small() -> None:
    own = [path for path in FOLDER.iterdir() if path.suffix in {".css", ".js"}]
    assert len(own) == 2
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < 200 for path in own)


def test_what_is_no_code_travels_with_the_package(root: Path) -> None:
    wheel = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert "serving" in wheel["targets"]["wheel"]["only-include"]
