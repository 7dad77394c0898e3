"""The command line: errors in words, exit codes, shared options, and a quick start."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from features.console import Console, ExitCode
from features.errors import AgreementError, UnknownError
from smarketing import COMMANDS, app

HEAVY = ("mlflow", "shap", "pandas", "lightgbm", "sklearn", "duckdb", "pyarrow", "numpy", "fastapi", "sqlalchemy")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes `smarketing init` raise an error."""

    def put(error: Exception) -> None:
        def command(ctx: typer.Context) -> None:
            raise error

        monkeypatch.setattr("features.commands.init.init", command)

    return put


def test_init_writes_the_documented_agreement_once(run, root, tmp_path):
    assert run("init").exit_code == 0
    assert (tmp_path / "smarketing.toml").read_bytes() == (root / "smarketing.toml").read_bytes()
    again = run("init")
    assert again.exit_code == ExitCode.FAILURE
    assert "exists and is not overwritten" in again.stderr


def test_shared_options_may_stand_on_either_side(run):
    assert json.loads(run("--json", "init", "a.toml").stdout) == {"path": "a.toml"}
    assert json.loads(run("init", "b.toml", "--json").stdout) == {"path": "b.toml"}


def test_an_unknown_command_suggests_the_nearest(run):
    result = run("trian")
    assert result.exit_code == ExitCode.USAGE
    assert "Did you mean 'train'?" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"), [(AgreementError("what", hint="do this"), 1), (UnknownError("what", hint="do this"), 3)]
)
def test_an_error_says_what_and_what_next(run, failing, error, code):
    failing(error)
    result = run("init")
    assert result.exit_code == code
    assert result.stderr == "Error: what\nNext:  do this\n"
    assert result.stdout == ""


def test_the_agreement_of_the_folder_is_found(run, tmp_path, monkeypatch):
    seen: list[Console] = []
    monkeypatch.setattr("features.commands.init.init", _remember(seen))
    run("init")
    (tmp_path / "smarketing.toml").touch()
    run("init")
    run("init", "--agreement", "other.toml", "--store", "other.db")
    assert [str(console.agreement_path) for console in seen] == ["None", "smarketing.toml", "other.toml"]
    assert [console.store for console in seen] == ["smarketing.db", "smarketing.db", "other.db"]


def _remember(seen: list[Console]):
    def command(ctx: typer.Context) -> None:
        seen.append(Console.of(ctx))

    return command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"smarketing {command}" in result.stdout or f"root {command}" in result.stdout


def test_help_imports_nothing_heavy():
    code = "import sys, smarketing; smarketing.app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) & set(HEAVY) == set()


def test_help_takes_less_than_half_a_second():
    def seconds() -> float:
        before = os.times()
        subprocess.run([sys.executable, "-m", "smarketing", "--help"], capture_output=True, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 0.5
