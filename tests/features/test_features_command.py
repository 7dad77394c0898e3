"""`smarketing features` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from features.console import ExitCode
from features.ledger import Batch, Ledger
from smarketing import app


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "market.db"
    touches = [
        {"source": "web", "event_id": str(n), "occurred_at": n, "account_id": "a-1", "touch_type": "call"}
        for n in (1, 2)
    ]
    with Ledger.open(path) as ledger:
        ledger.append(Batch({"touchpoints": touches}, backfill=True))
    return path


def run(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--store", str(store), "features", *arguments])


def test_a_list_takes_no_moment(store: Path) -> None:
    refused = run(store, "--list", "--as-of", "2026-11-21T09:00:00Z")
    assert refused.exit_code == ExitCode.USAGE
    assert "--as-of" in refused.stderr


def test_counts_are_whole_numbers(store: Path) -> None:
    asked = ("--account", "a-1", "--as-of", "1970-01-02T00:00:00Z")
    lines = [line.split() for line in run(store, *asked).stdout.splitlines()]
    assert ["touches_30d", "2"] in [line[:2] for line in lines]
    rows = json.loads(run(store, *asked, "--json").stdout)
    given = {row["feature"]: row["value"] for row in rows}
    assert repr(given["touches_30d"]) == "2"
    assert isinstance(given["touches_days_since"], float)
