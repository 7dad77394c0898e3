"""The house rules: names are free, requirements locked, and the docs name what there is."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import tomllib

import pytest

from smarketing import COMMANDS

PACKAGES = ("features", "models", "training", "serving")
OWN_NAMES = {
    "goals": ("goals.NAME", ()),
    "points": ("points.TOUCH_TYPE", ("half_life_days",)),
    "actions": ("actions.NAME", ()),
    "sla.marketing_promise": ("sla.marketing_promise.STAGE_per_month", ()),
    "sla.first_response_hours": ("sla.first_response_hours.TOUCH_TYPE", ()),
}


def documented_keys(table: dict, path: str = "") -> set[str]:
    """Return the dotted keys of a TOML table, names of the user's own replaced by the word for them."""
    found = set()
    for key, value in table.items():
        word, fixed = OWN_NAMES.get(path, ("", (key,)))
        name = word if key not in fixed else f"{path}.{key}" if path else key
        deeper = f"{path}.{key}" if path else key
        if (isinstance(value, dict) and path == "goals") or (isinstance(value, dict) and path == "actions"):
            found |= {f"{name}.{inner}" for inner in value}
        elif isinstance(value, dict):
            found |= documented_keys(value, deeper)
        else:
            found.add(name)
    return found


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text(encoding="utf-8")


def test_no_dependency_ships_a_package_of_our_names():
    owners = importlib.metadata.packages_distributions()
    assert {name: set(owners.get(name, [])) - {"smarketing"} for name in (*PACKAGES, "smarketing")} == {
        name: set() for name in (*PACKAGES, "smarketing")
    }


def test_no_package_imports_the_front_door(root):
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert "smarketing" not in names, path


@pytest.mark.parametrize("name", ["serving.txt", "all.txt"])
def test_requirements_are_hashed_and_carry_no_address(root, name):
    text = (root / "requirements" / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text)[1:]
    assert len(entries) > 40
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|--(extra-)?index-url|--find-links|file:", text)


def test_every_declared_dependency_is_locked(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    declared = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["training"]]
    declared += [item for item in project["dependency-groups"]["dev"] if isinstance(item, str)]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (root / "requirements/all.txt").read_text(encoding="utf-8"), re.M))
    assert {re.split(r"[^\w-]", item)[0].lower() for item in declared} <= locked


def test_the_licence_is_complete(root):
    text = (root / "LICENSE").read_bytes()
    assert hashlib.sha256(text).hexdigest() == "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4"


def test_the_readme_opens_with_its_two_commands(readme):
    assert re.search(r"make demo.*\nmake test", readme[:200])


def test_every_make_target_of_the_docs_exists(root, readme):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.M))
    docs = readme + (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)", docs, re.M))
    assert {
        name for pair in re.findall(r"^make ([a-z]+)|`make ([a-z]+)", docs, re.M) for name in pair if name
    } <= targets


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_names_every_command(readme, command):
    assert f"| `smarketing {command}` |" in readme


def test_the_readme_names_every_endpoint(readme, tmp_path):
    from serving.app import create_app
    from serving.settings import Settings

    paths = create_app(Settings(store=str(tmp_path / "s.db"), cache=tmp_path)).openapi()["paths"]
    named = {
        (method.upper(), re.sub(r"\{\w+\}", "{id}", path)) for path, methods in paths.items() for method in methods
    }
    assert len(named) > 8
    assert {f"{method} {path}" for method, path in named if f"`{method} {path}`" not in readme} == set()


def test_the_docs_name_every_key_of_the_agreement(root):
    keys = documented_keys(tomllib.loads((root / "smarketing.toml").read_text(encoding="utf-8")))
    docs = (root / "docs/agreement.md").read_text(encoding="utf-8")
    assert len(keys) > 25
    assert {key for key in keys if f"`{key}`" not in docs} == set()


def test_the_docs_name_every_touch_type(root):
    from features.touch_types import TOUCH_TYPES

    docs = (root / "docs/agreement.md").read_text(encoding="utf-8")
    assert {name for name in TOUCH_TYPES if f"`{name}`" not in docs} == set()


def test_links_between_documents_lead_somewhere(root):
    for document in [*root.glob("*.md"), *(root / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_guide_names_every_page_once(root):
    named = re.findall(r"\]\((\w[\w-]*\.md)\)", (root / "docs/README.md").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(path.name for path in (root / "docs").glob("*.md") if path.name != "README.md")


def test_decisions_are_short_and_have_their_five_headings(root):
    for path in (root / "docs/decisions").glob("*.md"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 45, path.name
        headings = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
        assert headings == ["Status", "Context", "Decision", "Consequences", "Alternatives"], path.name


def test_no_path_of_a_machine_is_in_the_project(root):
    tracked = [path for folder in (*PACKAGES, "tests", "docs", "benchmarks") for path in (root / folder).rglob("*")]
    for path in [*tracked, *root.glob("*.*"), root / "Makefile"]:
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".txt"}:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(^|[\s\"'(=])/(home|root|work|Users)/", text), path
